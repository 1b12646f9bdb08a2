// The history of a session, as its page shows it: how often plots were drawn again, and which were removed.

import { fetchJson } from "../api/client.js";
import { Plots } from "./plots.js";

export class SessionHistory {
  hasRemoved = false;
  removed = new Plots();
  notice = "Loading…"; // why the removed plots are not listed
  #url;
  #counts = new Map(); // project -> filename -> how often its copy was drawn again

  /** `url` is empty where no history is kept. */
  constructor(url) {
    this.#url = url;
    if (!url) this.notice = "";
  }

  /** Request how often plots were drawn again, and whether some were removed; without an answer, the page lacks it. */
  async load() {
    if (!this.#url) return;
    try {
      const { redrawn, removed } = await fetchJson(this.#url);
      this.hasRemoved = removed;
      this.#counts = new Map(Object.entries(redrawn).map(([project, counts]) => [project, new Map(Object.entries(counts))]));
    } catch {
      this.#url = "";
    }
  }

  /** How often a copy was drawn again. */
  count(filename, project) {
    return this.#counts.get(project)?.get(filename) ?? 0;
  }

  /** Count what was drawn again meanwhile. */
  add(filename, project) {
    if (!this.#url) return;
    if (!this.#counts.has(project)) this.#counts.set(project, new Map());
    this.#counts.get(project).set(filename, this.count(filename, project) + 1);
  }

  /** Note that plots were removed. */
  noteRemoval() {
    this.hasRemoved = this.#url !== "";
  }

  /** Request the removed plots. The time of a copy is that of its removal. */
  async loadRemoved() {
    if (!this.#url) return;
    const entries = [];
    try {
      for (let after = ""; after !== null; ) {
        const page = await fetchJson(`${this.#url}?${new URLSearchParams({ removed: 1, after })}`);
        after = page.next;
        for (const entry of page.plots) {
          const copies = entry.copies.map((copy) => ({ ...copy, mtime: copy.gone }));
          entries.push({ ...entry, copies, isRemoved: true });
        }
      }
    } catch {
      this.notice = "The history is unavailable.";
      return;
    }
    this.removed.replace(entries);
    this.notice = "";
  }
}
