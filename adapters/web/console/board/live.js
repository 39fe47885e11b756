// The board as it is now, for the components that show it: they hear of changes once for each animation frame.

import { followBoard } from "./poll.js";
import { Rates } from "./rates.js";
import { Rows } from "./rows.js";
import { socket } from "../server.js";

const MOST_NEWEST = 40;

/** All that the board shows. `start` begins to listen; `isPaused` leaves everything as it is for a while. */
export class Live {
  rows = new Rows();
  rates = new Rates();
  /** The newest light frames, newest first. */
  newest = [];
  /** How often rows came or went, or were told anew: what the order may depend on. */
  polled = 0;
  isPaused = false;
  /** Why the server does not tell us of the log's events, if it does not. @type {?Error} */
  refusal = null;
  #listeners = new Set();
  #frame = null;

  /** Listen to the server. Answers the function that ends it. */
  start() {
    const offs = [
      followBoard(1000, ({ board, error }) => board && !error && this.#take(board)),
      socket.on("event", (frame) => this.#hear(frame)),
      socket.whenOpen(({ isAnew }) => this.#tune(isAnew)),
    ];
    return () => {
      offs.forEach((off) => off());
      socket.tell({ type: "unboard" });
      cancelAnimationFrame(this.#frame);
      this.#frame = null;
    };
  }

  /** Hear that something changed. Answers the function that stops hearing. */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #tune(isAnew) {
    if (isAnew) {
      this.newest = []; // what was said there may be forgotten since
      this.rows = new Rows();
    }
    try {
      await socket.ask({ type: "board" });
      this.refusal = null;
    } catch (error) {
      this.refusal = socket.status === "open" ? error : null; // lost again: it is asked again
    }
    this.#change();
  }

  #take(board) {
    if (this.isPaused) return;
    this.rows.take(board.streams, performance.now());
    this.rates.take(board.at, board.vitals);
    this.polled += 1;
    this.#change();
  }

  #hear(frame) {
    if (this.isPaused) return;
    this.rows.hear(frame, performance.now());
    this.newest.unshift(frame);
    if (this.newest.length > MOST_NEWEST) this.newest.pop();
    this.#change();
  }

  /** However much happens between two pictures, it is one change. A hidden tab has no pictures. */
  #change() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
