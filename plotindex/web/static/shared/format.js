// Formatting of numbers, sizes and times.

const UNITS = [[1e9, "GB"], [1e6, "MB"], [1e3, "KB"]];
const AGES = [[86400, "d"], [3600, "h"], [60, "min"]];
const precise = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function formatSize(bytes) {
  for (const [factor, unit] of UNITS) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(bytes >= 10 * factor ? 0 : 1)} ${unit}`;
  }
  return `${bytes} B`;
}

export const pluralize = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** The name of a project for readers. */
export const projectLabel = (project) => (project === "." ? "session folder" : project);

/** Milliseconds since the epoch of an RFC 3339 time with nine decimals: browsers need not parse more than three. */
export const toMilliseconds = (time) => Date.parse(`${time.slice(0, 23)}Z`);

export function formatAge(time) {
  const seconds = Math.max(0, Math.floor((Date.now() - toMilliseconds(time)) / 1000));
  for (const [length, unit] of AGES) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** Set a <time>: its age as text, the exact time as title. */
export function setTime(element, time) {
  element.dateTime = time;
  element.title = precise.format(toMilliseconds(time));
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
