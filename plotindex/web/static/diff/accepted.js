// The pairs that the user has accepted, in this browser: each by the versions of both sides.

import { gallery } from "../api/client.js";

const STORAGE_KEY = `plotindex ${gallery} accepted`;
const MAX_ACCEPTED = 50_000; // the oldest are forgotten

let accepted = load();
addEventListener("storage", ({ key }) => {
  if (key === STORAGE_KEY) accepted = load();
});

const keyOf = ({ from, to }) => `${from?.version ?? ""}-${to?.version ?? ""}`;

/** Whether a pair is accepted, and neither side has changed since. */
export const isAccepted = (plot) => accepted.has(keyOf(plot));

/** Accept pairs, or take that back. */
export function setAccepted(plots, isNow) {
  for (const plot of plots) accepted[isNow ? "add" : "delete"](keyOf(plot));
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify([...accepted].slice(-MAX_ACCEPTED)));
  } catch {
    // No room: they are accepted on this page only.
  }
}

function load() {
  try {
    return new Set(JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? []);
  } catch {
    return new Set();
  }
}
