// The plots of a session: filter, sort, group. Independent of the page.

import { projectLabel } from "../shared/format.js";

const names = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => names.compare(a.filename, b.filename) || (a.filename < b.filename ? -1 : 1);
const ORDERS = {
  newest: (a, b) => compareText(b.mtime, a.mtime) || byName(a, b),
  oldest: (a, b) => compareText(a.mtime, b.mtime) || byName(a, b),
  name: byName,
  size: (a, b) => b.size - a.size || byName(a, b),
};
const GROUP_KEYS = {
  folder: (entry) => entry.filename.slice(0, Math.max(0, entry.filename.lastIndexOf("/"))),
  project: (entry) => projectLabel(entry.project),
};

/** Entries of the list API, by filename. */
export class Plots {
  #entries = new Map();

  get count() {
    return this.#entries.size;
  }

  get(filename) {
    return this.#entries.get(filename);
  }

  replace(entries) {
    this.#entries = new Map(entries.map((entry) => [entry.filename, entry]));
  }

  /** Apply changes; returns the filenames that have a new current copy. */
  apply(changed, removed) {
    for (const key of removed) this.#entries.delete(key.filename);
    const renewed = changed.filter((entry) => isNewVersion(entry, this.#entries.get(entry.filename)));
    for (const entry of changed) this.#entries.set(entry.filename, entry);
    return renewed.map((entry) => entry.filename);
  }

  /** Matching entries in order, as `[{heading, entries}]`; without a group the heading is null. */
  group({ query = "", sort = "newest", group = "" }) {
    const matches = matcher(query);
    const entries = [...this.#entries.values()].filter(matches).sort(ORDERS[sort] ?? ORDERS.newest);
    if (!GROUP_KEYS[group]) return [{ heading: null, entries }];
    const groups = new Map();
    for (const entry of entries) {
      const heading = GROUP_KEYS[group](entry);
      if (!groups.has(heading)) groups.set(heading, []);
      groups.get(heading).push(entry);
    }
    const headings = [...groups.keys()].sort(names.compare);
    return headings.map((heading) => ({ heading, entries: groups.get(heading) }));
  }
}

/** A predicate: every word or glob of the query matches the filename or a project of the entry. */
function matcher(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean).map(wordMatcher);
  return (entry) => {
    const texts = [entry.filename, ...entry.copies.map((copy) => copy.project)].map((text) => text.toLowerCase());
    return words.every((matches) => texts.some(matches));
  };
}

function wordMatcher(word) {
  if (!/[*?]/.test(word)) return (text) => text.includes(word);
  return (text) => matchesGlob(text, word);
}

/** Whether a text matches a glob with `*` and `?`. Not a regular expression: those can backtrack exponentially. */
function matchesGlob(text, pattern) {
  let [textIndex, patternIndex, star, restart] = [0, 0, -1, 0];
  while (textIndex < text.length) {
    if (pattern[patternIndex] === "*") [star, restart, patternIndex] = [patternIndex, textIndex, patternIndex + 1];
    else if (pattern[patternIndex] === "?" || pattern[patternIndex] === text[textIndex]) [textIndex, patternIndex] = [textIndex + 1, patternIndex + 1];
    else if (star >= 0) [restart, textIndex, patternIndex] = [restart + 1, restart + 1, star + 1];
    else return false;
  }
  return /^\**$/.test(pattern.slice(patternIndex));
}

const isNewVersion = (entry, previous) => previous?.version !== entry.version || previous.project !== entry.project;

const compareText = (a, b) => (a < b ? -1 : Number(a > b));
