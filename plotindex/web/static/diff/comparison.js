// The plots of a comparison, the most changed first: pages of /diff, read again while some are pending.

import { api, check, fetchJson, setStatus, sleep } from "../api/client.js";
import { showLoginExpired } from "../api/changes.js";
import { coalesce } from "../api/refresh.js";

const PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;
const POLL_MS = 1500; // between two requests while plots are pending
const MAX_POLL_MS = 20_000; // while none of them is compared
const MAX_FIRST = 20; // plots in view
const MAX_FIRST_LENGTH = 2000; // of an address

export class Comparison {
  plots = [];
  counts = {};
  pending = 0;
  hasMore = true;
  #sides;
  #kind = "";
  #next = null;
  #interval = POLL_MS;
  #timer = 0;
  #onChange;
  #firstNames;
  #refresh;

  /** `onChange()` is called when plots have come or changed; `firstNames()` are the pending ones to compare first. */
  constructor(sides, onChange, firstNames) {
    this.#sides = sides;
    this.#onChange = onChange;
    this.#firstNames = firstNames;
    this.#refresh = coalesce(() => this.#readAgain());
  }

  /** Show a kind, or all that differ if empty. */
  async setKind(kind) {
    this.#kind = kind;
    this.plots = [];
    this.hasMore = true;
    await this.refresh();
  }

  /** Read the loaded pages again. */
  async refresh() {
    clearTimeout(this.#timer);
    await this.#refresh();
  }

  /** Load the next page. */
  async loadMore() {
    if (this.#next === null) return;
    const [kind, after] = [this.#kind, this.#next];
    const page = await fetchJson(this.#address({ limit: PAGE_SIZE, after })).catch(() => null);
    // Otherwise the list was read again meanwhile.
    if (!page || kind !== this.#kind || after !== this.#next) return;
    const known = new Set(this.plots.map(({ filename }) => filename));
    this.#take([...this.plots, ...page.plots.filter(({ filename }) => !known.has(filename))], page);
  }

  async #readAgain() {
    const kind = this.#kind;
    const wanted = Math.max(this.plots.length, PAGE_SIZE);
    try {
      const plots = [];
      let page = null;
      do {
        const limit = Math.min(wanted - plots.length, MAX_PAGE_SIZE);
        const response = await fetch(this.#address({ limit, after: page?.next ?? "" }), { cache: "no-cache" });
        if (response.status === 401) return showLoginExpired();
        if (response.status === 404) return this.#fail((await response.json()).error);
        check(response);
        page = await response.json();
        if (kind !== this.#kind) return;
        plots.push(...page.plots);
      } while (page.next !== null && plots.length < wanted);
      setStatus("diff");
      const isProgress = !page.pending || page.pending !== this.pending;
      this.#interval = isProgress ? POLL_MS : Math.min(2 * this.#interval, MAX_POLL_MS);
      this.#take(plots, page);
    } catch {
      setStatus("diff", "The server cannot compare now. Retrying…");
      this.#interval = Math.min(2 * this.#interval, MAX_POLL_MS);
    }
    if (this.pending || this.#interval > POLL_MS) this.#readLater();
  }

  #take(plots, { counts, pending, next }) {
    Object.assign(this, { plots, counts, pending, hasMore: next !== null, error: "" });
    this.#next = next;
    this.#onChange();
  }

  #fail(error) {
    Object.assign(this, { plots: [], counts: {}, pending: 0, hasMore: false, error });
    this.#next = null;
    this.#onChange();
  }

  #readLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      while (document.hidden) await sleep(POLL_MS);
      this.refresh();
    }, this.#interval);
  }

  #address({ limit, after }) {
    const query = new URLSearchParams({ ...this.#sides, limit });
    if (this.#kind) query.set("kind", this.#kind);
    if (after) query.set("after", after);
    let length = 0;
    for (const filename of this.#firstNames().slice(0, MAX_FIRST)) {
      length += encodeURIComponent(filename).length;
      if (length <= MAX_FIRST_LENGTH) query.append("first", filename);
    }
    return `${api}/diff?${query}`;
  }
}
