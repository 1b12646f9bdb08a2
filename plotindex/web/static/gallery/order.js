// The order of a session's plots, shared between its page and the pages of its plots (previous, next, back).

import { gallery } from "../api/client.js";

const STORAGE_KEY = `plotindex ${gallery} order`;
const MAX_STORED = 10_000;

/** Store the order of a session's plots and the query of its page. */
export function saveOrder(session, filenames) {
  const { search } = location;
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ session, filenames: filenames.slice(0, MAX_STORED), search }));
}

/** The stored order of a session, or an empty one. */
export function loadOrder(session) {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    if (stored?.session === session && Array.isArray(stored.filenames)) return { search: "", ...stored };
  } catch {
    // Not valid JSON.
  }
  return { filenames: [], search: "" };
}

/** Add the stored filter and sort order to the link back to the session. */
export function restoreBackLink(session) {
  const link = document.getElementById("back");
  if (link) link.search = loadOrder(session).search;
}
