// The pictures of the selected plot: side by side with regions, overlaid, or in turns.

import { encodePath } from "../api/client.js";
import { formatSize, projectLabel, setTime, toMilliseconds } from "../shared/format.js";
import { Overlay } from "../viewer/overlay.js";
import { SideBySide } from "../viewer/side_by_side.js";
import { FULL_VIEW } from "../viewer/stage.js";
import { Blink } from "./blink.js";

const SIDES = [
  ["from", "Before"],
  ["to", "After"],
];
const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const cells = document.getElementById("cells");
const pair = document.getElementById("pair");
const buttons = [...document.querySelectorAll("button[data-view]")];
const boxesButton = document.getElementById("boxes");
const page = document.getElementById("diff");

export class PairView {
  view = "beside";
  #plot = null;
  #wanted = "beside"; // the user's choice, also while a plot has one side only
  #shown = "";
  #sideBySide;
  #overlay;
  #blink = new Blink(pair);

  /** `onView()` is called when the user has chosen another view. */
  constructor(onView) {
    this.#sideBySide = new SideBySide(cells, () => this.#scaleBoxes());
    this.#overlay = new Overlay(
      () => {},
      () => this.#showOverlay(),
    );
    for (const button of buttons) {
      button.addEventListener("click", () => {
        this.setView(button.dataset.view);
        onView();
      });
    }
    boxesButton.addEventListener("click", () => this.toggleBoxes());
  }

  /** The stage for zoom buttons and keys. */
  get stage() {
    return this.view === "beside" ? this.#sideBySide : this.#overlay.stage;
  }

  /** The view that the user has chosen. */
  get chosenView() {
    return this.#wanted;
  }

  /** Choose a view for the plots that are shown from now on. */
  setChosenView(view) {
    this.#wanted = view;
  }

  show(plot) {
    this.#plot = plot;
    const key = [plot.from?.url, plot.to?.url].join("\0");
    if (key !== this.#shown) {
      this.#shown = key;
      cells.style.removeProperty("--shape");
      this.#sideBySide.show(SIDES.filter(([side]) => plot[side]).map(([side, label]) => createFigure(plot[side], side, label)));
      this.#sideBySide.setView({ ...FULL_VIEW });
      for (const [side] of SIDES) describeSide(side, plot[side]);
    }
    this.#showBoxes();
    const isPair = Boolean(plot.from && plot.to);
    for (const button of buttons) button.disabled = !isPair && button.dataset.view !== "beside";
    this.#switch(isPair ? this.#wanted : "beside");
  }

  setView(view) {
    this.#wanted = view;
    this.#switch(view);
  }

  /** Start to show the two in turns, or go back to the view before. */
  toggleBlink() {
    if (!this.#plot?.from || !this.#plot.to) return false;
    if (this.view !== "blink") this.#switch("blink");
    else if (this.#blink.isManual) this.#blink.swap();
    else this.#switch(this.#wanted === "blink" ? (this.#wanted = "beside") : this.#wanted);
  }

  toggleBoxes() {
    const isOn = boxesButton.getAttribute("aria-pressed") !== "true";
    boxesButton.setAttribute("aria-pressed", isOn);
    cells.classList.toggle("plain", !isOn);
  }

  #switch(view) {
    const before = this.stage.view;
    const isOther = this.view !== view;
    this.view = view;
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.view === view);
    cells.hidden = view !== "beside";
    pair.hidden = view === "beside";
    boxesButton.hidden = view !== "beside";
    for (const options of document.querySelectorAll("[data-for]")) options.hidden = options.dataset.for !== view;
    page.dataset.view = view;
    if (view === "blink") this.#blink.start();
    else this.#blink.stop();
    if (view === "beside") this.#sideBySide.showZoom();
    else this.#showOverlay();
    // Keep the visible part.
    if (isOther && !this.stage.isEmpty) this.stage.setView(before);
  }

  #showOverlay() {
    if (this.view === "beside") return;
    const [left, right] = SIDES.map(([side]) => ({ image: this.#plot[side].url, filename: this.#plot[side].filename }));
    this.#overlay.show(this.view, left, right);
  }

  /** Frames around the regions, in the sheets of both pictures: they move with these. */
  #showBoxes() {
    for (const figure of cells.children) {
      const sheet = figure.querySelector(".sheet");
      sheet.querySelector(".boxes")?.remove();
      const boxes = document.createElement("div");
      boxes.className = "boxes";
      boxes.append(...this.#plot.regions.map((region) => createBox(region[figure.dataset.side])));
      const { width, height } = sheet.querySelector("img").style;
      Object.assign(boxes.style, { width, height });
      sheet.append(boxes);
    }
    this.#scaleBoxes();
  }

  /** As thin however large a picture is shown. */
  #scaleBoxes() {
    cells.style.setProperty("--zoom", this.#sideBySide.view.zoom);
  }
}

function createBox([left, top, width, height]) {
  const box = document.createElement("i");
  const shares = { left, top, width, height };
  for (const [name, share] of Object.entries(shares)) box.style[name] = `${100 * share}%`;
  return box;
}

function createFigure(entry, side, label) {
  const figure = document.getElementById("figure").content.firstElementChild.cloneNode(true);
  const { session, project, filename, version, url, size, mtime } = entry;
  const part = (name) => figure.querySelector(name);
  Object.assign(figure.dataset, { path: `${side} ${url}`, side, image: url, size, filename, version });
  Object.assign(part("img").dataset, { image: url, size, filename });
  part(".stage").setAttribute("aria-label", `${label}: ${filename}`);
  part(".load").textContent = `Show (${formatSize(size)})`;
  part("a").href = addressOf(entry);
  part("b").textContent = label;
  part("bdi").textContent = `${session} / ${projectLabel(project)}`;
  setTime(part("time"), mtime);
  part(".bytes").textContent = formatSize(size);
  return figure;
}

/** The page of a plot; of an earlier version, if its address names one. */
function addressOf({ session, project, filename, url }) {
  const version = new URL(url, location).searchParams.get("version");
  const query = new URLSearchParams({ project, ...(version && { version }) });
  return `${page.dataset.plots}${encodeURIComponent(session)}/${encodePath(filename)}?${query}`;
}

function describeSide(side, entry) {
  const time = entry ? timeFormat.format(toMilliseconds(entry.mtime)) : "";
  pair.querySelector(`[data-side="${side}"] .soft`).textContent = entry ? `${entry.session} / ${projectLabel(entry.project)} · ${time}` : "";
}
