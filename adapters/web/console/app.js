// The page: which view the address names, who one is, and the frame around the views.

import { Failure, html, Loading, render, useEffect, useErrorBoundary, useRef, useState, useZone } from "./ui.js";
import { get, onUnauthorized, socket, token } from "./server.js";
import { Header, Keys } from "./frame.js";
import { focusGoTo } from "./go_to.js";
import { useKeys } from "./keys.js";
import { routeOf } from "./route.js";
import { SignIn } from "./sign_in.js";

// Loaded when first gone to: a view that cannot be loaded is an error of that view alone.
// Each shows an <h1>, which is where the focus goes.
const VIEWS = {
  board: () => import("./views/board.js"),
  stream: () => import("./views/stream.js"),
  audit: () => import("./views/audit.js"),
  clients: () => import("./views/clients.js"),
  integrity: () => import("./views/integrity.js"),
};

/** The hash as it is now. */
function useRoute() {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const follow = () => setRoute(routeOf(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

/** Milliseconds between two attempts while the server cannot be reached. */
const RETRY = 2000;
const mayPass = ({ status }) => status === 0 || status === 429 || status >= 500;

/** Who one is: {me}, {error} or neither while that is asked; and how to ask again, which where it may pass is done by itself. */
function useMe() {
  const [known, setKnown] = useState({});
  const look = () => {
    get("/api/console/me").then((me) => setKnown({ me }), (error) => setKnown({ error }));
  };
  const ask = () => {
    setKnown({});
    look();
  };
  useEffect(look, []);
  useEffect(() => {
    if (!known.error || !mayPass(known.error)) return undefined;
    const timer = setTimeout(look, RETRY); // what is shown stays meanwhile
    return () => clearTimeout(timer);
  }, [known]);
  useEffect(() => onUnauthorized(() => setKnown({ error: { status: 401 } })), []);
  return [known, ask];
}

function View({ route, me, isCome }) {
  const [loaded, setLoaded] = useState({});
  const [round, setRound] = useState(0);
  const [error, forget] = useErrorBoundary();
  const { name } = route;
  useEffect(() => {
    VIEWS[name]().then(
      (module) => setLoaded({ name, Shown: Object.values(module).find((exported) => typeof exported === "function") }),
      (cause) => setLoaded({ name, cause }),
    );
  }, [name, round]);
  useHeadingFocus(route, loaded.name === name, isCome);
  const again = () => {
    forget();
    setRound(round + 1);
  };
  const missing = loaded.name === name ? loaded.cause : null;
  useEffect(() => {
    if (!missing) return undefined;
    const timer = setTimeout(() => setRound(round + 1), RETRY);
    return () => clearTimeout(timer);
  }, [missing]);
  const broken = error ?? missing;
  if (broken) return html`<h1>${route.title}</h1><${Failure} title="This view cannot be shown" error=${broken} retry=${again} />`;
  if (loaded.name !== name) return html`<${Loading} />`;
  return html`<${loaded.Shown} ...${route.props} me=${me} roles=${me.roles} />`;
}

/** After going somewhere else, and after signing in (`isCome`), the focus is at that view's heading. */
function useHeadingFocus(route, isShown, isCome) {
  const last = useRef(isCome ? null : route.place);
  useEffect(() => {
    document.title = `${route.title} · Callboard console`;
    if (!isShown || last.current === route.place) return;
    last.current = route.place;
    const target = document.querySelector("main h1") ?? document.querySelector("main");
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
}

const go = (hash) => () => {
  location.hash = hash;
};

function Console() {
  const route = useRoute();
  const [{ me, error }, ask] = useMe();
  const [showsKeys, showKeys] = useState(false);
  const [epoch, setEpoch] = useState(null); // another epoch is another log: nothing that was shown is of it
  const isCome = useRef(false);
  useZone(); // all that is shown has times
  useEffect(() => (me ? socket.connect() : socket.close()), [me]);
  useEffect(() => socket.on("hello", (hello) => setEpoch(hello.epoch)), []);
  // Turned away from the socket: where that is for want of a valid token, this question is answered 401 and we hear of it.
  useEffect(() => socket.onStatus((status) => status === "refused" && get("/api/console/me").catch(() => {})), []);
  useKeys([
    { keys: "g b", does: "Go to the board", run: go("") },
    { keys: "g a", does: "Go to the audit", run: go("/audit") },
    { keys: "g c", does: "Go to the clients", run: go("/clients") },
    { keys: "g i", does: "Go to the integrity of the log", run: go("/integrity") },
    { keys: "g s", does: "Go to a stream by its name", run: focusGoTo },
    { keys: "/", does: "Search", run: search },
    { keys: "?", does: "Show the keys", run: () => showKeys(true) },
  ]);
  const signOut = () => {
    token.clear();
    ask();
  };
  const signedIn = () => {
    isCome.current = true;
    ask();
  };
  const { status } = error ?? {};
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} route=${route} me=${me} onSignOut=${signOut} onKeys=${() => showKeys(true)} />
    <main id="main">
      ${status === 401 && html`<${SignIn} onSignedIn=${signedIn} />`}
      ${status === 403 && html`<h1>Not for you</h1><p>The console needs the role operator or auditor.</p>
        <button type="button" onClick=${signOut}>Sign in as somebody else</button>`}
      ${error && status !== 401 && status !== 403 && html`<h1>Console</h1><${Failure} title="The server does not say who you are" error=${error} retry=${ask} />
        ${mayPass(error) && html`<p class="muted">It is asked again every few seconds.</p>`}`}
      ${!me && !error && html`<${Loading} what="Asking the server" />`}
      ${me && html`<${View} key=${epoch ?? me.epoch} route=${route} me=${me} isCome=${isCome.current} />`}
    </main>
    <${Keys} open=${showsKeys} onClose=${() => showKeys(false)} />`;
}

function search() {
  const box = document.querySelector("main input[type=search]");
  if (box) box.focus();
  else focusGoTo();
}

function skip(event) {
  event.preventDefault(); // the hash is the route
  const main = document.querySelector("main");
  main.tabIndex = -1;
  main.focus();
}

VIEWS[routeOf(location.hash).name]().catch(() => {}); // while the server says who one is; where it fails the view says so
render(html`<${Console} />`, document.querySelector("#console"));
