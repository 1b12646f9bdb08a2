// Several plots compared: side by side, one at a time, or two over each other.

import { readAddress, writeAddress } from "../viewer/url_state.js";
import { keepCurrent } from "../api/refresh.js";
import { Cells } from "../viewer/side_by_side.js";
import { connectCopying, connectZoom, note, onKeys } from "../viewer/controls.js";
import { copiesOf, ORDERS } from "../viewer/copies.js";
import { keepTimes, setTime } from "../shared/format.js";
import { leadBack } from "../gallery/order.js";
import { Pair } from "../viewer/overlay.js";
import { load } from "../viewer/image_loader.js";
import { Sides } from "../viewer/overlay_picker.js";
import { Steps } from "../viewer/time_player.js";

const SECTIONS = { beside: "cells", one: "one", slider: "pair", difference: "pair" };

const page = document.getElementById("compare");
const { name, session } = page.dataset;
const order = document.getElementById("order");
const linked = document.getElementById("linked");
const reason = document.getElementById("reason");
const buttons = [...document.querySelectorAll("button[data-view]")];

const ALONE = name
  ? "There is one copy. Another appears here as soon as it is drawn."
  : "One plot is left, and nothing to compare it with.";
const wanted = new URLSearchParams(location.search).getAll("plot");

let view = "beside";
let copies = copiesOf([...page.querySelectorAll("figure")], Boolean(name));
let unfit = ""; // why the two that there are cannot lie over each other
const cells = new Cells(document.getElementById("cells"), keep);
const steps = new Steps(keep);
const pair = new Pair(keep);
const sides = new Sides(lay);

start(readAddress());

function start(given) {
  order.value = given.order in ORDERS ? given.order : "newest";
  cells.isLinked = given.linked !== "no";
  linked.setAttribute("aria-pressed", cells.isLinked);
  pair.amplified = given.amplify ?? pair.amplified;
  steps.path = pathOf(given.at);
  const first = name ? [] : copies.slice(0, 2).map(({ path }) => path);
  arrange([pathOf(given.left) ?? first[0], pathOf(given.right) ?? first[1]]);
  connect();
  turnTo(buttons.some(({ dataset, disabled }) => dataset.view === given.view && !disabled) ? given.view : "beside");
  if (given.part) stage().place(given.part);
  for (const target of [steps.stage, pair.stage]) target.place(given.part ?? target.view);
  keepCurrent({ since: Number(page.dataset.clock), session, concerns, isGone, update });
}

function connect() {
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const before = shownPart();
      turnTo(button.dataset.view);
      // Whoever looks at a detail goes on looking at it.
      stage().place(before);
      keep();
    });
  }
  order.addEventListener("change", () => {
    arrange();
    keep();
  });
  linked.addEventListener("click", () => {
    cells.link(!cells.isLinked);
    linked.setAttribute("aria-pressed", cells.isLinked);
    keep();
  });
  keepTimes();
  leadBack(session);
  connectCopying();
  const step = (way) => (event) => (view === "one" && !event.shiftKey ? steps.step(way) : false);
  onKeys({ ArrowLeft: step(-1), ArrowRight: step(1) }, connectZoom(stage), {
    Escape: () => document.getElementById("back")?.click() ?? false,
  });
}

/** What the zoom's buttons and the keys act on. */
function stage() {
  return { beside: cells, one: steps.stage }[view] ?? pair.stage;
}

function shownPart() {
  return stage().view;
}

function pathOf(id) {
  return copies.find((copy) => copy.id === id)?.path;
}

/** Whether a key is one of those that the page is about. */
function concerns({ session, filename }) {
  if (name) return filename === name;
  return wanted.some((path) => path.startsWith(`${session}/`) && path.endsWith(`/${filename}`));
}

function isGone(_, removed) {
  return Boolean(name) && removed.some(concerns);
}

function turnTo(next) {
  view = next;
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.view === view);
  for (const id of Object.values(SECTIONS)) document.getElementById(id).hidden = id !== SECTIONS[view];
  for (const options of document.querySelectorAll("[data-for]")) options.hidden = options.dataset.for !== view;
  page.dataset.view = view;
  if (view === "beside") cells.sayZoom();
  else if (view === "one") steps.show(copies.toSorted(ORDERS.oldest));
  else lay();
}

/** Put two over each other. */
async function lay() {
  if (SECTIONS[view] !== "pair" || !sides.chosen) return;
  keep();
  await pair.show(view, ...sides.chosen);
}

/** Show the copies that there are, in the order that is wanted. */
function arrange(paths) {
  cells.show(copies.toSorted(ORDERS[order.value]).map(({ figure }) => figure));
  steps.show(copies.toSorted(ORDERS.oldest));
  sides.offer(copies.toSorted(ORDERS.newest), paths);
  judge();
  if (copies.length === 2) findOut();
}

/** Say which views there cannot be, and why. */
function judge() {
  const rasters = copies.filter(({ isSvg }) => !isSvg).length;
  let why = "";
  if (copies.length < 2) why = ALONE;
  else if (rasters < 2) why = "Slider and difference need two pictures that are made of pixels: SVG is not.";
  else if (copies.length === 2) why = unfit;
  for (const button of buttons) {
    const needed = { one: copies.length >= 2, slider: !why, difference: !why }[button.dataset.view] ?? true;
    button.disabled = !needed;
  }
  reason.textContent = why;
  reason.hidden = !why;
  if (buttons.find(({ dataset }) => dataset.view === view).disabled) turnTo("beside");
}

/** Look whether the only two there are have one size. */
async function findOut() {
  const chosen = sides.chosen;
  if (!chosen) return;
  try {
    const [one, other] = await Promise.all(chosen.map(({ image, filename }) => load(image, filename)));
    const size = (picture) => `${picture.naturalWidth} × ${picture.naturalHeight}`;
    const isSame = size(one) === size(other);
    unfit = isSame ? "" : `Slider and difference need two pictures of one size: these have ${size(one)} and ${size(other)} pixels.`;
  } catch {
    unfit = "Slider and difference need two pictures that can be shown.";
  }
  judge();
}

function update(now) {
  if (!now) return note("None of these is there any more. This is how they last were.", { stays: true });
  const before = new Map(copies.map((copy) => [copy.path, copy]));
  const drawn = [];
  const figures = [...now.querySelectorAll("figure")].map((figure) => {
    const known = before.get(figure.dataset.path)?.figure;
    if (!known) {
      drawn.push(figure.dataset.path);
      return document.adoptNode(figure);
    }
    if (known.dataset.version !== figure.dataset.version) {
      drawn.push(figure.dataset.path);
      Object.assign(known.dataset, figure.dataset);
      known.querySelector("figcaption").replaceWith(document.adoptNode(figure.querySelector("figcaption")));
      cells.renew(known);
    }
    return known;
  });
  copies = copiesOf(figures, Boolean(name));
  for (const id of ["title", "absent"]) document.getElementById(id).replaceWith(document.adoptNode(now.getElementById(id)));
  arrange();
  lay();
  for (const time of page.querySelectorAll("time")) setTime(time, time.dateTime);
  const gone = [...before.keys()].filter((path) => !copies.some((copy) => copy.path === path));
  const says = (paths, what) => (paths.length === 1 ? `${labelOf(paths[0])} ${what}` : `${paths.length} ${what}`);
  const labelOf = (path) => (copies.find((copy) => copy.path === path) ?? before.get(path)).label;
  if (drawn.length) note(says(drawn, "drawn just now"));
  else if (gone.length) note(says(gone, "removed"));
}

function keep() {
  writeAddress(() => {
    const [left, right] = (SECTIONS[view] === "pair" && sides.chosen) || [];
    return {
      view: view === "beside" ? undefined : view,
      order: order.value === "newest" ? undefined : order.value,
      linked: cells.isLinked ? undefined : "no",
      at: view === "one" ? copies.find(({ path }) => path === steps.path)?.id : undefined,
      left: left?.id,
      right: right?.id,
      amplify: view === "difference" ? pair.amplified : undefined,
      part: shownPart(),
    };
  });
}
