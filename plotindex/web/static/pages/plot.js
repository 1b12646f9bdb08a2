// The page of a plot: its image, updated live.

import { followPage } from "../api/refresh.js";
import { encodePath } from "../api/client.js";
import { connectCopyButtons, connectZoom, showNote, connectKeys, showStageZoom } from "../viewer/controls.js";
import { startTimeUpdates, pluralize, projectLabel, setTime } from "../shared/format.js";
import { isSvg, loadAllWhenVisible } from "../gallery/thumbnails.js";
import { loadOrder, restoreBackLink } from "../gallery/order.js";
import { confirmSlowSvg, loadImage, setPlaceholder } from "../viewer/image_loader.js";
import { Stage } from "../viewer/stage.js";

const LOADING_DELAY_MS = 400; // before "Loading…" is shown

const current = { ...document.getElementById("plot").dataset };
const stageElement = document.getElementById("stage");
const stage = new Stage(stageElement, { onView: showViewInfo, onSwipe: (direction) => navigate(direction < 0 ? "previous" : "next") });
const pinned = new URLSearchParams(location.search).get("project");
const affects = ({ filename }) => filename === current.filename;
const isOtherProject = ({ project }) => project !== pinned;

start();

function start() {
  linkNeighbours();
  restoreBackLink(current.session);
  startTimeUpdates();
  loadAllWhenVisible();
  connectCopyButtons();
  connectKeys(connectZoom(() => stage), {
    ArrowLeft: () => navigate("previous"),
    ArrowRight: () => navigate("next"),
    Escape: () => document.getElementById("back").click(),
  });
  document.addEventListener("click", (event) => {
    const { id } = event.target.closest("#previous, #next") ?? {};
    if (!id || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    navigate(id);
  });
  new ResizeObserver(showViewInfo).observe(stageElement);
  show();
  followPage({
    since: current.clock,
    session: current.session,
    affects,
    isGone: (changed, removed) => removed.some(affects) || (pinned && changed.find(affects)?.copies.every(isOtherProject)),
    update,
  });
}

/** Show the image of the current version; returns whether it is shown. */
async function show() {
  const { image, filename } = current;
  let loadingTimer = 0;
  try {
    if (stage.isEmpty) await confirmSlowSvg(stageElement, image, filename, Number(current.size));
    if (stage.isEmpty) loadingTimer = setTimeout(() => setPlaceholder(stageElement, "Loading…"), LOADING_DELAY_MS);
    const picture = await loadImage(image, filename);
    if (image !== current.image) return false;
    const before = stage.isEmpty ? null : stage.naturalSize;
    stage.show(picture);
    const { width, height } = stage.naturalSize;
    if (before && (before.width !== width || before.height !== height)) stage.fit();
    clearTimeout(loadingTimer);
    setPlaceholder(stageElement, "");
    showViewInfo();
    return true;
  } catch (error) {
    clearTimeout(loadingTimer);
    if (image !== current.image) return false;
    // Keep the old image.
    if (!stage.isEmpty) showNote(`A newer version cannot be displayed. ${error.message}`, { isPersistent: true });
    else {
      setPlaceholder(stageElement, error.message);
      document.getElementById("pixels").textContent = "unknown";
    }
    return false;
  }
}

function showViewInfo() {
  if (stage.isEmpty) return;
  showStageZoom(stage);
  const { width, height } = stage.naturalSize;
  const pixels = document.getElementById("pixels");
  pixels.textContent = `${width.toLocaleString("en")} × ${height.toLocaleString("en")}`;
  if (isSvg(current.filename)) pixels.textContent += " (vector)";
}

async function update(page) {
  if (!page) {
    for (const element of document.querySelectorAll(".actions [data-copy], .actions a")) element.setAttribute("aria-disabled", "true");
    return showNote("This plot was removed. Its last version is shown.", { isPersistent: true });
  }
  const before = { ...current };
  Object.assign(current, page.getElementById("plot").dataset);
  for (const id of ["facts", "others", "beside"]) replacePart(document.getElementById(id), page.getElementById(id));
  linkNeighbours();
  for (const time of document.querySelectorAll("time")) setTime(time, time.dateTime);
  loadAllWhenVisible();
  showViewInfo();
  const isOtherCopy = before.project !== current.project;
  if (!isOtherCopy && before.version === current.version) {
    if (document.getElementById("note").textContent) showNote("");
    return;
  }
  if (await show()) showNote(isOtherCopy ? `Updated just now by ${projectLabel(current.project)}` : "Updated just now");
}

/** Replace a part of the page; keeps the focus. */
function replacePart(old, replacement) {
  const focusedHref = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
  old.replaceWith(document.adoptNode(replacement));
  if (focusedHref) replacement.querySelector(`a[href="${CSS.escape(focusedHref)}"]`)?.focus();
}

function navigate(id) {
  const link = document.getElementById(id);
  if (!link.hasAttribute("href")) return false;
  // No history entry: Back leads to the page before, not through all plots.
  location.replace(link.href);
}

/** Link the previous and next plot in the order of the session's page, if it is stored. */
function linkNeighbours() {
  const { filenames: order } = loadOrder(current.session);
  const index = order.indexOf(current.filename);
  if (index < 0) return;
  document.getElementById("place").textContent = `${(index + 1).toLocaleString("en")} of ${pluralize(order.length, "plot")}`;
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
    anchor.href = current.plots + encodePath(filename);
    anchor.title = filename;
    for (const name of ["role", "aria-disabled"]) anchor.removeAttribute(name);
  }
}
