// Who one is: a name and a password, or a token one has.

import { Failure, html, useEffect, useRef, useState } from "./ui.js";
import { signIn, token } from "./server.js";

/** The form shown where the server does not know who comes. `onSignedIn` is called when there is a token to try. */
export function SignIn({ onSignedIn }) {
  const [way, setWay] = useState("password");
  const [error, setError] = useState(null);
  const [waits, setWaits] = useState(false);
  const form = useRef(null);
  useEffect(() => form.current.querySelector("input:not([type=radio])").focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setWaits(true);
    try {
      if (way === "token") token.set(form.get("token").trim());
      else await signIn(form.get("user"), form.get("password"));
      onSignedIn();
    } catch (cause) {
      setError(cause);
    } finally {
      setWaits(false);
    }
  };
  const was = token.get() ? "Your token is not valid (any more)." : "";
  return html`
    <section class="sign-in panel">
      <h1>Sign in</h1>
      <p class="muted">${was} The console is for operators and auditors. What you look at is recorded with your name.</p>
      <form ref=${form} onSubmit=${submit}>
        <fieldset class="choice">
          <legend class="hidden">Sign in with</legend>
          <label><input type="radio" name="way" checked=${way === "password"} onChange=${() => setWay("password")} /> Password</label>
          <label><input type="radio" name="way" checked=${way === "token"} onChange=${() => setWay("token")} /> Token</label>
        </fieldset>
        ${way === "password" ? html`
          <label>User <input name="user" autocomplete="username" autocapitalize="none" required /></label>
          <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>`
        : html`<label>Token <input name="token" type="password" autocomplete="off" spellcheck="false" required /></label>`}
        ${error && html`<${Failure} title="Not signed in" error=${error} />`}
        <button type="submit" class="primary" disabled=${waits}>${waits ? "Signing in…" : "Sign in"}</button>
      </form>
    </section>`;
}
