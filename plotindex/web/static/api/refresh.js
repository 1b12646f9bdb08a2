// Refresh of a page that the server renders.

import { api, fetchJson, sleep } from "./client.js";
import { showLoginExpired, followChanges } from "./changes.js";

const RETRY_MS = 2000;

/**
 * Follow a session, or all sessions if undefined. When a changed key `affects` the page, fetch the page again and call
 * `update(page)` with its document, or null if it is gone. `isGone(changed, removed)` may detect that without a fetch.
 */
export function followPage({ since, session, affects, isGone, update }) {
  const refresh = coalesce(async () => {
    const page = await fetchPage();
    if (page !== undefined) await update(page);
    return page;
  });
  return followChanges({
    since,
    session,
    onChanges: (changed, removed) => {
      if (isGone(changed, removed)) update(null);
      else if ([...changed, ...removed].some(affects)) refresh();
    },
    reload: async () => {
      const page = await refresh();
      const clock = page?.querySelector("[data-clock]")?.dataset.clock;
      return clock ?? (await fetchJson(`${api}/plots?limit=1`)).clock;
    },
  });
}

async function fetchPage() {
  for (;;) {
    try {
      const response = await fetch(location.href);
      if (response.status === 404) return null;
      if (response.redirected) return void showLoginExpired();
      if (response.ok) return new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      // Retry, as for other responses.
    }
    await sleep(RETRY_MS);
  }
}

/** A function that runs `task`; calls during a run are combined into one further run. */
export function coalesce(task) {
  let running = null;
  let next = null;
  return function start() {
    if (!running) {
      running = task().finally(() => (running = null));
      return running;
    }
    next ??= running.then(() => {
      next = null;
      return start();
    });
    return next;
  };
}
