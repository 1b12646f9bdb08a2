// The page as it would be made now: the server is the one that says what there is.

import { api, ask, pause } from "./client.js";
import { expired, follow } from "./changes.js";

const AGAIN = 2000; // milliseconds

/**
 * Follow a session, or with undefined all, and when a plot that `concerns` the page has changed, ask for the page
 * again: `update(page)` gets its document, or null when there is nothing left to show, as `isGone` may know before.
 */
export function keepCurrent({ since, session, concerns, isGone, update }) {
  const refresh = oneAtATime(async () => {
    const page = await fetchPage();
    if (page !== undefined) await update(page);
    return page;
  });
  return follow({
    since,
    session,
    tell: (changed, removed) => {
      if (isGone(changed, removed)) update(null);
      else if ([...changed, ...removed].some(concerns)) refresh();
    },
    list: async () => {
      const page = await refresh();
      const clock = page?.querySelector("[data-clock]")?.dataset.clock;
      return Number(clock ?? (await ask(`${api}/plots?limit=1`)).clock);
    },
  });
}

async function fetchPage() {
  for (;;) {
    try {
      const answer = await fetch(location.href);
      if (answer.status === 404) return null;
      if (answer.redirected) return void expired();
      if (answer.ok) return new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      // As for any answer but these: later.
    }
    await pause(AGAIN);
  }
}

/** Work that is asked for while it is done is done once more afterwards, however often it was asked for. */
function oneAtATime(work) {
  let running = null;
  let following = null;
  return function start() {
    if (!running) {
      running = work().finally(() => (running = null));
      return running;
    }
    following ??= running.then(() => {
      following = null;
      return start();
    });
    return following;
  };
}
