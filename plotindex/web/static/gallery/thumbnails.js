// Lazy loading of thumbnails, a few at once, so that they do not occupy all threads of the server.

import { sleep } from "../api/client.js";
import { formatSize } from "../shared/format.js";

const WIDTHS = [160, 320, 640, 1280];
const MAX_CONCURRENT = 2;
const LARGE_BYTES = 1e6; // a larger SVG is shown on a click
const MAX_ATTEMPTS = 6; // to get the cost of an SVG from a busy server
const RETRY_MS = 3000;

const queue = new Set();
const slowUrls = new Set(); // SVGs that are shown on a click
let active = 0;

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) queue.add(target);
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

/** `loadWhenVisible` for all images that are not loaded yet. */
export function loadAllWhenVisible(container = document) {
  for (const image of container.querySelectorAll("img[data-image]:not([src])")) loadWhenVisible(image);
}

export const isSvg = (filename) => filename.toLowerCase().endsWith(".svg");

/** Whether an SVG must wait for a click: it is large, or slow to draw, or its cost is unknown. */
export async function isSlowSvg(url, size) {
  if (size > LARGE_BYTES || slowUrls.has(url)) return true;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const response = await fetch(`${url}&width=320`, { method: "HEAD" });
    const cost = response.headers.get("Plotindex-Drawing");
    if (cost === "slow") slowUrls.add(url);
    if (cost === "slow" || cost === "quick") return slowUrls.has(url);
    await sleep(RETRY_MS / MAX_ATTEMPTS);
  }
  return true;
}

/** Label of the button that shows an SVG of `size` bytes. */
export const showLabel = (size) => (size > LARGE_BYTES ? `Show (${formatSize(size)})` : "Show (may be slow)");

function loadNext() {
  for (const image of queue) {
    if (active >= MAX_CONCURRENT) return;
    queue.delete(image);
    observer.unobserve(image);
    if (!image.isConnected || !image.dataset.image) continue;
    active += 1;
    loadThumbnail(image)
      .catch(() => setNotice(image, "Cannot be displayed"))
      .finally(() => {
        active -= 1;
        loadNext();
      });
  }
}

async function loadThumbnail(image) {
  const url = image.dataset.image;
  const filename = image.dataset.filename ?? image.closest("[data-filename]")?.dataset.filename ?? "";
  if (!isSvg(filename)) return loadImage(image, `${url}&width=${widthOf(image)}`);
  if (await isSlowSvg(url, Number(image.dataset.size))) return offerButton(image, url);
  image.classList.add("vector");
  return loadImage(image, url);
}

async function loadImage(image, url, isRetry = false) {
  const done = new Promise((loaded, failed) => {
    image.onload = loaded;
    image.onerror = failed;
  });
  image.src = url;
  try {
    await done;
    setNotice(image, "");
  } catch {
    // A newer load has replaced this one.
    if (image.getAttribute("src") !== url) return;
    image.removeAttribute("src");
    setNotice(image, isRetry ? "Cannot be displayed" : "Retrying…");
    if (isRetry) return;
    setTimeout(() => loadImage(image, url, true), RETRY_MS);
  }
}

function offerButton(image, url) {
  // Outside the link that contains the image.
  const parent = image.closest(".card") ?? image.closest(".paper");
  if (image.closest("[aria-hidden]")) return setNotice(image, "Click to show");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "draw";
  button.textContent = showLabel(Number(image.dataset.size));
  button.addEventListener("click", (event) => {
    event.preventDefault();
    button.remove();
    loadImage(image, url);
  });
  parent.querySelector(".draw")?.remove();
  parent.append(button);
}

function setNotice(image, text) {
  const paper = image.closest(".paper");
  if (!paper) return;
  // The strip of a session has no room for text.
  if (text) paper.dataset.says = image.closest("[aria-hidden]") ? "–" : text;
  else delete paper.dataset.says;
}

function widthOf(image) {
  const pixels = Number(image.dataset.width ?? image.clientWidth) * devicePixelRatio;
  return WIDTHS.find((width) => width >= pixels) ?? WIDTHS.at(-1);
}
