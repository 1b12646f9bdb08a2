// The order of a session's plots, shared between its page and the pages of its plots (previous, next, back).

import { encodePath, gallery } from "../api/client.js";

const STORAGE_KEY = `plotindex ${gallery} order`;
const MAX_STORED = 10_000;

/** Store the order of a session's cards, as `[filename, project or null, filenames of all formats]`, and the page's query. */
export function saveOrder(session, cards) {
  const plots = cards.slice(0, MAX_STORED).map(({ filename, project, files }) => [filename, project, files.map((file) => file.filename)]);
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ session, plots, search: location.search }));
}

/** The stored order of a session, or an empty one. */
export function loadOrder(session) {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    if (stored?.session === session && Array.isArray(stored.plots)) return { search: "", ...stored };
  } catch {
    // Not valid JSON.
  }
  return { plots: [], search: "" };
}

/** The address of a plot's page below `base`; with a project it stays with that project's copy. */
export const addressOf = (base, filename, project) =>
  base + encodePath(filename) + (project === null ? "" : `?${new URLSearchParams({ project })}`);

/** Add the stored filter and sort order to the link back to the session. */
export function restoreBackLink(session) {
  const link = document.getElementById("back");
  if (link) link.search = loadOrder(session).search;
}
