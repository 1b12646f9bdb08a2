// Where the cards and headings of a grid are, in order from top to bottom. Independent of the page.

const GAP = 16;
const HEADING = 44;
const MIN_WIDTHS = { small: 150, medium: 230, large: 380 };
const MIN_COLUMNS = 2;

/** The columns of a grid of `width` pixels: their number, their width, and the gap between cards. */
export function columnsOf(width, scale) {
  const gap = width < 500 ? GAP / 2 : GAP;
  const count = Math.max(MIN_COLUMNS, Math.floor((width + gap) / (MIN_WIDTHS[scale] + gap)));
  return { count, gap, width: (width - gap * (count - 1)) / count };
}

export class Layout {
  #slots = [];
  #cards = []; // the slots without headings
  #keys = new Map();

  /** `columns` as `columnsOf` returns them; all cards have one height. */
  constructor(groups, columns, cardHeight) {
    const row = cardHeight + columns.gap;
    let top = 0;
    for (const { heading, cards } of groups) {
      if (heading !== null) {
        // Filenames contain no NUL: never the key of a card.
        this.#add({ key: `\0${heading}`, heading, count: cards.length, top, left: 0, height: HEADING });
        top += HEADING;
      }
      cards.forEach((card, index) => {
        const left = (index % columns.count) * (columns.width + columns.gap);
        const slotTop = top + Math.floor(index / columns.count) * row;
        const slot = { key: card.key, card, place: this.#cards.length, top: slotTop, left, width: columns.width, height: cardHeight };
        this.#cards.push(slot);
        this.#add(slot);
      });
      top += Math.ceil(cards.length / columns.count) * row;
    }
    this.height = top;
  }

  #add(slot) {
    this.#keys.set(slot.key, slot);
    this.#slots.push(slot);
  }

  get cardCount() {
    return this.#cards.length;
  }

  get(key) {
    return this.#keys.get(key);
  }

  /** The slots up to the last of the first `count` cards. */
  first(count) {
    return this.#slots.slice(0, this.#slots.indexOf(this.#cards[count - 1]) + 1 || undefined);
  }

  /** The slots that reach below `top` and begin above `bottom`. */
  between(top, bottom) {
    const first = bisect(this.#slots, (slot) => slot.top + slot.height > top);
    return this.#slots.slice(first, bisect(this.#slots, (slot) => slot.top >= bottom));
  }

  /** The first card that reaches below `top`. */
  firstCardBelow(top) {
    return this.#cards[bisect(this.#cards, (slot) => slot.top + slot.height > top)];
  }

  /** The card that an arrow key leads to from the card of `key`. */
  neighbour(key, arrow) {
    const slot = this.#keys.get(key);
    if (!slot?.card) return undefined;
    if (arrow === "ArrowLeft") return this.#cards[slot.place - 1];
    if (arrow === "ArrowRight") return this.#cards[slot.place + 1];
    return this.#inAdjacentRow(slot, arrow === "ArrowUp" ? -1 : 1);
  }

  /** The nearest card in the row above (-1) or below (1). */
  #inAdjacentRow(slot, direction) {
    const cards = this.#cards;
    let place = slot.place;
    while (cards[place]?.top === slot.top) place += direction;
    const top = cards[place]?.top;
    let nearest = cards[place];
    for (; cards[place] && cards[place].top === top; place += direction) {
      if (Math.abs(cards[place].left - slot.left) < Math.abs(nearest.left - slot.left)) nearest = cards[place];
    }
    return nearest;
  }
}

/** The index of the first of the sorted slots for which `isPast` is true, or their number. */
function bisect(slots, isPast) {
  let [low, high] = [0, slots.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isPast(slots[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
