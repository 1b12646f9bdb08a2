// Formatting of numbers, sizes and times.

const UNITS = [[1e9, "GB"], [1e6, "MB"], [1e3, "KB"]];
const AGES = [[86400, "d"], [3600, "h"], [60, "min"]];
const SKEW_MS = 60_000; // between clocks that are meant to be equal
const MAX_DELAY_MS = 5000; // of a response
const precise = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function formatSize(bytes) {
  for (const [factor, unit] of UNITS) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(bytes >= 10 * factor ? 0 : 1)} ${unit}`;
  }
  return `${bytes} B`;
}

export const pluralize = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** "3 of 12 plots" of a filtered list; otherwise "12 plots, 39 copies", the copies only if there are more of them. */
export function countText({ shown, total, copies, isFiltered, noun }) {
  if (isFiltered) return `${shown.toLocaleString("en")} of ${pluralize(total, noun)}`;
  const copiesText = copies > total ? `, ${copies.toLocaleString("en")} copies` : "";
  return pluralize(total, noun) + copiesText;
}

/** The name of a project for readers. */
export const projectLabel = (project) => (project === "." ? "session folder" : project);

/** Milliseconds since the epoch of an RFC 3339 time with nine decimals: browsers need not parse more than three. */
export const toMilliseconds = (time) => Date.parse(`${time.slice(0, 23)}Z`);

let clockError = 0;
correctClock(document.documentElement.dataset.time);

/** The server's time, in milliseconds since the epoch, as far as a response has told it: the browser's may be wrong. */
export const now = () => Date.now() + clockError;

/** Take the time of the server from a response; its header `Date` is of whole seconds. */
export function readClock(response) {
  correctClock(response.headers.get("Date"));
}

function correctClock(serverTime) {
  const error = Date.parse(serverTime) - Date.now();
  if (!Number.isNaN(error)) clockError = Math.abs(error) > MAX_DELAY_MS ? error : 0;
}

/** "5 min ago", or for a time ahead "in 5 min". */
export function formatAge(time) {
  const seconds = Math.trunc((now() - toMilliseconds(time)) / 1000);
  for (const [length, unit] of AGES) {
    const count = Math.floor(Math.abs(seconds) / length);
    if (count) return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
  }
  // Clocks differ by some seconds.
  return `${Math.max(0, seconds)} s ago`;
}

/** Set a <time>: its age as text, the exact time as title. */
export function setTime(element, time) {
  element.dateTime = time;
  element.title = precise.format(toMilliseconds(time)) + (toMilliseconds(time) > now() + SKEW_MS ? " (in the future)" : "");
  element.textContent = element.hasAttribute("data-exact") ? element.title : formatAge(time);
}

/** Update every <time> of the page now and every ten seconds. */
export function startTimeUpdates() {
  const update = () => {
    for (const element of document.querySelectorAll("time")) setTime(element, element.dateTime);
  };
  update();
  setInterval(update, 10_000);
}
