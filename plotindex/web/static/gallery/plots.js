// The plots of a session, and the order in which they are shown. Knows nothing of the page.

const names = new Intl.Collator(undefined, { numeric: true });
const byName = (one, other) => names.compare(one.filename, other.filename) || (one.filename < other.filename ? -1 : 1);
const ORDERS = {
  newest: (one, other) => compare(other.mtime, one.mtime) || byName(one, other),
  oldest: (one, other) => compare(one.mtime, other.mtime) || byName(one, other),
  name: byName,
  size: (one, other) => other.size - one.size || byName(one, other),
};
const GROUPS = {
  folder: (entry) => entry.filename.slice(0, Math.max(0, entry.filename.lastIndexOf("/"))),
  project: (entry) => entry.project,
};

/** Entries as the lists have them, by filename. */
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

  /** Take over what has changed; returns the filenames whose current copy is another now. */
  change(changed, removed) {
    for (const key of removed) this.#entries.delete(key.filename);
    const fresh = changed.filter((entry) => isOther(entry, this.#entries.get(entry.filename)));
    for (const entry of changed) this.#entries.set(entry.filename, entry);
    return fresh.map((entry) => entry.filename);
  }

  /** What is shown: groups of entries, each with its heading, in order. */
  arrange({ query = "", sort = "newest", group = "" }) {
    const matches = matcher(query);
    const shown = [...this.#entries.values()].filter(matches).sort(ORDERS[sort] ?? ORDERS.newest);
    if (!GROUPS[group]) return [{ heading: null, entries: shown }];
    const groups = new Map();
    for (const entry of shown) {
      const heading = GROUPS[group](entry);
      if (!groups.has(heading)) groups.set(heading, []);
      groups.get(heading).push(entry);
    }
    const headings = [...groups.keys()].sort(names.compare);
    return headings.map((heading) => ({ heading, entries: groups.get(heading) }));
  }
}

/** A function that says whether an entry has every word of a query in its name or in a project's; `*` stands for any. */
function matcher(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean).map(wordMatcher);
  return (entry) => {
    const texts = [entry.filename, ...entry.copies.map((copy) => copy.project)].map((text) => text.toLowerCase());
    return words.every((matches) => texts.some(matches));
  };
}

function wordMatcher(word) {
  if (!/[*?]/.test(word)) return (text) => text.includes(word);
  return (text) => isLike(text, word);
}

/** Whether a text is as a pattern with `*` and `?` says; no regular expression, which some names could hold up for good. */
function isLike(text, pattern) {
  let [at, next, star, tried] = [0, 0, -1, 0];
  while (at < text.length) {
    if (pattern[next] === "*") [star, tried, next] = [next, at, next + 1];
    else if (pattern[next] === "?" || pattern[next] === text[at]) [at, next] = [at + 1, next + 1];
    else if (star >= 0) [tried, at, next] = [tried + 1, tried + 1, star + 1];
    else return false;
  }
  return /^\**$/.test(pattern.slice(next));
}

const isOther = (entry, known) => known?.version !== entry.version || known.project !== entry.project;

const compare = (one, other) => (one < other ? -1 : Number(one > other));
