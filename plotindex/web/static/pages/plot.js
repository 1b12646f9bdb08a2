// The page of a plot: its image, updated live, and its earlier versions.

import { followPage } from "../api/refresh.js";
import { connectCopyButtons, connectZoom, showNote, showUpdateNote, connectKeys, showStageZoom } from "../viewer/controls.js";
import { formatSize, startTimeUpdates, pluralize, projectLabel, setTime } from "../shared/format.js";
import { morph } from "../shared/morph.js";
import { recordVisits } from "../shared/since.js";
import { isVector, stemOf } from "../shared/formats.js";
import { loadAllWhenVisible } from "../gallery/thumbnails.js";
import { addressOf, loadOrder, restoreBackLink } from "../gallery/order.js";
import { connectPrint } from "../gallery/print.js";
import { loadImage, setPlaceholder } from "../viewer/image_loader.js";
import { loadFirst, loadSharper, sharpest } from "../viewer/picture.js";
import { connectCopyImage } from "../viewer/copy_image.js";
import { PlotFacts } from "../viewer/facts.js";
import { Stage } from "../viewer/stage.js";
import { Timeline } from "../viewer/timeline.js";
import { writeQuery } from "../viewer/url_state.js";

const LOADING_DELAY_MS = 400; // before "Loading…" is shown

const current = { ...document.getElementById("plot").dataset };
const stageElement = document.getElementById("stage");
const stage = new Stage(stageElement, { onView, onSwipe: (direction) => navigate(direction < 0 ? "previous" : "next") });
const pinned = new URLSearchParams(location.search).get("project");
const isShown = ({ filename }) => filename === current.filename;
// Also a sibling: the page names it.
const affects = ({ filename }) => stemOf(filename) === stemOf(current.filename);
let finished = ""; // the address of the image that is shown, or cannot be
// None where no history is kept.
const timeline = document.getElementById("past") && new Timeline(current, {
  selected: new URLSearchParams(location.search).get("version") ?? "",
  onSelect: onVersion,
  isShown: () => finished === shown().image,
});
const facts = new PlotFacts(current, () => !timeline?.selected && !current.removed);
const isOtherProject = ({ project }) => project !== pinned;

start();

function start() {
  linkNeighbours();
  restoreBackLink(current.session);
  startTimeUpdates();
  recordVisits();
  loadAllWhenVisible();
  connectCopyButtons();
  connectPrint();
  connectCopyImage(document.getElementById("copy-image"), () => loadImage(sharpest(shown().image, current.filename), current.filename));
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
  timeline?.load();
  facts.load();
  followPage({
    since: current.clock,
    session: current.session,
    affects,
    isGone: (changed, removed) => removed.some(isShown) || (pinned && changed.find(isShown)?.copies.every(isOtherProject)),
    update,
  });
}

/** The version to show: the selected one, by default the plot as it is now. */
function shown() {
  const selected = timeline?.selected;
  return selected ? { ...current, ...selected, image: selected.url } : current;
}

/** Show the image of the selected version; returns whether it is shown. */
async function show() {
  const version = shown();
  const { image } = version;
  let loadingTimer = 0;
  try {
    if (stage.isEmpty) loadingTimer = setTimeout(() => setPlaceholder(stageElement, "Loading…"), LOADING_DELAY_MS);
    const picture = await loadFirst(version, pixels());
    if (image !== shown().image) return false;
    finished = image;
    const before = stage.isEmpty ? null : stage.naturalSize;
    stage.show(picture);
    const { width, height } = stage.naturalSize;
    if (before && (before.width !== width || before.height !== height)) stage.fit();
    clearTimeout(loadingTimer);
    setPlaceholder(stageElement, "");
    onView();
    return true;
  } catch (error) {
    clearTimeout(loadingTimer);
    if (image !== shown().image) return false;
    finished = image;
    // Keep the old image.
    const which = timeline?.selected ? "This" : "A newer";
    if (!stage.isEmpty) showNote(`${which} version cannot be displayed. ${error.message}`, { isPersistent: true });
    else {
      setPlaceholder(stageElement, error.message);
      document.querySelector("#pixels, #pages").textContent = "unknown";
    }
    return false;
  }
}

function pixels() {
  return Math.max(stageElement.clientWidth, stageElement.clientHeight) * devicePixelRatio;
}

/** Another version was selected. */
async function onVersion() {
  const { selected } = timeline;
  writeQuery((query) => (selected ? query.set("version", selected.version) : query.delete("version")));
  showVersionFacts();
  facts.showIfCurrent();
  if (!(await show())) return;
  for (const { url, size } of timeline.neighbours) loadFirst({ ...current, image: url, size }, pixels()).catch(() => {});
}

function showVersionFacts() {
  const { mtime, size } = shown();
  for (const time of document.querySelectorAll("#facts time")) setTime(time, mtime);
  document.getElementById("bytes").textContent = formatSize(size);
}

function onView() {
  showViewInfo();
  sharpen();
}

/** Load what is sharper than the shown picture, once that is zoomed in beyond its pixels. */
async function sharpen() {
  const picture = stageElement.querySelector(".sheet img");
  if (!picture?.dataset.sharper || stage.isWhole || stage.displayedWidth <= picture.naturalWidth) return;
  const loading = loadSharper(picture);
  delete picture.dataset.sharper;
  const image = await loading.catch(({ message }) => void showNote(message));
  if (image && picture.isConnected) stage.show(image);
}

function showViewInfo() {
  if (stage.isEmpty) return;
  showStageZoom(stage);
  const { width, height } = stage.naturalSize;
  const [pixels, pages] = ["pixels", "pages"].map((id) => document.getElementById(id));
  if (pixels) pixels.textContent = `${width.toLocaleString("en")} × ${height.toLocaleString("en")}${isVector(current.filename) ? " (vector)" : ""}`;
  if (!pages) return;
  const count = Number(stageElement.querySelector(".sheet img").dataset.pages);
  pages.textContent = count ? `${count.toLocaleString("en")}${count > 1 ? ", the first is shown" : ""}` : "unknown";
}

async function update(page) {
  if (!page) {
    timeline?.load();
    current.removed = "yes";
    facts.showIfCurrent();
    for (const element of document.querySelectorAll("#actions :is([data-copy], a)")) element.setAttribute("aria-disabled", "true");
    return showNote("This plot was removed. Its last version is shown.", { isPersistent: true });
  }
  const before = { ...current };
  Object.assign(current, page.getElementById("plot").dataset);
  const isBack = before.removed !== current.removed;
  for (const id of ["facts", "others", "beside", "lost", ...(isBack ? ["actions"] : [])]) {
    morph(document.getElementById(id), page.getElementById(id));
  }
  linkNeighbours();
  for (const time of document.querySelectorAll("time")) setTime(time, time.dateTime);
  loadAllWhenVisible();
  showViewInfo();
  timeline?.load();
  facts.load();
  if (timeline?.selected) showVersionFacts();
  const isOtherCopy = before.project !== current.project;
  if (!isOtherCopy && before.version === current.version) {
    if (document.getElementById("note").textContent) showNote("");
    return;
  }
  if (timeline?.selected || (await show())) showUpdateNote(isOtherCopy ? `Updated just now by ${projectLabel(current.project)}` : "Updated just now");
}

function navigate(id) {
  const link = document.getElementById(id);
  if (!link.hasAttribute("href")) return false;
  // No history entry: Back leads to the page before, not through all plots.
  location.replace(link.href);
}

/** Link the previous and next plot in the order of the session's page, if it is stored. */
function linkNeighbours() {
  const { plots: order } = loadOrder(current.session);
  const same = order.flatMap(([filename, project, files = [filename]], index) => (files.includes(current.filename) ? [{ project, index }] : []));
  const { index } = same.find(({ project }) => project === pinned) ?? same[0] ?? { index: -1 };
  if (index < 0) return;
  document.getElementById("place").textContent = `${(index + 1).toLocaleString("en")} of ${pluralize(order.length, "plot")}`;
  link("previous", order[index - 1]);
  link("next", order[index + 1]);
}

function link(id, plot) {
  const anchor = document.getElementById(id);
  if (plot === undefined) {
    for (const name of ["href", "title"]) anchor.removeAttribute(name);
    anchor.setAttribute("role", "link");
    anchor.setAttribute("aria-disabled", "true");
  } else {
    anchor.href = addressOf(current.plots, ...plot);
    [anchor.title] = plot;
    for (const name of ["role", "aria-disabled"]) anchor.removeAttribute(name);
  }
}
