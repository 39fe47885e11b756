// Where one is in a stream, and whether one goes along as it grows. Pure: `last` is the version of the last event.

/** At version `at`, or at the end and going along where that is null or the end. */
export function arrived(at, last) {
  return gone({}, at ?? last, last);
}

/** At another version: 0 is before the first event. */
export function gone(state, to, last) {
  const cursor = Math.min(Math.max(Math.trunc(to) || 0, 0), last);
  const isEnd = cursor === last;
  const seen = isEnd ? last : Math.min(state.seen ?? last, last);
  return { ...state, cursor, isFollowing: isEnd, isAtEnd: isEnd, leftByScrolling: false, seen };
}

/** The stream has grown. */
export function grown(state, last) {
  const cursor = state.isFollowing ? last : Math.min(state.cursor, last);
  const seen = state.isAtEnd ? last : state.seen;
  return cursor === state.cursor && seen === state.seen ? state : { ...state, cursor, seen };
}

/** The list was scrolled to its end, or away from it. Who only looked up, and comes back, goes along again. */
export function scrolled(state, isAtEnd, last) {
  if (isAtEnd === state.isAtEnd) return state;
  if (!isAtEnd) {
    return { ...state, isAtEnd, seen: last, isFollowing: false, leftByScrolling: state.isFollowing || state.leftByScrolling };
  }
  return state.leftByScrolling ? gone(state, last, last) : { ...state, isAtEnd, seen: last };
}
