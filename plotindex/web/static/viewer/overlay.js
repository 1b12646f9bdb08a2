// Two images of equal size, overlaid: with a divider, or as their difference.

import { showStageZoom } from "./controls.js";
import { diffImages, describeDiff } from "./pixel_diff.js";
import { loadImage, setPlaceholder } from "./image_loader.js";
import { Stage } from "./stage.js";

const MAX_REGION_ZOOM = 8; // keeps some context around a small difference

const section = document.getElementById("pair");
const element = section.querySelector(".stage");
const veil = section.querySelector(".veil");
const blend = section.querySelector(".blend");
const divider = document.getElementById("divider");
const amplify = document.getElementById("amplify");
const result = document.getElementById("result");
const zoomButton = document.getElementById("where");

export class Overlay {
  #view = "slider";
  #shownUrls = [];
  #difference = null;
  #controller = new AbortController();
  #onView;

  constructor(onView) {
    this.#onView = onView;
    this.stage = new Stage(element, { onView: () => this.#onStageView() });
    divider.addEventListener("input", () => this.#updateDivider());
    amplify.addEventListener("input", () => {
      this.#updateAmplification();
      this.#onView();
    });
    zoomButton.addEventListener("click", () => this.#zoomToDifference());
  }

  /** Show two copies; `view` is "slider" or "difference". */
  async show(view, left, right) {
    this.#view = view;
    section.dataset.view = view;
    divider.hidden = view !== "slider";
    const urls = [left.image, right.image];
    divider.setAttribute("aria-valuetext", "");
    if (urls.join() !== this.#shownUrls.join()) {
      this.#controller.abort();
      this.#controller = new AbortController();
      const { signal } = this.#controller;
      this.#difference = null;
      result.textContent = "";
      zoomButton.hidden = true;
      const reason = await this.#load(left, right, signal);
      if (signal.aborted) return;
      if (reason) {
        this.#shownUrls = [];
        this.stage.show();
        setPlaceholder(element, reason);
        return;
      }
      this.#shownUrls = urls;
    }
    setPlaceholder(element, "");
    this.#updateDivider();
    this.#updateAmplification();
    showStageZoom(this.stage);
    if (view === "difference") await this.#renderDifference();
  }

  get amplification() {
    return Number(amplify.value);
  }

  set amplification(factor) {
    amplify.value = factor;
  }

  /** Load both images onto the stage; returns why that is not possible, or "". */
  async #load(left, right, signal) {
    try {
      const pictures = await Promise.all([left, right].map(({ image, filename }) => loadImage(image, filename)));
      if (signal.aborted) return "";
      const reason = sizeMismatch(...pictures.map(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight]));
      if (!reason) this.stage.show(...pictures);
      return reason;
    } catch (error) {
      return error.message;
    }
  }

  async #renderDifference() {
    const [left, right] = element.querySelectorAll("img");
    const { signal } = this.#controller;
    if (!this.#difference) {
      result.textContent = "Comparing…";
      const difference = await diffImages(left, right, signal);
      if (!difference) return;
      this.#difference = difference;
    }
    result.textContent = describeDiff(this.#difference);
    zoomButton.hidden = !this.#difference.differing || this.#difference.box.width * this.#difference.box.height > 0.5;
  }

  #zoomToDifference() {
    const { x, y, width, height } = this.#difference.box;
    const zoom = Math.min(0.8 / width, 0.8 / height, MAX_REGION_ZOOM);
    this.stage.setView({ zoom, x: x + width / 2, y: y + height / 2 });
    this.#onStageView();
  }

  #onStageView() {
    showStageZoom(this.stage);
    this.#onView();
  }

  #updateDivider() {
    veil.style.clipPath = this.#view === "slider" ? `inset(0 0 0 ${divider.value}%)` : "";
    divider.setAttribute("aria-valuetext", `${Math.round(divider.value)} % left, ${Math.round(100 - divider.value)} % right`);
  }

  #updateAmplification() {
    document.getElementById("amplified").textContent = `${amplify.value} ×`;
    blend.style.filter = this.#view === "difference" && amplify.value > 1 ? `brightness(${amplify.value})` : "";
  }
}

/** A message if the sizes differ, or "". */
function sizeMismatch([width, height], [otherWidth, otherHeight]) {
  if (width === otherWidth && height === otherHeight) return "";
  return `The images have different sizes: left ${width} × ${height}, right ${otherWidth} × ${otherHeight} pixels.`;
}
