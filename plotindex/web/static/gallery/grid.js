// A virtual grid: only the cards near the viewport are in the page.

const GAP = 16;
const HEADING = 44;
const MIN_WIDTHS = { small: 150, medium: 230, large: 380 };
const MIN_COLUMNS = 2;
const OVERSCAN = 1; // screens above and below the viewport

/** `cards`: `create(entry)` returns a card, `update(card, entry)` updates it, `remove(card)` is called before removal. */
export class Grid {
  #container;
  #cards;
  #groups = [];
  #slots = [];
  #elements = new Map();
  #scale = "medium";

  constructor(container, cards) {
    this.#container = container;
    this.#cards = cards;
    addEventListener("scroll", () => this.#render(), { passive: true });
    new ResizeObserver(() => this.#layOut()).observe(container);
    container.addEventListener("keydown", (event) => this.#onKeydown(event));
  }

  set scale(scale) {
    this.#scale = scale;
    if (this.#groups.length) this.#layOut();
  }

  /** Show groups of entries. Visible cards keep their place, except at the top of the page. */
  show(groups) {
    const anchor = this.#anchor();
    if (!this.#container.classList.contains("windowed")) this.#container.replaceChildren();
    this.#container.classList.add("windowed");
    this.#groups = groups;
    this.#layOut();
    const slot = anchor && this.#slots.find(({ key }) => key === anchor.key);
    if (slot) scrollBy({ top: this.#top() + slot.top - anchor.top, behavior: "instant" });
  }

  /** Scroll to `top`, then as far as needed to see the card of `key`, and render the visible cards. */
  scrollToCard(top, key) {
    scrollTo({ top, behavior: "instant" });
    const slot = this.#slots.find((slot) => slot.key === key);
    if (slot) this.#scrollToSlot(slot);
    this.#render();
  }

  get isAtTop() {
    return scrollY < 80;
  }

  #top() {
    return this.#container.getBoundingClientRect().top;
  }

  #anchor() {
    if (this.isAtTop) return null;
    const top = this.#top();
    const first = this.#slots.find((slot) => slot.entry && top + slot.top + slot.height > 100);
    return first && { key: first.key, top: top + first.top };
  }

  #layOut() {
    const width = this.#container.clientWidth;
    if (!width) return;
    const gap = width < 500 ? GAP / 2 : GAP;
    const columns = Math.max(MIN_COLUMNS, Math.floor((width + gap) / (MIN_WIDTHS[this.#scale] + gap)));
    const columnWidth = (width - gap * (columns - 1)) / columns;
    const height = this.#measureCard(columnWidth);
    let top = 0;
    this.#slots = [];
    for (const { heading, entries } of this.#groups) {
      if (heading !== null) {
        // Filenames contain no NUL: never the key of a card.
        this.#slots.push({ key: `\0${heading}`, heading, count: entries.length, top, height: HEADING });
        top += HEADING;
      }
      entries.forEach((entry, index) => {
        const left = (index % columns) * (columnWidth + gap);
        const slotTop = top + Math.floor(index / columns) * (height + gap);
        this.#slots.push({ key: entry.filename, entry, top: slotTop, left, width: columnWidth, height, columns });
      });
      top += Math.ceil(entries.length / columns) * (height + gap);
    }
    this.#container.style.height = `${top}px`;
    this.#render();
  }

  /** The height of a card of that width; all cards are equally high. */
  #measureCard(width) {
    const first = this.#groups.find(({ entries }) => entries.length)?.entries[0];
    if (!first) return 0;
    const card = this.#cards.create(first);
    card.style.width = `${width}px`;
    card.style.visibility = "hidden";
    this.#container.append(card);
    const height = card.offsetHeight;
    card.remove();
    return height;
  }

  #render() {
    const top = this.#top();
    const margin = innerHeight * OVERSCAN;
    // Keep the focused card in the page.
    const focused = this.#container.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const isRendered = (slot) => slot.top + slot.height + top > -margin && slot.top + top < innerHeight + margin;
    const rendered = this.#slots.filter((slot) => isRendered(slot) || slot.key === focused);
    const keys = new Set(rendered.map(({ key }) => key));
    for (const [key, element] of this.#elements) {
      if (keys.has(key)) continue;
      if (!element.matches("h2")) this.#cards.remove(element);
      element.remove();
      this.#elements.delete(key);
    }
    let previous = null;
    for (const slot of rendered) {
      const element = this.#elements.get(slot.key) ?? this.#create(slot);
      this.#position(element, slot);
      const next = previous ? previous.nextSibling : this.#container.firstChild;
      // DOM order is the order of Tab. Moving the focused element would take the focus from it.
      if (next !== element && element.dataset.key !== focused) this.#container.insertBefore(element, next);
      else if (!element.isConnected) this.#container.append(element);
      previous = element;
    }
  }

  #create({ key, heading, entry }) {
    const element = entry ? this.#cards.create(entry) : document.createElement("h2");
    if (!entry) {
      const name = document.createElement("bdi");
      const count = document.createElement("span");
      count.className = "count";
      name.textContent = heading || "No folder";
      element.append(name, count);
    }
    element.dataset.key = key;
    this.#elements.set(key, element);
    return element;
  }

  #position(element, { entry, count, top, left = 0, width, height }) {
    element.style.transform = `translate(${left}px, ${top}px)`;
    if (entry) {
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      this.#cards.update(element, entry);
    } else {
      element.lastChild.textContent = count.toLocaleString("en");
    }
  }

  /** The card of a filename, if it is rendered. */
  card(filename) {
    return this.#elements.get(filename);
  }

  #onKeydown(event) {
    const directions = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down" };
    const direction = directions[event.key];
    if (!direction || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const cards = this.#slots.filter((slot) => slot.entry);
    const index = cards.findIndex(({ key }) => key === keyOf(event.target));
    if (index < 0) return;
    event.preventDefault();
    const next = Number.isInteger(direction) ? cards[index + direction] : cardInAdjacentRow(cards, index, direction);
    if (!next) return;
    this.#scrollToSlot(next);
    this.#render();
    this.#elements.get(next.key)?.querySelector("a").focus({ preventScroll: true });
  }

  /** Scroll only as far as needed to make the slot visible. */
  #scrollToSlot(slot) {
    const top = this.#top();
    if (top + slot.top < 90) scrollBy({ top: top + slot.top - 90, behavior: "instant" });
    const below = top + slot.top + slot.height - innerHeight + GAP;
    if (below > 0) scrollBy({ top: below, behavior: "instant" });
  }
}

const keyOf = (element) => element.closest("[data-key]")?.dataset.key ?? null;

/** The nearest card in the row above or below. */
function cardInAdjacentRow(cards, index, direction) {
  const { top, left } = cards[index];
  const candidates = direction === "up" ? cards.slice(0, index).reverse() : cards.slice(index + 1);
  const rowTop = candidates.find((slot) => slot.top !== top)?.top;
  const row = candidates.filter((slot) => slot.top === rowTop);
  return row.sort((one, other) => Math.abs(one.left - left) - Math.abs(other.left - left))[0];
}
