// Steps through a series in the order of time: a slider, buttons for one step, and playing.

const FRAME_MS = 600;

const slider = document.getElementById("step");
const earlier = document.getElementById("earlier");
const later = document.getElementById("later");
const playButton = document.getElementById("play");

export class Steps {
  #count = 0;
  #index = 0;
  #onSelect;
  #isShown;
  #timer = 0;

  /** `onSelect(index)` is called when the user or playing selects a step; playing waits while `isShown()` is false. */
  constructor({ onSelect, isShown }) {
    this.#onSelect = onSelect;
    this.#isShown = isShown;
    slider.addEventListener("input", () => this.#select(Number(slider.value)));
    earlier.addEventListener("click", () => this.step(-1));
    later.addEventListener("click", () => this.step(1));
    playButton.addEventListener("click", () => (this.#timer ? this.pause() : this.#play()));
  }

  /** Show that one of `count` steps is selected; `text` describes it. */
  show(count, index, text) {
    [this.#count, this.#index] = [count, index];
    slider.max = count - 1;
    slider.value = index;
    slider.setAttribute("aria-valuetext", text);
    earlier.disabled = index === 0;
    later.disabled = index === count - 1;
  }

  step(direction) {
    const index = this.#index + direction;
    if (index >= 0 && index < this.#count) this.#select(index);
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    playButton.textContent = "Play";
  }

  /** Play from the selected step, or from the first if the last is selected. */
  #play() {
    playButton.textContent = "Pause";
    if (this.#isLast) this.#select(0);
    this.#timer = setInterval(() => {
      if (this.#isLast || !slider.checkVisibility()) this.pause();
      else if (this.#isShown()) this.step(1);
    }, FRAME_MS);
  }

  get #isLast() {
    return this.#index === this.#count - 1;
  }

  #select(index) {
    this.#index = index;
    this.#onSelect(index);
  }
}
