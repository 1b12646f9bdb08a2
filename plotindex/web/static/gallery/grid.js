// A grid of which only what is near the view is in the page, however many cards it has.

const GAP = 16;
const HEADING = 44;
const LEAST = { small: 150, medium: 230, large: 380 };
const FEWEST = 2; // columns, also on a phone
const BEYOND = 1; // screens above and below the view

/** `make(entry)` makes a card, `change(card, entry)` keeps it right, `drop(card)` is told when it leaves the page. */
export class Grid {
  #container;
  #cards;
  #groups = [];
  #places = [];
  #elements = new Map();
  #scale = "medium";

  constructor(container, cards) {
    this.#container = container;
    this.#cards = cards;
    addEventListener("scroll", () => this.#paint(), { passive: true });
    new ResizeObserver(() => this.#arrange()).observe(container);
    container.addEventListener("keydown", (event) => this.#move(event));
  }

  set scale(scale) {
    this.#scale = scale;
    if (this.#groups.length) this.#arrange();
  }

  /** Show these groups; what is in view stays where it is, unless the reader is at the top anyway. */
  show(groups) {
    const anchor = this.#anchor();
    if (!this.#container.classList.contains("windowed")) this.#container.replaceChildren();
    this.#container.classList.add("windowed");
    this.#groups = groups;
    this.#arrange();
    const place = anchor && this.#places.find(({ key }) => key === anchor.key);
    if (place) scrollBy({ top: this.#top() + place.top - anchor.top, behavior: "instant" });
  }

  /** Scroll there, or on to where the card of `key` is in view, with the cards that are then in view. */
  goTo(top, key) {
    scrollTo({ top, behavior: "instant" });
    const place = this.#places.find((place) => place.key === key);
    if (place) this.#scrollTo(place);
    this.#paint();
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
    const first = this.#places.find((place) => place.entry && top + place.top + place.height > 100);
    return first && { key: first.key, top: top + first.top };
  }

  #arrange() {
    const width = this.#container.clientWidth;
    if (!width) return;
    const gap = width < 500 ? GAP / 2 : GAP;
    const columns = Math.max(FEWEST, Math.floor((width + gap) / (LEAST[this.#scale] + gap)));
    const across = (width - gap * (columns - 1)) / columns;
    const height = this.#heightOf(across);
    let top = 0;
    this.#places = [];
    for (const { heading, entries } of this.#groups) {
      if (heading !== null) {
        // No filename has a NUL.
        this.#places.push({ key: `\0${heading}`, heading, count: entries.length, top, height: HEADING });
        top += HEADING;
      }
      entries.forEach((entry, index) => {
        const left = (index % columns) * (across + gap);
        const above = top + Math.floor(index / columns) * (height + gap);
        this.#places.push({ key: entry.filename, entry, top: above, left, width: across, height, columns });
      });
      top += Math.ceil(entries.length / columns) * (height + gap);
    }
    this.#container.style.height = `${top}px`;
    this.#paint();
  }

  /** How high a card of that width is: its picture's height follows the width, its lines are always as many. */
  #heightOf(width) {
    const first = this.#groups.find(({ entries }) => entries.length)?.entries[0];
    if (!first) return 0;
    const card = this.#cards.make(first);
    card.style.width = `${width}px`;
    card.style.visibility = "hidden";
    this.#container.append(card);
    const height = card.offsetHeight;
    card.remove();
    return height;
  }

  #paint() {
    const top = this.#top();
    const beyond = innerHeight * BEYOND;
    // Who goes by keyboard keeps the place.
    const focused = this.#container.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const isNear = (place) => place.top + place.height + top > -beyond && place.top + top < innerHeight + beyond;
    const seen = this.#places.filter((place) => isNear(place) || place.key === focused);
    const keys = new Set(seen.map(({ key }) => key));
    for (const [key, element] of this.#elements) {
      if (keys.has(key)) continue;
      if (!element.matches("h2")) this.#cards.drop(element);
      element.remove();
      this.#elements.delete(key);
    }
    let previous = null;
    for (const place of seen) {
      const element = this.#elements.get(place.key) ?? this.#make(place);
      this.#put(element, place);
      const next = previous ? previous.nextSibling : this.#container.firstChild;
      // In the order in which they are seen, so that Tab goes that way; moving one would take the focus from it.
      if (next !== element && element.dataset.key !== focused) this.#container.insertBefore(element, next);
      else if (!element.isConnected) this.#container.append(element);
      previous = element;
    }
  }

  #make({ key, heading, entry }) {
    const element = entry ? this.#cards.make(entry) : document.createElement("h2");
    if (!entry) {
      const name = document.createElement("bdi");
      const count = document.createElement("span");
      count.className = "count";
      name.textContent = heading || "In no folder";
      element.append(name, count);
    }
    element.dataset.key = key;
    this.#elements.set(key, element);
    return element;
  }

  #put(element, { entry, count, top, left = 0, width, height }) {
    element.style.transform = `translate(${left}px, ${top}px)`;
    if (entry) {
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      this.#cards.change(element, entry);
    } else {
      element.lastChild.textContent = count.toLocaleString("en");
    }
  }

  /** The card of a filename, if it is in the page. */
  card(filename) {
    return this.#elements.get(filename);
  }

  #move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down" };
    const step = steps[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const cards = this.#places.filter((place) => place.entry);
    const at = cards.findIndex(({ key }) => key === keyOf(event.target));
    if (at < 0) return;
    event.preventDefault();
    const target = Number.isInteger(step) ? cards[at + step] : beside(cards, at, step);
    if (!target) return;
    this.#scrollTo(target);
    this.#paint();
    this.#elements.get(target.key)?.querySelector("a").focus({ preventScroll: true });
  }

  /** No further than that all of the place is in view. */
  #scrollTo(place) {
    const top = this.#top();
    if (top + place.top < 90) scrollBy({ top: top + place.top - 90, behavior: "instant" });
    const below = top + place.top + place.height - innerHeight + GAP;
    if (below > 0) scrollBy({ top: below, behavior: "instant" });
  }
}

const keyOf = (element) => element.closest("[data-key]")?.dataset.key ?? null;

/** The nearest card in the next line above or below. */
function beside(cards, at, step) {
  const { top, left } = cards[at];
  const others = step === "up" ? cards.slice(0, at).reverse() : cards.slice(at + 1);
  const line = others.find((place) => place.top !== top)?.top;
  const inLine = others.filter((place) => place.top === line);
  return inLine.sort((one, other) => Math.abs(one.left - left) - Math.abs(other.left - left))[0];
}
