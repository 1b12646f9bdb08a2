// Numbers and times as people read them.

const UNITS = [[1e9, "GB"], [1e6, "MB"], [1e3, "KB"]];
const AGES = [[86400, "d"], [3600, "h"], [60, "min"]];
const precise = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function size(bytes) {
  for (const [factor, unit] of UNITS) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(bytes >= 10 * factor ? 0 : 1)} ${unit}`;
  }
  return `${bytes} B`;
}

export const many = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** Milliseconds of a time with nine decimals, of which no browser needs to read more than three. */
export const milliseconds = (moment) => Date.parse(`${moment.slice(0, 23)}Z`);

export function ago(moment) {
  const seconds = Math.max(0, Math.floor((Date.now() - milliseconds(moment)) / 1000));
  for (const [length, unit] of AGES) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** Let a <time> say how long ago it was, and by its title exactly when. */
export function setTime(element, moment) {
  element.dateTime = moment;
  element.title = precise.format(milliseconds(moment));
  element.textContent = element.hasAttribute("data-exact") ? element.title : ago(moment);
}

/** Keep every <time> of the page right. */
export function keepTimes() {
  const again = () => {
    for (const element of document.querySelectorAll("time")) setTime(element, element.dateTime);
  };
  again();
  setInterval(again, 10_000);
}
