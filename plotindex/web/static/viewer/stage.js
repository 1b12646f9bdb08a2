// A stage shows an image: fitted, zoomed by wheel, pinch and double click, panned by dragging.

import { isVector } from "../shared/formats.js";
import Panzoom from "../vendor/panzoom.js";

const MAX_SCALE = 32; // times the natural size
const ICON_SIZE = 192; // CSS pixels; smaller images are enlarged to about that
const PIXELATED_SCALE = 3; // times the natural size; from here single pixels are shown with sharp edges
const SWIPE_DISTANCE = 60; // CSS pixels

/** The whole image. `x` and `y`: the point at the centre of the stage, as fractions of the image. */
export const FULL_VIEW = Object.freeze({ zoom: 1, x: 0.5, y: 0.5 });

export class Stage {
  #sheets;
  #panzoom;
  #onView;
  #fillsStage;
  #state = { scale: 1, x: 0, y: 0 };
  #pendingView = null; // set before an image is loaded
  #naturalSize = { width: 1, height: 1 };
  #fittedSize = { width: 1, height: 1 };
  #pointers = new Map();
  #controller = new AbortController();

  /**
   * `onView(view)` is called after a zoom or pan by the user, `onSwipe(-1 or 1)` after a swipe of the whole image.
   * While `scrolls()` returns true, the wheel scrolls the page, except with Ctrl. `fillsStage`: enlarge small images too.
   */
  constructor(element, { onView = () => {}, onSwipe = () => {}, scrolls = () => false, fillsStage = false } = {}) {
    this.element = element;
    this.#fillsStage = fillsStage;
    this.#sheets = [...element.querySelectorAll(".sheet")];
    this.#onView = onView;
    this.#panzoom = Panzoom(this.#sheets[0], {
      noBind: true,
      cursor: "",
      panOnlyWhenZoomed: true,
      handleStartEvent: () => {},
      // Panzoom's own transforms are used for pointers only.
      setTransform: (_, state) => this.#pointers.size && this.#setState(state),
    });
    const { signal } = this.#controller;
    element.addEventListener("pointerdown", (event) => this.#onPointerDown(event), { signal });
    element.addEventListener("pointermove", (event) => this.#onPointerMove(event), { signal, passive: true });
    for (const type of ["pointerup", "pointercancel"]) {
      element.addEventListener(type, (event) => this.#onPointerUp(event, onSwipe), { signal });
    }
    element.addEventListener("wheel", (event) => this.#onWheel(event, scrolls), { signal, passive: false });
    element.addEventListener("dblclick", (event) => this.#onDoubleClick(event), { signal });
    element.addEventListener("dragstart", (event) => this.#onDragStart(event), { signal });
    const observer = new ResizeObserver(() => this.measure());
    observer.observe(element);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  destroy() {
    this.#controller.abort();
  }

  get view() {
    if (this.#pendingView) return this.#pendingView;
    const { scale, x, y } = this.#state;
    return { zoom: scale, x: 0.5 - x / this.#fittedSize.width, y: 0.5 - y / this.#fittedSize.height };
  }

  get isEmpty() {
    return !this.#sheets[0].querySelector("img[src]");
  }

  get isWhole() {
    return this.#state.scale === 1;
  }

  /** Displayed size relative to the natural size. */
  get magnification() {
    return (this.#state.scale * this.#fittedSize.width) / this.#naturalSize.width;
  }

  /** The width in pixels of the screen at which the image is displayed. */
  get displayedWidth() {
    return this.#state.scale * this.#fittedSize.width * devicePixelRatio;
  }

  get #isVector() {
    return isVector(this.#sheets[0].querySelector("img")?.dataset.filename ?? "");
  }

  get naturalSize() {
    return this.#naturalSize;
  }

  /** Show loaded images, one per sheet; the first determines the size. */
  show(...images) {
    for (const [index, sheet] of this.#sheets.entries()) sheet.replaceChildren(...images.slice(index, index + 1));
    this.measure();
  }

  /** Fit the image again after it or the stage has changed its size. */
  measure() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const image = this.#sheets[0].querySelector("img");
    if (!width || !height || !image?.getAttribute("src") || !image.complete) return;
    const view = this.view;
    this.#naturalSize = sizeOf(image);
    const longestSide = Math.max(this.#naturalSize.width, this.#naturalSize.height);
    const isScalable = this.#fillsStage || this.#isVector;
    const max = isScalable ? Infinity : Math.max(1, Math.floor(ICON_SIZE / longestSide));
    const factor = Math.min(width / this.#naturalSize.width, height / this.#naturalSize.height, max);
    this.#fittedSize = { width: this.#naturalSize.width * factor, height: this.#naturalSize.height * factor };
    this.#panzoom.setOptions({ minScale: Math.min(1, 1 / factor), maxScale: Math.max(MAX_SCALE / factor, 4) });
    for (const sheet of this.#sheets) {
      for (const image of sheet.querySelectorAll("img, .boxes")) this.#fitImage(image);
    }
    this.setView(view);
  }

  /** Give an image its size; one that covers a part of the frame, as of `frame`, has paper beside and below it. */
  #fitImage({ style, dataset: { partWidth = 1, partHeight = 1 } }) {
    const { width, height } = this.#fittedSize;
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.padding = `0 ${width * (1 - partWidth)}px ${height * (1 - partHeight)}px 0`;
  }

  /** Show this part of the image, without calling `onView`. */
  setView(view) {
    this.#pendingView = this.isEmpty ? view : null;
    if (this.isEmpty) return;
    const { zoom, x, y } = view;
    this.#setState({ scale: zoom, x: (0.5 - x) * this.#fittedSize.width, y: (0.5 - y) * this.#fittedSize.height }, { isSilent: true });
  }

  zoomBy(factor, at = null) {
    const { scale: previous, x, y } = this.#state;
    const { minScale, maxScale } = this.#panzoom.getOptions();
    let scale = Math.min(Math.max(previous * factor, minScale), maxScale);
    // Snap to the fitted size.
    if (Math.abs(scale - 1) < 0.02) scale = 1;
    const box = this.element.getBoundingClientRect();
    const fromCentre = at ? { x: at.clientX - box.left - box.width / 2, y: at.clientY - box.top - box.height / 2 } : { x: 0, y: 0 };
    // Keep the point under the pointer in place.
    const shift = 1 / scale - 1 / previous;
    this.#setState({ scale, x: x + fromCentre.x * shift, y: y + fromCentre.y * shift }, { isAnimated: !at });
  }

  fit() {
    this.#setState({ scale: 1, x: 0, y: 0 }, { isAnimated: true });
  }

  actual() {
    this.zoomBy(1 / this.magnification);
  }

  /** Pan by fractions of the stage. */
  panBy(right, down) {
    const { scale, x, y } = this.#state;
    const { clientWidth, clientHeight } = this.element;
    this.#setState({ scale, x: x - (right * clientWidth) / scale, y: y - (down * clientHeight) / scale }, { isAnimated: true });
  }

  #setState({ scale, x, y }, { isAnimated = false, isSilent = false } = {}) {
    const { minScale, maxScale } = this.#panzoom.getOptions();
    scale = Math.min(Math.max(scale, minScale), maxScale);
    const { clientWidth, clientHeight } = this.element;
    x = clampOffset(x, this.#fittedSize.width, clientWidth, scale);
    y = clampOffset(y, this.#fittedSize.height, clientHeight, scale);
    this.#state = { scale, x, y };
    for (const sheet of this.#sheets) {
      sheet.classList.toggle("glides", isAnimated);
      sheet.style.transform = `scale(${scale}) translate(${x}px, ${y}px)`;
    }
    this.element.classList.toggle("coarse", this.magnification >= PIXELATED_SCALE && !this.#isVector);
    this.element.classList.toggle("zoomed", scale !== 1);
    // Unzoomed, a finger scrolls the page. A pinch never zooms the page.
    this.#panzoom.setOptions({ touchAction: scale === 1 ? "pan-y" : "none" });
    this.element.style.touchAction = scale === 1 ? "pan-y" : "none";
    if (!isSilent) this.#onView(this.view);
  }

  #onPointerDown(event) {
    if (event.button !== 0 || event.target.closest("button, input, a")) return;
    if (!this.#pointers.size) {
      const { scale, x, y } = this.#state;
      this.#panzoom.zoom(scale, { force: true });
      this.#panzoom.pan(x, y, { force: true });
    }
    this.#pointers.set(event.pointerId, event);
    this.element.setPointerCapture(event.pointerId);
    this.#panzoom.handleDown(event);
    if (this.#pointers.size === 2) {
      const [one, other] = this.#pointers.values();
      const distance = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      // Panzoom adds `step` per 80 pixels: with this value the scale follows the fingers.
      this.#panzoom.setOptions({ step: (80 * this.#state.scale) / Math.max(distance, 20) });
    }
  }

  #onPointerMove(event) {
    if (this.#pointers.has(event.pointerId)) this.#panzoom.handleMove(event);
  }

  #onPointerUp(event, onSwipe) {
    const start = this.#pointers.get(event.pointerId);
    if (!start) return;
    const isSingle = this.#pointers.size === 1;
    this.#panzoom.handleUp(event);
    this.#pointers.delete(event.pointerId);
    if (!isSingle) return;
    const [right, down] = [event.clientX - start.clientX, event.clientY - start.clientY];
    const isSwipe = start.pointerType === "touch" && Math.abs(right) > SWIPE_DISTANCE && Math.abs(right) > 2 * Math.abs(down);
    if (event.type === "pointerup" && this.isWhole && isSwipe) return onSwipe(right < 0 ? 1 : -1);
    this.#setState({ ...this.#panzoom.getPan(), scale: this.#panzoom.getScale() });
  }

  #onWheel(event, scrolls) {
    if (scrolls() && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30;
    // A pinch on a trackpad is reported as a wheel with Ctrl, in small steps.
    const speed = event.ctrlKey && Math.abs(event.deltaY) < 50 ? 0.01 : 0.002;
    this.zoomBy(Math.exp(-event.deltaY * lines * speed), event);
  }

  /** Drag the whole image out of the page, the plot rather than its thumbnail; when zoomed in, dragging pans. */
  #onDragStart(event) {
    const { target, dataTransfer } = event;
    if (!this.isWhole || !target.matches("img")) return event.preventDefault();
    const { href } = new URL(target.dataset.image ?? target.src, location);
    const markup = document.createElement("img");
    markup.src = href;
    dataTransfer.setData("text/uri-list", href);
    dataTransfer.setData("text/html", markup.outerHTML);
    // Saved to this name by Chromium; colons separate the parts.
    const name = target.dataset.filename.split("/").at(-1).replaceAll(":", "_");
    dataTransfer.setData("DownloadURL", `application/octet-stream:${name}:${href}`);
  }

  #onDoubleClick(event) {
    if (event.target.closest("button, input, a")) return;
    if (this.isWhole) this.zoomBy(Math.max(2, 1 / this.magnification), event);
    else this.fit();
  }
}

/** The size of the plot of an <img>, which may be its picture. An SVG may have none. */
function sizeOf({ dataset: { originalWidth, originalHeight }, naturalWidth, naturalHeight }) {
  return { width: Number(originalWidth) || naturalWidth || 300, height: Number(originalHeight) || naturalHeight || 150 };
}

/** Limit the offset so that the image covers the stage, or stays centred if it is smaller. */
function clampOffset(offset, fitted, available, scale) {
  const max = Math.max(0, (fitted * scale - available) / 2 / scale);
  return Math.min(Math.max(offset, -max), max);
}
