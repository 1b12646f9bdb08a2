// Lazy loading of thumbnails, a few at once, so that they do not occupy all threads of the server.

import { sleep } from "../api/client.js";
import { NO_CONNECTION, loadInto, setNotice } from "../shared/loading.js";

const MAX_UNASKED_BYTES = 4_000_000; // a plot without a picture is sent itself
const MAX_CHECKS = 3;
const CHECK_AGAIN_MS = 1000; // times the number of checks
const WIDTHS = [160, 320, 640, 1280, 2560];
const MAX_CONCURRENT = 2;

const queue = new Set();
let active = 0; // occupied slots
let pending = 0; // loads that have begun, also those that wait for a retry
let isLoadingAll = false;
let onProgress = () => {};

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting || isLoadingAll) queue.add(target);
      else queue.delete(target);
    }
    loadNext();
  },
  { rootMargin: "300px" },
);

/** Load the plot of an <img data-image data-size data-filename> once it is in view. */
export function loadWhenVisible(image) {
  observer.unobserve(image);
  observer.observe(image);
}

/** Cancel a load that has not started. */
export function cancelLoad(image) {
  observer.unobserve(image);
  queue.delete(image);
}

/** Load all images of the page now, in view or not; resolves when none remains. `report(remaining)` is called meanwhile. */
export function loadAllNow(report = () => {}) {
  isLoadingAll = true;
  for (const image of document.querySelectorAll("img[data-image]:not([src])")) queue.add(image);
  return new Promise((done) => {
    onProgress = () => {
      const remaining = queue.size + pending;
      if (remaining) report(remaining);
      else done();
    };
    onProgress();
    loadNext();
  });
}

/** Load only images in view again. */
export function stopLoadingAll() {
  isLoadingAll = false;
  onProgress = () => {};
}

/** `loadWhenVisible` for all images that are not loaded yet. */
export function loadAllWhenVisible(container = document) {
  for (const image of container.querySelectorAll("img[data-image]:not([src])")) loadWhenVisible(image);
}

function loadNext() {
  for (const image of queue) {
    if (active >= MAX_CONCURRENT) return;
    queue.delete(image);
    observer.unobserve(image);
    if (!image.isConnected || !image.dataset.image) continue;
    occupySlot((release) => loadThumbnail(image, release).catch(() => say(image, NO_CONNECTION)));
  }
}

/** Run a load in one of the slots, until it ends or calls `release`. */
function occupySlot(load) {
  active += 1;
  let isOccupied = true;
  const release = () => {
    if (!isOccupied) return;
    isOccupied = false;
    active -= 1;
    loadNext();
  };
  pending += 1;
  load(release).finally(() => {
    pending -= 1;
    release();
    onProgress();
  });
}

/** Load the picture of an image; a retry does not keep others waiting. */
async function loadThumbnail(image, release) {
  const onRetry = () => {
    say(image, "Retrying…");
    release();
  };
  try {
    const address = `${image.dataset.image}&width=${widthOf(image)}`;
    if (!(await mayLoad(image, address, release))) return;
    if (await loadInto(image, address, onRetry)) say(image, "");
  } catch (error) {
    say(image, error.message);
  }
}

const wanted = new Set(); // addresses of large plots that the user has asked for

/** Whether to load it: a large plot without a picture waits for a click on the card's button. */
async function mayLoad(image, address, release) {
  const { image: url, size } = image.dataset;
  delete image.closest(".paper")?.dataset.asks;
  if (size <= MAX_UNASKED_BYTES || wanted.has(url) || (await hasPicture(address, release))) return image.dataset.image === url;
  if (image.dataset.image !== url) return false;
  say(image, "");
  if (hostOf(image)) image.closest(".paper").dataset.asks = "";
  else say(image, "Too large to show here.");
  return false;
}

/** What has the button for an image. */
const hostOf = (element) => element.closest(".card, figure");

/** Whether the answer is a picture, by its headers; while the server is busy it would be the plot. */
async function hasPicture(address, release) {
  for (let check = 1; ; check += 1) {
    const { headers } = await fetch(address, { method: "HEAD" });
    if (!(headers.get("Content-Length") > MAX_UNASKED_BYTES)) return true;
    if (check === MAX_CHECKS || headers.get("Cache-Control")?.includes("immutable")) return false;
    release();
    await sleep(CHECK_AGAIN_MS * check);
  }
}

document.addEventListener("click", ({ target }) => {
  if (!target.closest(".load")) return;
  const image = hostOf(target).querySelector("img[data-image]");
  wanted.add(image.dataset.image);
  loadWhenVisible(image);
});

function say(image, text) {
  const paper = image.closest(".paper");
  // The strip of a session has no room for text.
  if (paper) setNotice(paper, text && image.closest("[aria-hidden]") ? "–" : text);
}

function widthOf(image) {
  const pixels = Number(image.dataset.width ?? image.clientWidth) * devicePixelRatio;
  return WIDTHS.find((width) => width >= pixels) ?? WIDTHS.at(-1);
}
