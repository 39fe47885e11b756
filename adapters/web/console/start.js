// Loads the page; where one of its modules does not come, as the server went away in between, all is loaded anew when it is back.

const RETRY = 2000;

import("./app.js").catch((fault) => {
  console.warn(fault);
  const told = document.createElement("p");
  told.role = "status";
  told.textContent = "The console cannot be loaded now. It is tried again every few seconds.";
  document.querySelector("#console").replaceChildren(told);
  setTimeout(wait, RETRY);
});

/** Begin anew once the server answers: a page that is loaded before is the browser's own about errors, and stays. */
function wait() {
  fetch("start.js", { cache: "no-store" }).then(({ ok }) => (ok ? location.reload() : setTimeout(wait, RETRY)), () => setTimeout(wait, RETRY));
}
