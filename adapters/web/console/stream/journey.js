// The stream the page is at and the version it looks at, as one hook: the model, the cursor, playing, the address.

import { useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { get, socket } from "../server.js";
import { streamHref } from "../format.js";
import { routeOf } from "../route.js";
import { StreamModel } from "./model.js";
import { advance } from "./playing.js";
import { useFrames, useRedraw } from "./timing.js";
import { arrived, gone, grown, scrolled } from "./travel.js";

const ADDRESS_DELAY = 200;
/** Milliseconds between two states asked for while one only goes along with what is recorded. */
const LIVE_PAUSE = 250;

/** The model of a stream, open while the component is there. */
export function useModel(stream) {
  const redraw = useRedraw();
  const [, render] = useState(0);
  const folded = () => render((count) => count + 1); // somebody waits for it: not for the screen's next frame
  const [model] = useState(() => new StreamModel(stream, { socket, get, changed: redraw, folded }));
  useEffect(() => {
    model.open();
    return () => model.close();
  }, []);
  return model;
}

/** `{cursor, isFollowing, isAtEnd, seen, isPlaying, speed, go, scrolledTo, play, setSpeed}`, from version `at` on. */
export function useJourney(model, at) {
  const last = model.version;
  const place = useRef(null);
  const [, render] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const credit = useRef(0);
  if (model.status === "ready") place.current = place.current ? grown(place.current, last) : arrived(at, last);

  const move = (next) => {
    if (place.current === null || next === place.current) return;
    place.current = next;
    model.records.leave(next.cursor);
    if (!next.isFollowing) wish(model, next.cursor); // before anything is drawn: it takes its time to come
    render((count) => count + 1); // at once: a step waits for no frame of the screen
  };
  const go = (to) => {
    credit.current = 0;
    if (place.current) move(gone(place.current, to, model.version));
  };
  const play = (wish) => {
    if (wish && place.current?.cursor >= model.version) go(0);
    credit.current = 0;
    setPlaying(wish);
  };
  useFrames(isPlaying, (elapsed) => {
    const { cursor } = place.current;
    const next = advance(model.outline, cursor, credit.current, elapsed * speed);
    if (next.cursor !== cursor) go(next.cursor);
    credit.current = next.credit;
    if (next.cursor >= model.version) setPlaying(false);
  });
  useAddress(model.stream, place.current?.cursor, at, go, () => model.version);
  useWishes(model, place.current);
  const scrolledTo = (isAtEnd) => place.current && move(scrolled(place.current, isAtEnd, model.version));
  return { ...place.current, isPlaying, speed, go, scrolledTo, play, setSpeed };
}

/** The address follows where one is, a moment later; and one goes where it is changed to. */
function useAddress(stream, cursor, at, go, last) {
  const hasMoved = useRef(at !== null);
  const latest = useRef(go);
  latest.current = go;
  useEffect(() => {
    if (cursor === undefined) return undefined;
    // Who came by the bare name keeps it in the address until going somewhere.
    if (!hasMoved.current && cursor === last()) return undefined;
    hasMoved.current = true;
    const timer = setTimeout(() => {
      const hash = streamHref(stream, cursor);
      if (location.hash !== hash && routeOf(location.hash).props.stream === stream) history.replaceState(history.state, "", hash);
    }, ADDRESS_DELAY);
    return () => clearTimeout(timer);
  }, [cursor]);
  useEffect(() => {
    const follow = () => {
      const { stream: named, at: version } = routeOf(location.hash).props;
      if (named === stream) latest.current(version ?? last());
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
}

/** Ask for the record looked at, its state and the state before. */
function wish({ states, records }, cursor) {
  states.want(...(cursor > 0 ? [cursor, cursor - 1] : [0]));
  records.want("cursor", cursor, cursor);
}

/** Asks for what is looked at, also where one came to by other ways than one's own: at once, or at intervals while one only goes along. */
function useWishes(model, place) {
  const wished = useRef({ at: -Infinity, timer: 0 }).current;
  const cursor = place?.cursor;
  useLayoutEffect(() => {
    if (cursor === undefined) return undefined;
    const ask = () => {
      wished.at = performance.now();
      wish(model, cursor);
    };
    const pause = place.isFollowing ? wished.at + LIVE_PAUSE - performance.now() : 0;
    clearTimeout(wished.timer);
    if (pause > 0) wished.timer = setTimeout(ask, pause);
    else ask();
    return undefined;
  }, [cursor]);
  useEffect(() => () => clearTimeout(wished.timer), []);
}
