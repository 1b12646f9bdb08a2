// Shows the two overlaid pictures in turns.

const INTERVAL_MS = 700; // slower than what may harm: three flashes a second

export class Blink {
  #section;
  #timer = 0;

  constructor(section) {
    this.#section = section;
  }

  /** Whether only the user swaps the pictures: motion is not wanted. */
  get isManual() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  start() {
    if (this.#timer || this.#section.dataset.shown) return;
    this.#section.dataset.shown = "to";
    if (!this.isManual) this.#timer = setInterval(() => this.swap(), INTERVAL_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    delete this.#section.dataset.shown;
  }

  swap() {
    this.#section.dataset.shown = this.#section.dataset.shown === "to" ? "from" : "to";
  }
}
