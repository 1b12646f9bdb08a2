// Copies one at a time on one stage, in chronological order.

import { showStageZoom } from "./controls.js";
import { formatAge } from "../shared/format.js";
import { isSvg } from "../shared/formats.js";
import { loadImage, setPlaceholder } from "./image_loader.js";
import { Stage } from "./stage.js";
import { Steps } from "./steps.js";

const section = document.getElementById("one");
const element = section.querySelector(".stage");

export class TimePlayer {
  path = ""; // of the selected copy
  #copies = []; // oldest first
  #shownUrl = "";
  #onChange;
  #steps;

  /** `onChange()` is called when another copy is selected, or zoomed or panned. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.stage = new Stage(element, { onView: () => this.#onStageView(), onSwipe: (direction) => this.step(direction) });
    this.#steps = new Steps({
      onSelect: (index) => this.#select(index),
      isShown: () => this.#shownUrl === this.#copies.find(({ path }) => path === this.path).image,
    });
  }

  /** Set the copies, oldest first. If the newest was selected, the new newest is selected. */
  show(copies) {
    const wasNewest = this.path === this.#copies.at(-1)?.path;
    this.#copies = copies;
    const index = wasNewest ? -1 : copies.findIndex(({ path }) => path === this.path);
    if (section.hidden) this.#steps.pause();
    else this.#select(index < 0 ? copies.length - 1 : index);
  }

  step(direction) {
    this.#steps.step(direction);
  }

  async #select(index) {
    const copy = this.#copies[index];
    this.path = copy.path;
    this.#steps.show(this.#copies.length, index, `${copy.label}, ${formatAge(copy.mtime)}`);
    this.#renderCaption(copy, index);
    this.#onChange();
    if (this.#shownUrl === copy.image) return;
    try {
      const image = await loadImage(copy.source, copy.filename);
      image.dataset.image = copy.image;
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
      if (neighbour && !isSvg(neighbour.filename)) loadImage(neighbour.source, neighbour.filename).catch(() => {});
    }
  }

  #renderCaption(copy, index) {
    const name = document.createElement("bdi");
    name.textContent = copy.label;
    const details = document.createElement("span");
    details.className = "soft";
    details.textContent = `${index + 1} of ${this.#copies.length}, drawn ${formatAge(copy.mtime)}, ${copy.formattedTime}`;
    document.getElementById("step-says").replaceChildren(name, " ", details);
  }
}
