// A picture on a stage: fitted into it, zoomed by wheel, pinch and double click, moved by dragging.

import Panzoom from "../vendor/panzoom.js";

const MOST = 32; // times its own size
const TINY = 192; // CSS pixels; an icon is enlarged to about that
const COARSE = 3; // times its own size from which single pixels are what one looks at
const SWIPE = 60; // CSS pixels

/** All of the picture; `x` and `y` are which fraction of it is in the middle. */
export const WHOLE = Object.freeze({ zoom: 1, x: 0.5, y: 0.5 });

export class Stage {
  #sheets;
  #panzoom;
  #onView;
  #fills;
  #state = { scale: 1, x: 0, y: 0 };
  #pending = null; // what is to be shown once there is a picture
  #own = { width: 1, height: 1 };
  #fitted = { width: 1, height: 1 };
  #pointers = new Map();
  #ends = new AbortController();

  /**
   * `onView(view)` when somebody has zoomed or moved it, `onSwipe(-1 or 1)` when all of it is swiped to a side.
   * Where `scrolls()`, the wheel is the page's unless Ctrl is held. With `fills`, small pictures are as large as others.
   */
  constructor(element, { onView = () => {}, onSwipe = () => {}, scrolls = () => false, fills = false } = {}) {
    this.element = element;
    this.#fills = fills;
    this.#sheets = [...element.querySelectorAll(".sheet")];
    this.#onView = onView;
    this.#panzoom = Panzoom(this.#sheets[0], {
      noBind: true,
      cursor: "",
      panOnlyWhenZoomed: true,
      handleStartEvent: () => {},
      // Only what a finger or the mouse does; all else is drawn at once.
      setTransform: (_, state) => this.#pointers.size && this.#go(state),
    });
    const { signal } = this.#ends;
    element.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    element.addEventListener("pointermove", (event) => this.#move(event), { signal, passive: true });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, (event) => this.#up(event, onSwipe), { signal });
    }
    element.addEventListener("wheel", (event) => this.#wheel(event, scrolls), { signal, passive: false });
    element.addEventListener("dblclick", (event) => this.#toggle(event), { signal });
    element.addEventListener("dragstart", (event) => event.preventDefault(), { signal });
    const resized = new ResizeObserver(() => this.measure());
    resized.observe(element);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  end() {
    this.#ends.abort();
  }

  get view() {
    if (this.#pending) return this.#pending;
    const { scale, x, y } = this.#state;
    return { zoom: scale, x: 0.5 - x / this.#fitted.width, y: 0.5 - y / this.#fitted.height };
  }

  get isEmpty() {
    return !this.#sheets[0].querySelector("img[src]");
  }

  get isWhole() {
    return this.#state.scale === 1;
  }

  /** How large it is shown: 1 is its own size. */
  get magnified() {
    return (this.#state.scale * this.#fitted.width) / this.#own.width;
  }

  get pixels() {
    return this.#own;
  }

  /** Show a loaded image on each sheet; the first says how large they are. */
  show(...images) {
    for (const [index, sheet] of this.#sheets.entries()) sheet.replaceChildren(...images.slice(index, index + 1));
    this.measure();
  }

  /** Fit the picture in again: it, or the stage, has another size. */
  measure() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const image = this.#sheets[0].querySelector("img");
    if (!width || !height || !image?.getAttribute("src") || !image.complete) return;
    const view = this.view;
    // An SVG need not say how large it is.
    this.#own = { width: image.naturalWidth || 300, height: image.naturalHeight || 150 };
    const largest = Math.max(this.#own.width, this.#own.height);
    const hasNoSize = this.#fills || image.dataset.filename?.toLowerCase().endsWith(".svg");
    const most = hasNoSize ? Infinity : Math.max(1, Math.floor(TINY / largest));
    const factor = Math.min(width / this.#own.width, height / this.#own.height, most);
    this.#fitted = { width: this.#own.width * factor, height: this.#own.height * factor };
    this.#panzoom.setOptions({ minScale: Math.min(1, 1 / factor), maxScale: Math.max(MOST / factor, 4) });
    for (const sheet of this.#sheets) {
      for (const { style } of sheet.querySelectorAll("img")) {
        style.width = `${this.#fitted.width}px`;
        style.height = `${this.#fitted.height}px`;
      }
    }
    this.place(view);
  }

  /** Show it as another stage shows its own; nobody is told. */
  place(view) {
    this.#pending = this.isEmpty ? view : null;
    if (this.isEmpty) return;
    const { zoom, x, y } = view;
    this.#go({ scale: zoom, x: (0.5 - x) * this.#fitted.width, y: (0.5 - y) * this.#fitted.height }, { silent: true });
  }

  zoomBy(factor, at = null) {
    const { scale: before, x, y } = this.#state;
    const { minScale, maxScale } = this.#panzoom.getOptions();
    let scale = Math.min(Math.max(before * factor, minScale), maxScale);
    // Whoever goes back to about the whole means the whole.
    if (Math.abs(scale - 1) < 0.02) scale = 1;
    const box = this.element.getBoundingClientRect();
    const away = at ? { x: at.clientX - box.left - box.width / 2, y: at.clientY - box.top - box.height / 2 } : { x: 0, y: 0 };
    // What is under the pointer stays there.
    const moved = 1 / scale - 1 / before;
    this.#go({ scale, x: x + away.x * moved, y: y + away.y * moved }, { glides: !at });
  }

  fit() {
    this.#go({ scale: 1, x: 0, y: 0 }, { glides: true });
  }

  actual() {
    this.zoomBy(1 / this.magnified);
  }

  /** Look further to a side, by a fraction of the stage. */
  panBy(right, down) {
    const { scale, x, y } = this.#state;
    const { clientWidth, clientHeight } = this.element;
    this.#go({ scale, x: x - (right * clientWidth) / scale, y: y - (down * clientHeight) / scale }, { glides: true });
  }

  #go({ scale, x, y }, { glides = false, silent = false } = {}) {
    const { minScale, maxScale } = this.#panzoom.getOptions();
    scale = Math.min(Math.max(scale, minScale), maxScale);
    const { clientWidth, clientHeight } = this.element;
    x = within(x, this.#fitted.width, clientWidth, scale);
    y = within(y, this.#fitted.height, clientHeight, scale);
    this.#state = { scale, x, y };
    for (const sheet of this.#sheets) {
      sheet.classList.toggle("glides", glides);
      sheet.style.transform = `scale(${scale}) translate(${x}px, ${y}px)`;
    }
    this.element.classList.toggle("coarse", this.magnified >= COARSE);
    this.element.classList.toggle("zoomed", scale !== 1);
    // A finger scrolls the page as long as there is nothing to move; a pinch is never the page's.
    this.#panzoom.setOptions({ touchAction: scale === 1 ? "pan-y" : "none" });
    this.element.style.touchAction = scale === 1 ? "pan-y" : "none";
    if (!silent) this.#onView(this.view);
  }

  #down(event) {
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
      const apart = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      // Panzoom adds `step` for each 80 pixels: so that the picture grows as the fingers part.
      this.#panzoom.setOptions({ step: (80 * this.#state.scale) / Math.max(apart, 20) });
    }
  }

  #move(event) {
    if (this.#pointers.has(event.pointerId)) this.#panzoom.handleMove(event);
  }

  #up(event, onSwipe) {
    const start = this.#pointers.get(event.pointerId);
    if (!start) return;
    const alone = this.#pointers.size === 1;
    this.#panzoom.handleUp(event);
    this.#pointers.delete(event.pointerId);
    if (!alone) return;
    const [right, down] = [event.clientX - start.clientX, event.clientY - start.clientY];
    const isSwipe = start.pointerType === "touch" && Math.abs(right) > SWIPE && Math.abs(right) > 2 * Math.abs(down);
    if (event.type === "pointerup" && this.isWhole && isSwipe) return onSwipe(right < 0 ? 1 : -1);
    this.#go({ ...this.#panzoom.getPan(), scale: this.#panzoom.getScale() });
  }

  #wheel(event, scrolls) {
    if (scrolls() && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30;
    // A pinch on a trackpad comes as a wheel with Ctrl, and in small steps.
    const speed = event.ctrlKey && Math.abs(event.deltaY) < 50 ? 0.01 : 0.002;
    this.zoomBy(Math.exp(-event.deltaY * lines * speed), event);
  }

  #toggle(event) {
    if (event.target.closest("button, input, a")) return;
    if (this.isWhole) this.zoomBy(Math.max(2, 1 / this.magnified), event);
    else this.fit();
  }
}

/** How far a picture may be moved: its edge stays outside of the stage, or it stays in the middle. */
function within(offset, fitted, room, scale) {
  const most = Math.max(0, (fitted * scale - room) / 2 / scale);
  return Math.min(Math.max(offset, -most), most);
}
