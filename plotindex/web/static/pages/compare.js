// The comparison: copies side by side, one at a time, or two overlaid.

import { readState, writeState } from "../viewer/url_state.js";
import { followPage } from "../api/refresh.js";
import { SideBySide } from "../viewer/side_by_side.js";
import { connectCopyButtons, connectZoom, showNote, showUpdateNote, connectKeys } from "../viewer/controls.js";
import { readCopies, ORDERS } from "../viewer/copies.js";
import { stemOf } from "../shared/formats.js";
import { startTimeUpdates, setTime } from "../shared/format.js";
import { connectPrint } from "../gallery/print.js";
import { recordVisits } from "../shared/since.js";
import { restoreBackLink } from "../gallery/order.js";
import { Overlay } from "../viewer/overlay.js";
import { OverlayPicker } from "../viewer/overlay_picker.js";
import { TimePlayer } from "../viewer/time_player.js";

const SECTIONS = { beside: "cells", one: "one", slider: "pair", difference: "pair" };

const page = document.getElementById("compare");
const { name, session, of } = page.dataset;
const isOfVersions = of === "versions";
const order = document.getElementById("order");
const linked = document.getElementById("linked");
const reasonElement = document.getElementById("reason");
const buttons = [...document.querySelectorAll("button[data-view]")];

const SINGLE_COPY = isOfVersions
  ? "There is only one version. New versions appear here automatically."
  : name
  ? "There is only one copy. New copies appear here automatically."
  : "Only one of the plots is left.";
const requestedPaths = new URLSearchParams(location.search).getAll("plot");

let view = "beside";
let copies = readCopies([...page.querySelectorAll("figure")], Boolean(name));
const sideBySide = new SideBySide(document.getElementById("cells"), saveState);
const player = new TimePlayer(saveState);
const overlay = new Overlay(saveState, showOverlay);
const picker = new OverlayPicker(showOverlay);

start(readState());

function start(state) {
  order.value = state.order in ORDERS ? state.order : "newest";
  if (!order.value) order.value = "newest";
  sideBySide.isLinked = state.linked !== "no";
  linked.setAttribute("aria-pressed", sideBySide.isLinked);
  overlay.isScaled = state.sizes === "scaled";
  overlay.amplification = state.amplify ?? overlay.amplification;
  player.path = pathOf(state.at);
  const first = name ? [] : copies.slice(0, 2).map(({ path }) => path);
  renderCopies([pathOf(state.left) ?? first[0], pathOf(state.right) ?? first[1]]);
  connect();
  switchView(buttons.some(({ dataset, disabled }) => dataset.view === state.view && !disabled) ? state.view : "beside");
  if (state.part) stage().setView(state.part);
  for (const target of [player.stage, overlay.stage]) target.setView(state.part ?? target.view);
  followPage({ since: page.dataset.clock, session, affects, isGone, update });
}

function connect() {
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const before = visiblePart();
      switchView(button.dataset.view);
      // Keep the visible part.
      stage().setView(before);
      saveState();
    });
  }
  order.addEventListener("change", () => {
    renderCopies();
    saveState();
  });
  linked.addEventListener("click", () => {
    sideBySide.setLinked(!sideBySide.isLinked);
    linked.setAttribute("aria-pressed", sideBySide.isLinked);
    saveState();
  });
  startTimeUpdates();
  recordVisits();
  restoreBackLink(session);
  connectCopyButtons();
  connectPrint();
  const stepKey = (direction) => (event) => (view === "one" && !event.shiftKey ? player.step(direction) : false);
  connectKeys({ ArrowLeft: stepKey(-1), ArrowRight: stepKey(1) }, connectZoom(stage), {
    Escape: () => document.getElementById("back")?.click() ?? false,
  });
}

/** The stage for zoom buttons and keys. */
function stage() {
  return { beside: sideBySide, one: player.stage }[view] ?? overlay.stage;
}

function visiblePart() {
  return stage().view;
}

function pathOf(id) {
  return copies.find((copy) => copy.id === id)?.path;
}

/** Whether the page shows this key. */
function affects({ session, filename }) {
  if (name) return stemOf(filename) === stemOf(name);
  return requestedPaths.some((path) => path.startsWith(`${session}/`) && path.endsWith(`/${filename}`));
}

function isGone(_, removed) {
  // Versions are kept.
  return Boolean(name) && !isOfVersions && removed.some(({ filename }) => filename === name);
}

function switchView(next) {
  view = next;
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.view === view);
  for (const id of Object.values(SECTIONS)) document.getElementById(id).hidden = id !== SECTIONS[view];
  for (const options of document.querySelectorAll("[data-for]")) options.hidden = options.dataset.for !== view;
  page.dataset.view = view;
  if (view === "beside") sideBySide.showZoom();
  else if (view === "one") player.show(copies.toSorted(ORDERS.oldest));
  else showOverlay();
}

/** Show the two selected copies overlaid, in the views that do so. */
async function showOverlay() {
  if (SECTIONS[view] !== "pair" || !picker.selected) return;
  saveState();
  await overlay.show(view, ...picker.selected);
}

/** Show the copies in the selected order. */
function renderCopies(paths) {
  sideBySide.show(copies.toSorted(ORDERS[order.value]).map(({ figure }) => figure));
  player.show(copies.toSorted(ORDERS.oldest));
  picker.setCopies(copies.toSorted(ORDERS.newest), paths);
  updateAvailability();
}

/** Disable the views that need two copies, and show why. */
function updateAvailability() {
  const isSingle = copies.length < 2;
  for (const button of buttons) button.disabled = isSingle && button.dataset.view !== "beside";
  reasonElement.textContent = isSingle ? SINGLE_COPY : "";
  reasonElement.hidden = !isSingle;
  if (buttons.find(({ dataset }) => dataset.view === view).disabled) switchView("beside");
}

function update(newDocument) {
  if (!newDocument) return showNote("All of these were removed. Their last versions are shown.", { isPersistent: true });
  const before = new Map(copies.map((copy) => [copy.path, copy]));
  const updated = [];
  const figures = [...newDocument.querySelectorAll("figure")].map((figure) => {
    const existing = before.get(figure.dataset.path)?.figure;
    if (!existing) {
      updated.push(figure.dataset.path);
      return document.adoptNode(figure);
    }
    const isUpdated = existing.dataset.version !== figure.dataset.version;
    if (isUpdated || existing.dataset.number !== figure.dataset.number) {
      Object.assign(existing.dataset, figure.dataset);
      existing.querySelector("figcaption").replaceWith(document.adoptNode(figure.querySelector("figcaption")));
    }
    if (isUpdated) {
      updated.push(figure.dataset.path);
      sideBySide.refresh(existing);
    }
    return existing;
  });
  copies = readCopies(figures, Boolean(name));
  for (const id of ["title", "absent"]) document.getElementById(id).replaceWith(document.adoptNode(newDocument.getElementById(id)));
  renderCopies();
  showOverlay();
  for (const time of page.querySelectorAll("time")) setTime(time, time.dateTime);
  const removedPaths = [...before.keys()].filter((path) => !copies.some((copy) => copy.path === path));
  const summary = (paths, what) => (paths.length === 1 ? `${labelOf(paths[0])} ${what}` : `${paths.length} ${what}`);
  const labelOf = (path) => (copies.find((copy) => copy.path === path) ?? before.get(path)).label;
  if (updated.length) showUpdateNote(summary(updated, "updated just now"));
  else if (removedPaths.length) showNote(summary(removedPaths, "removed"));
}

function saveState() {
  writeState(() => {
    const [left, right] = (SECTIONS[view] === "pair" && picker.selected) || [];
    return {
      view: view === "beside" ? undefined : view,
      order: order.value === "newest" ? undefined : order.value,
      linked: sideBySide.isLinked ? undefined : "no",
      at: view === "one" ? copies.find(({ path }) => path === player.path)?.id : undefined,
      left: left?.id,
      right: right?.id,
      sizes: SECTIONS[view] === "pair" && overlay.isScaled ? "scaled" : undefined,
      amplify: view === "difference" ? overlay.amplification : undefined,
      part: visiblePart(),
    };
  });
}
