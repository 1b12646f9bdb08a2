// What has changed, as it changes: the loop over /changes.

import { api, pause, say } from "./client.js";

const WAIT = 10; // seconds; the server gives up a thread for so long
const AGAIN = 500; // milliseconds, where the server has no thread to spare for waiting
const LONGEST = 5000; // milliseconds between attempts while there is no connection

/**
 * Follow the plots of a session, or of all, from a clock on. `tell(changed, removed)` is told of what is different;
 * `list()` is called when that cannot be said any more: it lists everything and returns the clock of that.
 */
export async function follow({ since, session, tell, list }) {
  const only = session === undefined ? "" : `&session=${encodeURIComponent(session)}`;
  // The first answer may take as long as nothing is drawn.
  sayWatched(document.documentElement.dataset.watched === "yes");
  let clock = since;
  let failures = 0;
  for (;;) {
    await untilSeen();
    const left = new AbortController();
    const leave = () => (document.hidden || !navigator.onLine) && left.abort();
    document.addEventListener("visibilitychange", leave);
    addEventListener("offline", leave);
    try {
      const limit = AbortSignal.any([left.signal, AbortSignal.timeout((WAIT + 15) * 1000)]);
      const answer = await fetch(`${api}/changes?since=${clock}${only}&wait=${WAIT}`, { signal: limit });
      if (answer.status === 401) return expired();
      if (answer.status === 404) throw Object.assign(new Error("gone"), { gone: true });
      if (!answer.ok) throw Object.assign(new Error("no answer"), { status: answer.status });
      sayWatched(answer.headers.get("Cache-Status") === "plotindex; hit");
      const told = await answer.json();
      say("connection");
      failures = 0;
      if (told.fresh) {
        clock = await list();
        continue;
      }
      if (told.changed.length || told.removed.length) tell(told.changed, told.removed);
      clock = told.clock;
      if (answer.headers.has("Retry-After")) await pause(AGAIN);
    } catch (error) {
      if (document.hidden) continue;
      failures += 1;
      if (error.gone) say("connection", "This session is not there any more.");
      else if (error.status) say("connection", "The server cannot say what is new. Trying again…");
      else if (failures > 1 || !navigator.onLine) say("connection", "No connection. Trying again…");
      await Promise.race([pause(Math.min(AGAIN * 2 ** failures, LONGEST)), once(window, "online")]);
    } finally {
      document.removeEventListener("visibilitychange", leave);
      removeEventListener("offline", leave);
    }
  }
}

/** Say so when nobody keeps the catalogue up to date. */
function sayWatched(isWatched) {
  say("behind", isWatched ? "" : "Nobody indexes now, or is behind: what is new may be missing.");
}

/** Say that the login is over, with the way to the next. */
export function expired() {
  say("login", "Your login is over.", { href: location.href, text: "Log in" });
}

async function untilSeen() {
  while (document.hidden) await once(document, "visibilitychange");
}

const once = (target, event) => new Promise((done) => target.addEventListener(event, done, { once: true }));
