// The line of time of a plot: pictures of its kept versions, to step through, to drag along, and to play.

import { api, encodePath, fetchJson, sleep } from "../api/client.js";
import { coalesce } from "../api/refresh.js";
import { cancelLoad, loadWhenVisible } from "../gallery/thumbnails.js";
import { formatAge, formatSize, setTime } from "../shared/format.js";
import { Steps } from "./steps.js";

const MAX_VERSIONS = 1000;
const PAUSE_MS = 1000; // between two requests while the plot is drawn again and again
const [MIN_FRAME, MAX_FRAME] = [72, 112]; // CSS pixels

const section = document.getElementById("past");
const line = document.getElementById("line");
const frames = line?.querySelector("ol");
const caption = document.getElementById("version");
const compareTwo = document.getElementById("compare-two");
const compareAll = document.getElementById("compare-all");
const download = document.getElementById("download-version");

export class Timeline {
  #plot;
  #versions = []; // oldest first
  #selected; // the version selected; "" is the newest, also when a newer one comes
  #elements = new Map(); // version -> its picture
  #onSelect;
  #steps;

  /** Request the versions of a plot, `{session, filename, project}`, now and after changes of it. */
  load = coalesce(async () => {
    await this.#load();
    await sleep(PAUSE_MS);
  });

  /** `onSelect()` is called when another version is selected; playing waits while `isShown()` is false. */
  constructor(plot, { selected, onSelect, isShown }) {
    this.#plot = plot;
    this.#selected = selected;
    this.#onSelect = onSelect;
    this.#steps = new Steps({ onSelect: (index) => this.#select(index), isShown });
    new ResizeObserver(() => this.#renderFrames()).observe(section);
  }

  /** The version selected, or null for the newest. */
  get selected() {
    return this.#selected === "" ? null : (this.#versions.find(({ version }) => version === this.#selected) ?? null);
  }

  /** The versions beside the selected one. */
  get neighbours() {
    const index = this.#index;
    return [this.#versions[index + 1], this.#versions[index - 1]].filter(Boolean);
  }

  get #index() {
    const index = this.#versions.findIndex(({ version }) => version === this.#selected);
    return index < 0 ? this.#versions.length - 1 : index;
  }

  async #load() {
    const { session, filename, project } = this.#plot;
    const query = new URLSearchParams({ project, limit: MAX_VERSIONS });
    const before = this.selected?.version;
    try {
      const { versions } = await fetchJson(`${api}/history/${encodeURIComponent(session)}/${encodePath(filename)}?${query}`);
      this.#versions = versions.toReversed();
    } catch {
      // The page says so if the history is unavailable.
      return;
    }
    // Thinned or forgotten meanwhile, or the newest.
    if (!this.selected || this.selected === this.#versions.at(-1)) this.#selected = "";
    section.hidden = this.#versions.length < 2;
    if (section.hidden) return;
    this.#render();
    if (this.selected?.version !== before) this.#onSelect();
  }

  #select(index) {
    this.#selected = index === this.#versions.length - 1 ? "" : this.#versions[index].version;
    this.#renderSelected();
    this.#onSelect();
  }

  #render() {
    this.#renderFrames();
    this.#renderSelected();
  }

  #renderSelected() {
    const [index, count] = [this.#index, this.#versions.length];
    const { version, mtime, size, url } = this.#versions[index];
    const name = `Version ${index + 1} of ${count}`;
    this.#steps.show(count, index, `${name}, drawn ${formatAge(mtime)}`);
    caption.querySelector("b").textContent = name;
    setTime(caption.querySelector("time"), mtime);
    setTime(caption.querySelector("time[data-exact]"), mtime);
    caption.querySelector(".bytes").textContent = formatSize(size);
    const isNewest = index === count - 1;
    const other = this.#versions[isNewest ? count - 2 : count - 1].version;
    compareTwo.textContent = isNewest ? "Compare with previous" : "Compare with newest";
    compareTwo.search = this.#compare(["version", version], ["version", other]);
    compareAll.querySelector(".number").textContent = count.toLocaleString("en");
    compareAll.search = this.#compare(["versions", "all"]);
    download.href = `${url}&download=1`;
  }

  #compare(...which) {
    const { session, filename, project } = this.#plot;
    return new URLSearchParams([["session", session], ["name", filename], ["project", project], ...which]);
  }

  /** As many pictures as have room, evenly spaced: the slider's thumb, as wide as one, lies on the version that it shows. */
  #renderFrames() {
    const count = this.#versions.length;
    if (section.hidden || !count) return;
    const width = section.clientWidth;
    const number = Math.min(count, Math.max(2, Math.floor(width / MIN_FRAME)));
    line.style.setProperty("--frame", `${Math.min(MAX_FRAME, width / number)}px`);
    const shown = Array.from({ length: number }, (_, place) => this.#versions[Math.round((place * (count - 1)) / (number - 1))]);
    const kept = new Set(shown.map(({ version }) => version));
    for (const [version, element] of this.#elements) {
      if (kept.has(version)) continue;
      cancelLoad(element.querySelector("img"));
      this.#elements.delete(version);
    }
    frames.replaceChildren(...shown.map((version) => this.#frameOf(version)));
  }

  #frameOf({ version, url, size, mtime }) {
    if (!this.#elements.has(version)) {
      const element = document.getElementById("frame").content.firstElementChild.cloneNode(true);
      const image = element.querySelector("img");
      Object.assign(image.dataset, { image: url, size, filename: this.#plot.filename });
      loadWhenVisible(image);
      setTime(element.querySelector("time"), mtime);
      this.#elements.set(version, element);
    }
    return this.#elements.get(version);
  }
}
