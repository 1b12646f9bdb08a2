// "Since": the time from which plots are shown. The last visit is kept in this browser.

import { gallery } from "../api/client.js";
import { formatAge, now } from "./format.js";

const HOUR_MS = 3_600_000;
const PAUSE_MS = HOUR_MS / 2; // without a visible page ends a visit
const RECORD_MS = 60_000;
const STORAGE_KEY = `plotindex ${gallery} visits`;
const field = document.getElementById("since");

const STARTS = {
  hour: () => now() - HOUR_MS,
  yesterday: () => {
    const midnight = new Date(now());
    midnight.setDate(midnight.getDate() - 1);
    return midnight.setHours(0, 0, 0, 0);
  },
  visit: () => loadVisits().previous,
};

/** The time at which a choice of "Since" begins, in milliseconds since the epoch. */
export const startOf = (choice) => STARTS[choice]();

/** The time of the choice in the page, in milliseconds since the epoch; null for any time. */
export const sinceTime = () => STARTS[field.value]?.() ?? null;

/** Record that a page is seen, now and while it is visible. */
export function recordVisits() {
  recordVisit();
  setInterval(recordVisit, RECORD_MS);
  document.addEventListener("visibilitychange", recordVisit);
}

/** Show the field, with the choice of the URL, and call `onChange` when it is changed. */
export function connectSince(onChange) {
  const { previous } = loadVisits();
  const lastVisit = field.querySelector('[value="visit"]');
  lastVisit.disabled = !previous;
  if (previous) lastVisit.textContent += ` (${formatAge(new Date(previous).toISOString())})`;
  const chosen = new URLSearchParams(location.search).get("since") ?? "";
  const option = [...field.options].find(({ value, disabled }) => value === chosen && !disabled);
  field.value = option?.value ?? "";
  field.hidden = false;
  field.addEventListener("input", onChange);
}

/** `previous`: when the visit before this one ended; `seen`: when a page was seen last. */
function loadVisits() {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
  } catch {
    return {};
  }
}

function recordVisit() {
  if (document.hidden) return;
  const { seen, previous } = loadVisits();
  const isNew = seen && now() - seen > PAUSE_MS;
  localStorage.setItem(STORAGE_KEY, JSON.stringify({ seen: now(), previous: isNew ? seen : previous }));
}
