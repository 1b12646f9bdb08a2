// Copies side by side, each on its own stage. Linked stages show the same part.

import { showZoom } from "./controls.js";
import { setTime } from "../shared/format.js";
import { cancelLoad, loadWhenVisible } from "../gallery/thumbnails.js";
import { loadImage } from "./image_loader.js";
import { sharpest } from "./picture.js";
import { Stage, FULL_VIEW } from "./stage.js";

const MAX_UNSCROLLED = 4; // more cells make the page scroll
const DEBOUNCE_MS = 250; // after the last zoom or pan, before full-size images are loaded

export class SideBySide {
  view = { ...FULL_VIEW };
  isLinked = true;
  #section;
  #cells = new Map(); // path -> {figure, stage, fullSizeUrl, isVisible}
  #activePath = null;
  #onView;
  #timer = 0;
  #observer;

  constructor(section, onView) {
    this.#section = section;
    this.#onView = onView;
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#setVisible(target.dataset.path, isIntersecting);
    });
  }

  /** Show these figures in this order; keeps the state of those already shown. */
  show(figures) {
    for (const path of this.#cells.keys()) {
      if (!figures.some((figure) => figure.dataset.path === path)) this.#remove(path);
    }
    // The style sheet derives the size of the stages from it, and the thumbnails' size follows that.
    this.#section.dataset.count = figures.length > MAX_UNSCROLLED ? "many" : figures.length;
    for (const figure of figures) {
      if (!this.#cells.has(figure.dataset.path)) this.#add(figure);
    }
    const isSame = [...this.#section.children].every((child, index) => child === figures[index]);
    if (!isSame || this.#section.children.length !== figures.length) this.#section.replaceChildren(...figures);
  }

  /** Load the new version of a copy. */
  refresh(figure) {
    const cell = this.#cells.get(figure.dataset.path);
    if (!cell) return;
    const image = figure.querySelector("img");
    image.dataset.image = figure.dataset.image;
    image.dataset.size = figure.dataset.size;
    const hadFullSize = cell.fullSizeUrl;
    cell.fullSizeUrl = "";
    if (hadFullSize && cell.isVisible) this.#loadFullSize(cell);
    else loadWhenVisible(image);
  }

  setLinked(isLinked) {
    this.isLinked = isLinked;
    if (isLinked) this.#syncFrom(this.#activeCell());
  }

  setView(view) {
    this.view = view;
    for (const { stage } of this.#cells.values()) stage.setView(view);
    this.showZoom();
    this.#scheduleFullSize();
  }

  // The interface that zoom buttons and keys use, as in Stage.
  get isWhole() {
    return this.#activeCell()?.stage.isWhole ?? true;
  }
  zoomBy(factor) {
    this.#activeCell()?.stage.zoomBy(factor);
  }
  fit() {
    if (this.isLinked) this.#activeCell()?.stage.fit();
    else for (const { stage } of this.#cells.values()) stage.fit();
  }
  panBy(right, down) {
    this.#activeCell()?.stage.panBy(right, down);
  }
  async actual() {
    const active = this.#activeCell();
    // The natural size is unknown from a thumbnail.
    if (active) await this.#loadFullSize(active);
    active?.stage.actual();
  }

  showZoom() {
    const zoom = this.#activeCell()?.stage.view.zoom ?? 1;
    showZoom(`${zoom.toFixed(1)} ×`);
  }

  /** The last cell used, otherwise the first visible one. */
  #activeCell() {
    const active = this.#activePath && this.#cells.get(this.#activePath);
    return active ?? [...this.#cells.values()].find(({ isVisible }) => isVisible) ?? [...this.#cells.values()][0];
  }

  #add(figure) {
    const { path } = figure.dataset;
    const element = figure.querySelector(".stage");
    const image = figure.querySelector("img");
    this.#section.append(figure);
    const stage = new Stage(element, {
      onView: (view) => {
        this.#activePath = path;
        this.#onCellView(path, view);
      },
      // Equal zoom must show the same part of small and large images.
      fillsStage: true,
      // On a page that scrolls, the wheel scrolls it.
      scrolls: () => this.#cells.size > MAX_UNSCROLLED && document.activeElement !== element,
    });
    image.alt = figure.dataset.filename;
    image.dataset.width = element.clientWidth || 640;
    image.addEventListener("load", () => {
      this.#setAspectRatio(image);
      stage.measure();
      stage.setView(this.isLinked ? this.view : stage.view);
    });
    element.addEventListener("focus", () => (this.#activePath = path));
    this.#cells.set(path, { figure, stage, fullSizeUrl: "", isVisible: false });
    this.#observer.observe(figure);
    loadWhenVisible(image);
    const time = figure.querySelector("time");
    setTime(time, time.dateTime);
  }

  /** Use the aspect ratio of the first image for all stages that do not fill the window. */
  #setAspectRatio({ naturalWidth, naturalHeight }) {
    const { style } = this.#section;
    if (style.getPropertyValue("--shape") || !naturalHeight) return;
    style.setProperty("--shape", Math.min(Math.max(naturalWidth / naturalHeight, 0.75), 2.4));
  }

  #remove(path) {
    const { figure, stage } = this.#cells.get(path);
    this.#cells.delete(path);
    this.#observer.unobserve(figure);
    cancelLoad(figure.querySelector("img"));
    stage.destroy();
    figure.remove();
  }

  #setVisible(path, isVisible) {
    const cell = this.#cells.get(path);
    if (!cell) return;
    cell.isVisible = isVisible;
    if (!isVisible) return;
    if (this.isLinked) cell.stage.setView(this.view);
    this.#scheduleFullSize();
  }

  #onCellView(path, view) {
    if (this.isLinked) this.#syncFrom(this.#cells.get(path));
    this.showZoom();
    this.#scheduleFullSize();
    if (this.isLinked) this.#onView(view);
  }

  #syncFrom(source) {
    if (!source) return;
    this.view = source.stage.view;
    for (const cell of this.#cells.values()) {
      if (cell !== source && cell.isVisible) cell.stage.setView(this.view);
    }
  }

  #scheduleFullSize() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const cell of this.#cells.values()) {
        if (cell.isVisible && !cell.stage.isWhole) this.#loadFullSize(cell);
      }
    }, DEBOUNCE_MS);
  }

  /** Replace a thumbnail by the full-size image. */
  async #loadFullSize(cell) {
    const { image: file, filename } = cell.figure.dataset;
    const url = sharpest(file, filename);
    if (cell.fullSizeUrl === url) return;
    const image = cell.figure.querySelector("img");
    try {
      cell.fullSizeUrl = url;
      const { src } = await loadImage(url, filename);
      if (cell.fullSizeUrl !== url) return;
      cancelLoad(image);
      image.src = src;
      await image.decode();
    } catch {
      // Keep the thumbnail, which shows an error if there is one.
      if (cell.fullSizeUrl === url) cell.fullSizeUrl = "";
    }
  }
}
