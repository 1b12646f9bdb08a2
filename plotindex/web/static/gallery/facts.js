// What inspection found in the plots of a session, as its page shows it: flags, and where a text is.

import { fetchJson } from "../api/client.js";

const CHECK_MS = 6000;
const MIN_LETTERS = 3; // of a text: almost all plots show a shorter one
const MAX_CHECKS = 6; // after a change: a plot is inspected some seconds later

export class SessionFacts {
  known = new Set(); // the flags that any copy has
  #url;
  #flags = new Map(); // project -> filename -> copy, `{version, flags}`
  #wheres = new Map(); // project -> filename -> copy, `{version, where}`
  #text = ""; // that was searched
  #checks = 0;

  /** `onLoad()` is called when flags were loaded again after changes. */
  constructor(url, onLoad) {
    this.#url = url;
    setInterval(async () => {
      if (!this.#checks || document.hidden) return;
      this.#checks -= 1;
      await this.load();
      if (this.#text) await this.search(this.#text);
      onLoad();
    }, CHECK_MS);
  }

  /** Plots have changed: load the flags again, soon. */
  noteChange() {
    this.#checks = MAX_CHECKS;
  }

  /** Request the flags of all copies; without an answer, the page goes on as before. */
  async load() {
    try {
      const { flagged } = await fetchJson(this.#url);
      this.#flags = byPlace(flagged);
      this.known = new Set(flagged.flatMap(({ flags }) => flags));
    } catch {
      // They are a help, and loaded again after the next change.
    }
  }

  /** Search for the copies that show a text; without an answer, none. */
  async search(text) {
    this.#text = text;
    const url = `${this.#url}?${new URLSearchParams({ text })}`;
    const answer = text.length < MIN_LETTERS ? null : await fetchJson(url).catch(() => null);
    // Another search may have come meanwhile.
    if (text === this.#text) this.#wheres = byPlace(answer?.found ?? []);
  }

  /** Whether a copy shows the text that was searched. */
  get hasFound() {
    return this.#wheres.size > 0;
  }

  /** The flags of a copy. */
  flags(filename, copy) {
    return this.#of(this.#flags, filename, copy)?.flags ?? [];
  }

  /** Where a copy shows the text that was searched, such as "title: Residuals"; empty if it does not. */
  where(filename, copy) {
    return this.#of(this.#wheres, filename, copy)?.where ?? "";
  }

  /** Not of another version. */
  #of(places, filename, { project, version }) {
    const found = places.get(project)?.get(filename);
    return found?.version === version ? found : undefined;
  }
}

function byPlace(copies) {
  const places = new Map();
  for (const copy of copies) {
    if (!places.has(copy.project)) places.set(copy.project, new Map());
    places.get(copy.project).set(copy.filename, copy);
  }
  return places;
}
