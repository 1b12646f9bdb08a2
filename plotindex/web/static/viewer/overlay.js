// Two pictures of one size over each other: with a divider between them, or as what differs.

import { sayZoom } from "./controls.js";
import { compare, describe } from "./pixel_diff.js";
import { load, says } from "./image_loader.js";
import { Stage } from "./stage.js";

const CLOSEST = 8; // times as large as it fits: so that one sees where in the picture it is

const section = document.getElementById("pair");
const element = section.querySelector(".stage");
const veil = section.querySelector(".veil");
const blend = section.querySelector(".blend");
const divider = document.getElementById("divider");
const amplify = document.getElementById("amplify");
const result = document.getElementById("result");
const where = document.getElementById("where");

export class Pair {
  #view = "slider";
  #shown = []; // addresses
  #differs = null;
  #work = new AbortController();
  #onView;

  constructor(onView) {
    this.#onView = onView;
    this.stage = new Stage(element, { onView: () => this.#looked() });
    divider.addEventListener("input", () => this.#divide());
    amplify.addEventListener("input", () => {
      this.#amplify();
      this.#onView();
    });
    where.addEventListener("click", () => this.#showWhere());
  }

  /** Show two copies as `view` has it; returns why that cannot be, or nothing. */
  async show(view, left, right) {
    this.#view = view;
    section.dataset.view = view;
    divider.hidden = view !== "slider";
    const addresses = [left.image, right.image];
    divider.setAttribute("aria-valuetext", "");
    if (addresses.join() !== this.#shown.join()) {
      this.#work.abort();
      this.#work = new AbortController();
      const { signal } = this.#work;
      this.#differs = null;
      result.textContent = "";
      where.hidden = true;
      const reason = await this.#load(left, right, signal);
      if (signal.aborted) return "";
      if (reason) {
        this.#shown = [];
        this.stage.show();
        says(element, reason);
        return reason;
      }
      this.#shown = addresses;
    }
    says(element, "");
    this.#divide();
    this.#amplify();
    this.sayZoom();
    if (view === "difference") await this.#compare();
    return "";
  }

  sayZoom() {
    sayZoom(this.stage.isEmpty ? "Fit" : `${Math.round(this.stage.magnified * 100)} %`);
  }

  get amplified() {
    return Number(amplify.value);
  }

  set amplified(times) {
    amplify.value = times;
  }

  async #load(left, right, signal) {
    try {
      const pictures = await Promise.all([left, right].map(({ image, filename }) => load(image, filename)));
      if (signal.aborted) return "";
      const reason = whyNot(...pictures.map(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight]));
      if (!reason) this.stage.show(...pictures);
      return reason;
    } catch (error) {
      return error.message;
    }
  }

  async #compare() {
    const [one, other] = element.querySelectorAll("img");
    const { signal } = this.#work;
    if (!this.#differs) {
      result.textContent = "Comparing…";
      const found = await compare(one, other, signal);
      if (!found) return;
      this.#differs = found;
    }
    result.textContent = describe(this.#differs);
    where.hidden = !this.#differs.differing || this.#differs.box.width * this.#differs.box.height > 0.5;
  }

  #showWhere() {
    const { x, y, width, height } = this.#differs.box;
    const zoom = Math.min(0.8 / width, 0.8 / height, CLOSEST);
    this.stage.place({ zoom, x: x + width / 2, y: y + height / 2 });
    this.#looked();
  }

  #looked() {
    this.sayZoom();
    this.#onView();
  }

  #divide() {
    veil.style.clipPath = this.#view === "slider" ? `inset(0 0 0 ${divider.value}%)` : "";
    divider.setAttribute("aria-valuetext", `${Math.round(divider.value)} % left, ${Math.round(100 - divider.value)} % right`);
  }

  #amplify() {
    document.getElementById("amplified").textContent = `${amplify.value} ×`;
    blend.style.filter = this.#view === "difference" && amplify.value > 1 ? `brightness(${amplify.value})` : "";
  }
}

/** Why two pictures of these widths and heights cannot lie over each other, or nothing. */
function whyNot([width, height], [otherWidth, otherHeight]) {
  if (width === otherWidth && height === otherHeight) return "";
  return `Only pictures of one size can lie over each other: the left is ${width} × ${height} pixels, the right ${otherWidth} × ${otherHeight}.`;
}
