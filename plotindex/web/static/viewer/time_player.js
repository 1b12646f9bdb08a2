// Copies one at a time on one stage, in chronological order.

import { showStageZoom } from "./controls.js";
import { formatAge } from "../shared/format.js";
import { confirmSlowSvg, loadImage, setPlaceholder } from "./image_loader.js";
import { Stage } from "./stage.js";

const FRAME_MS = 600;

const section = document.getElementById("one");
const element = section.querySelector(".stage");
const slider = document.getElementById("step");
const playButton = document.getElementById("play");

export class TimePlayer {
  path = ""; // of the selected copy
  #copies = []; // oldest first
  #shownUrl = "";
  #onChange;
  #timer = 0;

  /** `onChange()` is called when another copy is selected, or zoomed or panned. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.stage = new Stage(element, { onView: () => this.#onStageView(), onSwipe: (direction) => this.step(direction) });
    slider.addEventListener("input", () => this.#select(Number(slider.value)));
    document.getElementById("earlier").addEventListener("click", () => this.step(-1));
    document.getElementById("later").addEventListener("click", () => this.step(1));
    playButton.addEventListener("click", () => (this.#timer ? this.pause() : this.#play()));
  }

  /** Set the copies, oldest first. If the newest was selected, the new newest is selected. */
  show(copies) {
    const wasNewest = this.path === this.#copies.at(-1)?.path;
    this.#copies = copies;
    slider.max = copies.length - 1;
    const index = wasNewest ? -1 : copies.findIndex(({ path }) => path === this.path);
    if (section.hidden) this.pause();
    else this.#select(index < 0 ? copies.length - 1 : index);
  }

  step(direction) {
    const index = this.#copies.findIndex(({ path }) => path === this.path) + direction;
    if (index >= 0 && index < this.#copies.length) this.#select(index);
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    playButton.textContent = "Play";
  }

  /** Play from the selected copy, or from the first if the last is selected. */
  #play() {
    playButton.textContent = "Pause";
    if (this.path === this.#copies.at(-1).path) this.#select(0);
    this.#timer = setInterval(() => {
      const isLast = this.path === this.#copies.at(-1).path;
      if (isLast || section.hidden) this.pause();
      else if (this.#shownUrl === this.#copies.find(({ path }) => path === this.path).image) this.step(1);
    }, FRAME_MS);
  }

  async #select(index) {
    const copy = this.#copies[index];
    this.path = copy.path;
    slider.value = index;
    document.getElementById("earlier").disabled = index === 0;
    document.getElementById("later").disabled = index === this.#copies.length - 1;
    this.#renderCaption(copy, index);
    this.#onChange();
    if (this.#shownUrl === copy.image) return;
    try {
      element.querySelector(".draw")?.remove();
      await confirmSlowSvg(element, copy.image, copy.filename, copy.size);
      const image = await loadImage(copy.image, copy.filename);
      // Another copy was selected meanwhile.
      if (this.path !== copy.path) return;
      this.stage.show(image);
      this.#shownUrl = copy.image;
      setPlaceholder(element, "");
      showStageZoom(this.stage);
      this.#preload(index);
    } catch (error) {
      if (this.path !== copy.path) return;
      this.stage.show();
      this.#shownUrl = copy.image;
      setPlaceholder(element, error.message);
    }
  }

  #onStageView() {
    showStageZoom(this.stage);
    this.#onChange();
  }

  #preload(index) {
    for (const neighbour of [this.#copies[index + 1], this.#copies[index - 1]]) {
      if (neighbour && !neighbour.isSvg) loadImage(neighbour.image, neighbour.filename).catch(() => {});
    }
  }

  #renderCaption(copy, index) {
    const name = document.createElement("bdi");
    name.textContent = copy.label;
    const details = document.createElement("span");
    details.className = "soft";
    details.textContent = `${index + 1} of ${this.#copies.length}, drawn ${formatAge(copy.mtime)}, ${copy.formattedTime}`;
    document.getElementById("step-says").replaceChildren(name, " ", details);
    slider.setAttribute("aria-valuetext", `${copy.label}, ${formatAge(copy.mtime)}`);
  }
}
