// In which order the page of a session showed its plots: the pages of single plots go on by it, and back to it.

import { gallery } from "../api/client.js";

const PLACE = `plotindex ${gallery} order`;
const MOST = 10_000;

/** Keep the order of a session's plots, and the query of its page. */
export function keepOrder(session, filenames) {
  const { search } = location;
  sessionStorage.setItem(PLACE, JSON.stringify({ session, filenames: filenames.slice(0, MOST), search }));
}

/** The order that was kept of a session, or an empty one. */
export function keptOrder(session) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE));
    if (kept?.session === session && Array.isArray(kept.filenames)) return { search: "", ...kept };
  } catch {
    // What is kept there is nobody's order.
  }
  return { filenames: [], search: "" };
}

/** Let the link back to a session lead to it as it was filtered and sorted. */
export function leadBack(session) {
  const link = document.getElementById("back");
  if (link) link.search = keptOrder(session).search;
}
