// The list of plots beside the selected one.

import { cancelLoad, loadWhenVisible } from "../gallery/thumbnails.js";

const container = document.getElementById("list");
const template = document.getElementById("item");

export const KINDS = { null: "comparing…" };

export class PlotList {
  #items = new Map(); // filename -> {element, plot}
  #selected = null;
  #onSelect;
  #inView = new Set();
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#inView[isIntersecting ? "add" : "delete"](target);
  });

  /** `onSelect(filename)` is called when the user has chosen a plot. */
  constructor(onSelect) {
    this.#onSelect = onSelect;
    container.addEventListener("click", ({ target }) => {
      const item = target.closest("li");
      if (item) onSelect(item.dataset.filename, { isChosen: true });
    });
    container.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** The filenames of those in view that are not compared yet. */
  get pendingInView() {
    const names = [...this.#inView].map(({ dataset }) => dataset.filename);
    return names.filter((name) => this.#items.get(name)?.plot.kind === null);
  }

  /** Show these plots in this order. */
  show(plots) {
    const wanted = new Set(plots.map(({ filename }) => filename));
    for (const [filename, { element }] of this.#items) {
      if (wanted.has(filename)) continue;
      cancelLoad(element.querySelector("img"));
      this.#observer.unobserve(element);
      this.#inView.delete(element);
      this.#items.delete(filename);
    }
    const elements = plots.map((plot) => this.#render(plot));
    const isSame = container.children.length === elements.length && elements.every((element, at) => element === container.children[at]);
    if (isSame) return;
    const focused = container.contains(document.activeElement) ? document.activeElement : null;
    container.replaceChildren(...elements);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  /** Mark a plot as the selected one, and bring it into view. */
  select(filename, { isFocused = false } = {}) {
    this.#mark(this.#selected, false);
    this.#selected = filename;
    const element = this.#mark(filename, true);
    if (!element) return;
    // Not the page itself, which a phone has scrolled to the pictures.
    const list = container.parentElement;
    if (list.scrollHeight > list.clientHeight) {
      const { top, bottom } = element.getBoundingClientRect();
      const box = list.getBoundingClientRect();
      if (top < box.top) list.scrollTop -= box.top - top;
      else if (bottom > box.bottom) list.scrollTop += bottom - box.bottom;
    }
    if (isFocused || container.contains(document.activeElement)) element.firstElementChild.focus({ preventScroll: isFocused });
  }

  #mark(filename, isSelected) {
    const element = this.#items.get(filename)?.element;
    const button = element?.firstElementChild;
    if (isSelected) button?.setAttribute("aria-current", "true");
    else button?.removeAttribute("aria-current");
    if (button) button.tabIndex = isSelected ? 0 : -1;
    return element;
  }

  #onKey(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const item = event.target.closest("li");
    const next = steps[event.key] > 0 ? item.nextElementSibling : item.previousElementSibling;
    if (next) this.#onSelect(next.dataset.filename, {});
  }

  #render(plot) {
    const existing = this.#items.get(plot.filename);
    const element = existing?.element ?? template.content.firstElementChild.cloneNode(true);
    this.#items.set(plot.filename, { element, plot });
    if (existing && keyOf(existing.plot) === keyOf(plot)) return element;
    element.dataset.filename = plot.filename;
    const part = (name) => element.querySelector(name);
    part("button").tabIndex = plot.filename === this.#selected ? 0 : -1;
    part("bdi").textContent = plot.filename;
    describe(element, plot);
    part(".word").textContent = plot.words[0] ?? "";
    const image = part("img");
    const { url, size, filename } = plot.to ?? plot.from;
    if (image.dataset.image !== url) {
      image.removeAttribute("src");
      Object.assign(image.dataset, { image: url, size, filename });
      loadWhenVisible(image);
    }
    if (!existing) this.#observer.observe(element);
    return element;
  }
}

/** Show kind and score in the parts of an element that have these classes. */
export function describe(element, { kind, score }) {
  const badge = element.querySelector(".kind");
  badge.textContent = KINDS[kind] ?? kind;
  badge.dataset.kind = kind;
  element.querySelector(".score").textContent = score ? `${score.toFixed(score < 1 ? 3 : 1)} %` : "";
}

const keyOf = ({ kind, score, words, from, to }) => [kind, score, words[0], from?.version, to?.version].join("\0");
