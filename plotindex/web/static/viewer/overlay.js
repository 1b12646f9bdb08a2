// Two images, overlaid: with a divider, or as their difference.

import { showStageZoom } from "./controls.js";
import { diffImages, describeDiff } from "./pixel_diff.js";
import { frame } from "./frame.js";
import { setPlaceholder } from "./image_loader.js";
import { loadPixels } from "./picture.js";
import { Stage } from "./stage.js";

const MAX_REGION_ZOOM = 8; // keeps some context around a small difference

const section = document.getElementById("pair");
const element = section.querySelector(".stage");
const veil = section.querySelector(".veil");
const blend = section.querySelector(".blend");
const divider = document.getElementById("divider");
const amplify = document.getElementById("amplify");
const result = document.getElementById("result");
const sizesElement = document.getElementById("sizes");
const scaledButton = document.getElementById("scaled");
const zoomButton = document.getElementById("where");

export class Overlay {
  #view = "slider";
  #shown = "";
  #difference = null;
  #controller = new AbortController();
  #onView;
  #onScale;

  /** `onView()` is called after a zoom or pan, `onScale()` when the user has switched the scaling: show them again. */
  constructor(onView, onScale) {
    this.#onView = onView;
    this.#onScale = onScale;
    this.stage = new Stage(element, { onView: () => this.#onStageView() });
    divider.addEventListener("input", () => this.#updateDivider());
    amplify.addEventListener("input", () => {
      this.#updateAmplification();
      this.#onView();
    });
    scaledButton.addEventListener("click", () => {
      this.isScaled = !this.isScaled;
      this.#onScale();
    });
    zoomButton.addEventListener("click", () => this.#zoomToDifference());
  }

  /** Show two copies; `view` is "slider" or "difference". */
  async show(view, left, right) {
    this.#view = view;
    section.dataset.view = view;
    divider.hidden = view !== "slider" || this.stage.isEmpty;
    const shown = [left.image, right.image, this.isScaled].join();
    divider.setAttribute("aria-valuetext", "");
    if (shown !== this.#shown) {
      this.#controller.abort();
      this.#controller = new AbortController();
      const { signal } = this.#controller;
      this.#difference = null;
      result.textContent = "";
      zoomButton.hidden = true;
      const reason = await this.#load(left, right, signal);
      if (signal.aborted) return;
      if (reason) {
        this.#shown = "";
        this.stage.show();
        divider.hidden = true;
        setPlaceholder(element, reason);
        return;
      }
      this.#shown = shown;
    }
    setPlaceholder(element, "");
    divider.hidden = view !== "slider";
    this.#updateDivider();
    this.#updateAmplification();
    showStageZoom(this.stage);
    if (view === "difference") await this.#renderDifference();
  }

  /** Whether images of different sizes are scaled to one; otherwise they are aligned at the top left. */
  get isScaled() {
    return scaledButton.getAttribute("aria-pressed") === "true";
  }

  set isScaled(isScaled) {
    scaledButton.setAttribute("aria-pressed", isScaled);
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
      const images = await Promise.all([left, right].map(loadPixels));
      if (signal.aborted) return "";
      const { sizes, isDifferent } = frame(images, this.isScaled);
      this.stage.show(...images);
      const [one, other] = sizes.map(({ width, height }) => `${width} × ${height}`);
      sizesElement.hidden = !isDifferent;
      const how = this.isScaled ? "scaled to one size" : "aligned at the top left";
      sizesElement.firstElementChild.textContent = `Left ${one}, right ${other} pixels, ${how}.`;
      return "";
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
