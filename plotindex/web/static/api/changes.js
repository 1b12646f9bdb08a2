// Long polling of /changes.

import { REVALIDATE, api, check, setStatus, sleep } from "./client.js";
import { readClock } from "../shared/format.js";

const WAIT_SECONDS = 10; // occupies a thread of the server
const UNWATCHED_WAIT_SECONDS = 2; // while the warning is shown, which must not outlast its reason
const RETRY_MS = 500; // also between requests that the server cannot let wait
const MAX_RETRY_MS = 5000;

/**
 * Follow the changes of a session, or of all sessions, since a clock. Calls `onChanges(changed, removed)`, and
 * `reload()` when the clock is no longer valid: it fetches everything and returns the new clock.
 */
export async function followChanges({ since, session, onChanges, reload }) {
  const sessionQuery = session === undefined ? "" : `&session=${encodeURIComponent(session)}`;
  // The first response may take WAIT_SECONDS.
  let isWatched = document.documentElement.dataset.watched === "yes";
  setIndexerStatus(isWatched);
  let clock = since;
  let failures = 0;
  for (;;) {
    await untilVisible();
    const controller = new AbortController();
    const abortWhenInactive = () => (document.hidden || !navigator.onLine) && controller.abort();
    document.addEventListener("visibilitychange", abortWhenInactive);
    addEventListener("offline", abortWhenInactive);
    try {
      const signal = AbortSignal.any([controller.signal, AbortSignal.timeout((WAIT_SECONDS + 15) * 1000)]);
      const wait = isWatched ? WAIT_SECONDS : UNWATCHED_WAIT_SECONDS;
      const response = await fetch(`${api}/changes?since=${encodeURIComponent(clock)}${sessionQuery}&wait=${wait}`, { ...REVALIDATE, signal });
      if (response.status === 401) return showLoginExpired();
      check(response);
      isWatched = response.headers.get("Cache-Status") === "plotindex; hit";
      setIndexerStatus(isWatched);
      readClock(response);
      const page = await response.json();
      setStatus("connection");
      failures = 0;
      if (page.fresh) {
        clock = await reload();
        continue;
      }
      if (page.changed.length || page.removed.length) onChanges(page.changed, page.removed);
      clock = page.clock;
      if (response.headers.has("Retry-After")) await sleep(RETRY_MS);
    } catch (error) {
      if (document.hidden) continue;
      failures += 1;
      if (error.status === 404) setStatus("connection", "This session no longer exists.");
      else if (error.status) setStatus("connection", "The server cannot report changes. Retrying…");
      else if (failures > 1 || !navigator.onLine) setStatus("connection", "No connection. Retrying…");
      await Promise.race([sleep(Math.min(RETRY_MS * 2 ** failures, MAX_RETRY_MS)), nextEvent(window, "online")]);
    } finally {
      document.removeEventListener("visibilitychange", abortWhenInactive);
      removeEventListener("offline", abortWhenInactive);
    }
  }
}

function setIndexerStatus(isWatched) {
  setStatus("behind", isWatched ? "" : "The indexer is stopped or behind; new plots may be missing.");
}

/** Show that the login has expired, with a link to the login page. */
export function showLoginExpired() {
  setStatus("login", "Your login has expired.", { href: location.href, text: "Log in" });
}

async function untilVisible() {
  while (document.hidden) await nextEvent(document, "visibilitychange");
}

const nextEvent = (target, event) => new Promise((done) => target.addEventListener(event, done, { once: true }));
