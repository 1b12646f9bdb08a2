// Copies one at a time on one stage, through the time in which they were drawn.

import { sayZoom } from "./controls.js";
import { ago } from "../shared/format.js";
import { isWanted, load, says } from "./image_loader.js";
import { Stage } from "./stage.js";

const PACE = 600; // milliseconds for each copy that is played

const section = document.getElementById("one");
const element = section.querySelector(".stage");
const slider = document.getElementById("step");
const play = document.getElementById("play");

export class Steps {
  #copies = []; // the oldest first
  #path = "";
  #shown = ""; // address
  #onStep;
  #playing = 0;

  /** `onStep()` when another copy is chosen, or another part of it is looked at. */
  constructor(onStep) {
    this.#onStep = onStep;
    this.stage = new Stage(element, { onView: () => this.#looked(), onSwipe: (way) => this.step(way) });
    slider.addEventListener("input", () => this.#choose(Number(slider.value)));
    document.getElementById("earlier").addEventListener("click", () => this.step(-1));
    document.getElementById("later").addEventListener("click", () => this.step(1));
    play.addEventListener("click", () => (this.#playing ? this.pause() : this.#play()));
  }

  get path() {
    return this.#path;
  }

  set path(path) {
    this.#path = path;
  }

  /** Go through these, the newest last; whoever looked at the newest looks at the newest again. */
  show(copies) {
    const wasNewest = this.#path === this.#copies.at(-1)?.path;
    this.#copies = copies;
    slider.max = copies.length - 1;
    const index = wasNewest ? -1 : copies.findIndex(({ path }) => path === this.#path);
    if (section.hidden) this.pause();
    else this.#choose(index < 0 ? copies.length - 1 : index);
  }

  step(way) {
    const index = this.#copies.findIndex(({ path }) => path === this.#path) + way;
    if (index >= 0 && index < this.#copies.length) this.#choose(index);
  }

  pause() {
    clearInterval(this.#playing);
    this.#playing = 0;
    play.textContent = "Play";
  }

  /** All of them, from this one on or, from the last, from the first. */
  #play() {
    play.textContent = "Pause";
    if (this.#path === this.#copies.at(-1).path) this.#choose(0);
    this.#playing = setInterval(() => {
      const isLast = this.#path === this.#copies.at(-1).path;
      if (isLast || section.hidden) this.pause();
      else if (this.#shown === this.#copies.find(({ path }) => path === this.#path).image) this.step(1);
    }, PACE);
  }

  sayZoom() {
    sayZoom(this.stage.isEmpty ? "Fit" : `${Math.round(this.stage.magnified * 100)} %`);
  }

  async #choose(index) {
    const copy = this.#copies[index];
    this.#path = copy.path;
    slider.value = index;
    document.getElementById("earlier").disabled = index === 0;
    document.getElementById("later").disabled = index === this.#copies.length - 1;
    this.#say(copy, index);
    this.#onStep();
    if (this.#shown === copy.image) return;
    try {
      element.querySelector(".draw")?.remove();
      if (!(await isWanted(element, copy.image, copy.filename, copy.size))) return;
      const picture = await load(copy.image, copy.filename);
      // Somebody who goes on does not wait for what he has left behind.
      if (this.#path !== copy.path) return;
      this.stage.show(picture);
      this.#shown = copy.image;
      says(element, "");
      this.sayZoom();
      this.#prepare(index);
    } catch (error) {
      if (this.#path !== copy.path) return;
      this.stage.show();
      this.#shown = copy.image;
      says(element, error.message);
    }
  }

  #looked() {
    this.sayZoom();
    this.#onStep();
  }

  #prepare(index) {
    for (const near of [this.#copies[index + 1], this.#copies[index - 1]]) {
      if (near && !near.isSvg) load(near.image, near.filename).catch(() => {});
    }
  }

  #say(copy, index) {
    const name = document.createElement("bdi");
    name.textContent = copy.label;
    const rest = document.createElement("span");
    rest.className = "soft";
    rest.textContent = `${index + 1} of ${this.#copies.length}, drawn ${ago(copy.mtime)}, ${copy.moment}`;
    document.getElementById("step-says").replaceChildren(name, " ", rest);
    slider.setAttribute("aria-valuetext", `${copy.label}, ${ago(copy.mtime)}`);
  }
}
