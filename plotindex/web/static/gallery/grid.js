// A virtual grid: only the cards near the viewport are in the page.

import { Layout, columnsOf } from "./layout.js";

const MAX_EXPANDED = 1000; // cards in the page at once
const OVERSCAN = 1; // screens above and below the viewport
const MARGIN = 16; // below a card that is scrolled into view
const HEADER = 90; // pixels that the sticky header may cover

/** `cards`: `create(card)` returns an element, `update(element, card)` updates it, `remove(element)` is called before removal. */
export class Grid {
  #container;
  #cards;
  #groups = [];
  #layout = new Layout([], columnsOf(0, "medium"), 0);
  #elements = new Map();
  #slots = new WeakMap(); // element -> the slot that it shows
  #scale = "medium";
  #isExpanded = false;
  #measured = { style: "", height: 0 };

  constructor(container, cards) {
    this.#container = container;
    this.#cards = cards;
    addEventListener("scroll", () => this.#render(), { passive: true });
    new ResizeObserver(() => this.#layOut()).observe(container);
    container.addEventListener("keydown", (event) => this.#onKeydown(event));
  }

  set scale(scale) {
    this.#scale = scale;
    this.#layOut();
  }

  /** For printing: render all cards, up to a limit, instead of those near the viewport. */
  expand(isExpanded) {
    this.#isExpanded = isExpanded;
    const count = this.#layout.cardCount;
    if (isExpanded && count > MAX_EXPANDED) this.#container.dataset.more = `The first ${MAX_EXPANDED} of ${count.toLocaleString("en")} are printed.`;
    else delete this.#container.dataset.more;
    this.#render();
  }

  /** Show groups of cards. Visible cards keep their place, except at the top of the page. */
  show(groups) {
    const anchor = this.#anchor();
    if (!this.#isWindowed) this.#adopt(groups);
    this.#groups = groups;
    this.#layOut();
    const slot = anchor && this.#layout.get(anchor.key);
    if (slot) scrollBy({ top: this.#top() + slot.top - anchor.top, behavior: "instant" });
  }

  /** Take over the cards that are in the page: a click on one of them is not lost. */
  #adopt(groups) {
    const cards = groups.flatMap(({ cards }) => cards);
    const keys = new Map(cards.map(({ filename, key }) => [filename, key]));
    for (const element of this.#container.children) {
      element.dataset.key = keys.get(element.dataset.filename) ?? element.dataset.filename;
      this.#elements.set(element.dataset.key, element);
    }
    this.#container.classList.add("windowed");
  }

  /** Scroll to `top`, then as far as needed to see the card of `key`, and render the visible cards. */
  scrollToCard(top, key) {
    scrollTo({ top, behavior: "instant" });
    const slot = this.#layout.get(key);
    if (slot) this.#scrollToSlot(slot);
    this.#render();
  }

  get isAtTop() {
    return scrollY < 80;
  }

  /** Whether the grid positions its cards; before `show`, the page does. */
  get #isWindowed() {
    return this.#container.classList.contains("windowed");
  }

  #top() {
    return this.#container.getBoundingClientRect().top;
  }

  #anchor() {
    if (this.isAtTop) return null;
    const top = this.#top();
    const first = this.#layout.firstCardBelow(100 - top);
    return first && { key: first.key, top: top + first.top };
  }

  #layOut() {
    const { clientWidth } = this.#container;
    if (!clientWidth || !this.#isWindowed) return;
    const columns = columnsOf(clientWidth, this.#scale);
    this.#layout = new Layout(this.#groups, columns, this.#measureCard(columns.width));
    this.#container.style.height = `${this.#layout.height}px`;
    this.#render();
  }

  /** The height of a card of that width and the grid's style; all cards are equally high. */
  #measureCard(width) {
    const first = this.#groups.find(({ cards }) => cards.length)?.cards[0];
    const style = `${width} ${this.#container.className}`;
    if (this.#measured.style === style || !first) return this.#measured.height;
    const element = this.#cards.create(first);
    element.style.width = `${width}px`;
    element.style.visibility = "hidden";
    this.#container.append(element);
    this.#measured = { style, height: element.offsetHeight };
    this.#cards.remove(element);
    element.remove();
    return this.#measured.height;
  }

  #render() {
    const top = this.#top();
    const margin = innerHeight * OVERSCAN;
    // Keep the focused card in the page.
    const focused = this.#container.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const near = () => this.#layout.between(-margin - top, innerHeight + margin - top);
    const visible = this.#isExpanded ? this.#layout.first(MAX_EXPANDED) : near();
    const kept = this.#layout.get(focused);
    if (kept && !visible.includes(kept)) visible[kept.top < visible[0]?.top ? "unshift" : "push"](kept);
    const keys = new Set(visible.map(({ key }) => key));
    for (const [key, element] of this.#elements) {
      if (keys.has(key)) continue;
      if (!element.matches("h2")) this.#cards.remove(element);
      element.remove();
      this.#elements.delete(key);
    }
    let previous = null;
    for (const slot of visible) {
      const element = this.#elements.get(slot.key) ?? this.#create(slot);
      if (this.#slots.get(element) !== slot) this.#place(element, slot);
      const next = previous ? previous.nextSibling : this.#container.firstChild;
      // DOM order is the order of Tab. Moving the focused element would take the focus from it.
      if (next !== element && element.dataset.key !== focused) this.#container.insertBefore(element, next);
      else if (!element.isConnected) this.#container.append(element);
      previous = element;
    }
  }

  #create({ key, heading, card }) {
    const element = card ? this.#cards.create(card) : createHeading(heading);
    element.dataset.key = key;
    this.#elements.set(key, element);
    return element;
  }

  #place(element, slot) {
    const { card, count, top, left, width, height, place } = slot;
    this.#slots.set(element, slot);
    element.style.transform = `translate(${left}px, ${top}px)`;
    if (card) {
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      element.setAttribute("aria-posinset", place + 1);
      element.setAttribute("aria-setsize", this.#layout.cardCount);
      this.#cards.update(element, card);
    } else {
      element.lastChild.textContent = count.toLocaleString("en");
    }
  }

  /** The element of a card, if it is rendered. */
  card(key) {
    return this.#elements.get(key);
  }

  #onKeydown(event) {
    if (!event.key.startsWith("Arrow") || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const key = keyOf(event.target);
    if (!this.#layout.get(key)) return;
    event.preventDefault();
    const next = this.#layout.neighbour(key, event.key);
    if (!next) return;
    this.#scrollToSlot(next);
    this.#render();
    this.#elements.get(next.key)?.querySelector("a").focus({ preventScroll: true });
  }

  /** Scroll only as far as needed to make the slot visible. */
  #scrollToSlot(slot) {
    const top = this.#top();
    if (top + slot.top < HEADER) scrollBy({ top: top + slot.top - HEADER, behavior: "instant" });
    const below = top + slot.top + slot.height - innerHeight + MARGIN;
    if (below > 0) scrollBy({ top: below, behavior: "instant" });
  }
}

function createHeading(text) {
  const heading = document.createElement("h2");
  const name = document.createElement("bdi");
  const count = document.createElement("span");
  count.className = "count";
  name.textContent = text || "No folder";
  heading.append(name, count);
  return heading;
}

const keyOf = (element) => element.closest("[data-key]")?.dataset.key ?? null;
