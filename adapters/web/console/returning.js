// The socket comes back by itself, later each time; where there is reason to believe that the server is there again it tries at once.

const LONGEST = 30_000;
const SHORTEST = 1000;

/** Decides when a lost `socket` tries before its time. `present()` is ms. */
export class Returning {
  #socket;
  #present;
  #tries = 0;
  #before = -Infinity;

  constructor(socket, present = () => performance.now()) {
    this.#socket = socket;
    this.#present = present;
    socket.onStatus((status) => {
      if (status === "open") this.#tries = 0;
    });
  }

  /** The server answered something else. Where sockets alone do not get through, that is worth less each time. */
  answered() {
    if (this.#socket.status !== "lost" || this.#present() - this.#before < Math.min(LONGEST, SHORTEST * 2 ** this.#tries)) return;
    this.#tries += 1;
    this.#before = this.#present();
    this.#socket.connect();
  }

  /** The network is back, or somebody looks again. */
  wanted() {
    if (this.#socket.status === "lost") this.#socket.connect();
  }
}
