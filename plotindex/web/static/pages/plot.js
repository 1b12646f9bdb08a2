// One plot: shown as large as it fits, and again as soon as it is drawn again.

import { keepCurrent } from "../api/refresh.js";
import { encodePath } from "../api/client.js";
import { connectCopying, connectZoom, note, onKeys, sayZoom } from "../viewer/controls.js";
import { keepTimes, many, setTime } from "../shared/format.js";
import { isSvg, watchAll } from "../gallery/thumbnails.js";
import { keptOrder, leadBack } from "../gallery/order.js";
import { isWanted, load, says } from "../viewer/image_loader.js";
import { Stage } from "../viewer/stage.js";

const SLOW = 400; // milliseconds after which it is said that it is loading

const shown = { ...document.getElementById("plot").dataset };
const place = document.getElementById("stage");
const stage = new Stage(place, { onView: sayView, onSwipe: (way) => go(way < 0 ? "previous" : "next") });
const pinned = new URLSearchParams(location.search).get("project");
const concerns = ({ filename }) => filename === shown.filename;
const isOther = ({ project }) => project !== pinned;

start();

function start() {
  linkNeighbours();
  leadBack(shown.session);
  keepTimes();
  watchAll();
  connectCopying();
  onKeys(connectZoom(() => stage), {
    ArrowLeft: () => go("previous"),
    ArrowRight: () => go("next"),
    Escape: () => document.getElementById("back").click(),
  });
  document.addEventListener("click", (event) => {
    const { id } = event.target.closest("#previous, #next") ?? {};
    if (!id || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(id);
  });
  new ResizeObserver(sayView).observe(place);
  show();
  keepCurrent({
    since: Number(shown.clock),
    session: shown.session,
    concerns,
    isGone: (changed, removed) => removed.some(concerns) || (pinned && changed.find(concerns)?.copies.every(isOther)),
    update,
  });
}

/** Show what `shown` names; returns whether that could be done. */
async function show() {
  const { image, filename } = shown;
  let patience = 0;
  try {
    if (stage.isEmpty && !(await isWanted(place, image, filename, Number(shown.size)))) return false;
    if (stage.isEmpty) patience = setTimeout(() => says(place, "Loading…"), SLOW);
    const picture = await load(image, filename);
    if (image !== shown.image) return false;
    const before = stage.isEmpty ? null : stage.pixels;
    stage.show(picture);
    const { width, height } = stage.pixels;
    if (before && (before.width !== width || before.height !== height)) stage.fit();
    clearTimeout(patience);
    says(place, "");
    sayView();
    return true;
  } catch (error) {
    clearTimeout(patience);
    if (image !== shown.image) return false;
    // What it showed before is better than nothing.
    if (!stage.isEmpty) note(`It was drawn again. ${error.message}`, { stays: true });
    else {
      says(place, error.message);
      document.getElementById("pixels").textContent = "unknown";
    }
    return false;
  }
}

function sayView() {
  if (stage.isEmpty) return;
  sayZoom(`${Math.round(stage.magnified * 100)} %`);
  const { width, height } = stage.pixels;
  const pixels = document.getElementById("pixels");
  pixels.textContent = `${width.toLocaleString("en")} × ${height.toLocaleString("en")}`;
  if (isSvg(shown.filename)) pixels.textContent += ", sharp at any size";
}

async function update(page) {
  if (!page) {
    for (const element of document.querySelectorAll(".actions [data-copy], .actions a")) element.setAttribute("aria-disabled", "true");
    return note("It was removed. This is how it last was.", { stays: true });
  }
  const before = { ...shown };
  Object.assign(shown, page.getElementById("plot").dataset);
  for (const id of ["facts", "others", "beside"]) replace(document.getElementById(id), page.getElementById(id));
  linkNeighbours();
  for (const time of document.querySelectorAll("time")) setTime(time, time.dateTime);
  watchAll();
  sayView();
  const isAnothers = before.project !== shown.project;
  if (!isAnothers && before.version === shown.version) {
    if (document.getElementById("note").textContent) note("");
    return;
  }
  if (await show()) note(isAnothers ? `Drawn just now by ${shown.project}` : "Drawn again just now");
}

/** Take a part of the page as it is now; the focus stays where it was. */
function replace(old, now) {
  const address = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
  old.replaceWith(document.adoptNode(now));
  if (address) now.querySelector(`a[href="${CSS.escape(address)}"]`)?.focus();
}

function go(id) {
  const link = document.getElementById(id);
  if (!link.hasAttribute("href")) return false;
  // Whoever goes back goes to where he came from, not through all that he has seen.
  location.replace(link.href);
}

/** Before and after it in the order in which the session's page has just shown its plots, where that is known. */
function linkNeighbours() {
  const { filenames: order } = keptOrder(shown.session);
  const index = order.indexOf(shown.filename);
  if (index < 0) return;
  document.getElementById("place").textContent = `${(index + 1).toLocaleString("en")} of ${many(order.length, "plot")}`;
  link("previous", order[index - 1]);
  link("next", order[index + 1]);
}

function link(id, filename) {
  const anchor = document.getElementById(id);
  if (filename === undefined) {
    for (const name of ["href", "title"]) anchor.removeAttribute(name);
    anchor.setAttribute("role", "link");
    anchor.setAttribute("aria-disabled", "true");
  } else {
    anchor.href = shown.plots + encodePath(filename);
    anchor.title = filename;
    for (const name of ["role", "aria-disabled"]) anchor.removeAttribute(name);
  }
}
