// Copies side by side: each on a stage of its own; linked, all show the same part of their picture.

import { sayZoom } from "./controls.js";
import { setTime } from "../shared/format.js";
import { forget, isSvg, watch } from "../gallery/thumbnails.js";
import { load } from "./image_loader.js";
import { Stage, WHOLE } from "./stage.js";

const FEW = 4; // fit on a page that does not scroll
const SETTLED = 250; // milliseconds without a change, after which the pictures are asked for as they are

export class Cells {
  view = { ...WHOLE };
  isLinked = true;
  #section;
  #cells = new Map(); // path -> {figure, stage, sharp, isVisible}
  #lead = null;
  #onView;
  #settling = 0;
  #seen;

  constructor(section, onView) {
    this.#section = section;
    this.#onView = onView;
    this.#seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#see(target.dataset.path, isIntersecting);
    });
  }

  /** Show these figures, in this order; one that is shown already stays as it is. */
  show(figures) {
    for (const path of this.#cells.keys()) {
      if (!figures.some((figure) => figure.dataset.path === path)) this.#remove(path);
    }
    // Says how large the stages are, and with that how large the thumbnails are to be.
    this.#section.dataset.count = figures.length > FEW ? "many" : figures.length;
    for (const figure of figures) {
      if (!this.#cells.has(figure.dataset.path)) this.#add(figure);
    }
    const isSame = [...this.#section.children].every((child, index) => child === figures[index]);
    if (!isSame || this.#section.children.length !== figures.length) this.#section.replaceChildren(...figures);
  }

  /** A copy was drawn again. */
  renew(figure) {
    const cell = this.#cells.get(figure.dataset.path);
    if (!cell) return;
    const image = figure.querySelector("img");
    image.dataset.image = figure.dataset.image;
    image.dataset.size = figure.dataset.size;
    const isSharp = cell.sharp;
    cell.sharp = "";
    if (isSharp && cell.isVisible) this.#sharpen(cell);
    else watch(image);
  }

  link(isLinked) {
    this.isLinked = isLinked;
    if (isLinked) this.#spread(this.#chief());
  }

  place(view) {
    this.view = view;
    for (const { stage } of this.#cells.values()) stage.place(view);
    this.sayZoom();
    this.#settle();
  }

  // What the zoom's buttons and the keys act on.
  get isWhole() {
    return this.#chief()?.stage.isWhole ?? true;
  }
  zoomBy(factor) {
    this.#chief()?.stage.zoomBy(factor);
  }
  fit() {
    if (this.isLinked) this.#chief()?.stage.fit();
    else for (const { stage } of this.#cells.values()) stage.fit();
  }
  panBy(right, down) {
    this.#chief()?.stage.panBy(right, down);
  }
  async actual() {
    const chief = this.#chief();
    // A thumbnail does not say how large the picture is.
    if (chief) await this.#sharpen(chief);
    chief?.stage.actual();
  }

  sayZoom() {
    const zoom = this.#chief()?.stage.view.zoom ?? 1;
    sayZoom(`${zoom.toFixed(1)} ×`);
  }

  /** The cell that somebody has touched last, or else the first that is in view. */
  #chief() {
    const touched = this.#lead && this.#cells.get(this.#lead);
    return touched ?? [...this.#cells.values()].find(({ isVisible }) => isVisible) ?? [...this.#cells.values()][0];
  }

  #add(figure) {
    const { path } = figure.dataset;
    const element = figure.querySelector(".stage");
    const image = figure.querySelector("img");
    this.#section.append(figure);
    const stage = new Stage(element, {
      onView: (view) => {
        this.#lead = path;
        this.#moved(path, view);
      },
      // The same zoom is then the same part, of a small picture and of a large one.
      fills: true,
      // So many that the page scrolls: then the wheel scrolls it.
      scrolls: () => this.#cells.size > FEW && document.activeElement !== element,
    });
    image.draggable = false;
    image.alt = figure.dataset.filename;
    image.dataset.width = element.clientWidth || 640;
    image.addEventListener("load", () => {
      this.#shape(image);
      stage.measure();
      stage.place(this.isLinked ? this.view : stage.view);
    });
    element.addEventListener("focus", () => (this.#lead = path));
    this.#cells.set(path, { figure, stage, sharp: "", isVisible: false });
    this.#seen.observe(figure);
    watch(image);
    const time = figure.querySelector("time");
    setTime(time, time.dateTime);
  }

  /** Stages that are not as high as the window have the shape of the first picture: mostly all have the same. */
  #shape({ naturalWidth, naturalHeight }) {
    const { style } = this.#section;
    if (style.getPropertyValue("--shape") || !naturalHeight) return;
    style.setProperty("--shape", Math.min(Math.max(naturalWidth / naturalHeight, 0.75), 2.4));
  }

  #remove(path) {
    const { figure, stage } = this.#cells.get(path);
    this.#cells.delete(path);
    this.#seen.unobserve(figure);
    forget(figure.querySelector("img"));
    stage.end();
    figure.remove();
  }

  #see(path, isVisible) {
    const cell = this.#cells.get(path);
    if (!cell) return;
    cell.isVisible = isVisible;
    if (!isVisible) return;
    if (this.isLinked) cell.stage.place(this.view);
    this.#settle();
  }

  #moved(path, view) {
    if (this.isLinked) this.#spread(this.#cells.get(path));
    this.sayZoom();
    this.#settle();
    if (this.isLinked) this.#onView(view);
  }

  #spread(from) {
    if (!from) return;
    this.view = from.stage.view;
    for (const cell of this.#cells.values()) {
      if (cell !== from && cell.isVisible) cell.stage.place(this.view);
    }
  }

  #settle() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      for (const cell of this.#cells.values()) {
        if (cell.isVisible && !cell.stage.isWhole) this.#sharpen(cell);
      }
    }, SETTLED);
  }

  /** Show the picture itself where a thumbnail was. */
  async #sharpen(cell) {
    const { image: address, filename } = cell.figure.dataset;
    if (cell.sharp === address || isSvg(filename)) return;
    const image = cell.figure.querySelector("img");
    try {
      cell.sharp = address;
      const { src } = await load(address, filename);
      if (cell.sharp !== address) return;
      forget(image);
      image.src = src;
      await image.decode();
    } catch {
      // The thumbnail says what is wrong, if anything is.
      if (cell.sharp === address) cell.sharp = "";
    }
  }
}
