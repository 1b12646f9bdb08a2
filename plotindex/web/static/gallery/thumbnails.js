// Thumbnails: asked for when they come into view, a few at once, so that the server is never busy with them alone.

import { pause } from "../api/client.js";
import { size } from "../shared/format.js";

const WIDTHS = [160, 320, 640, 1280];
const AT_ONCE = 2;
const LARGE = 1e6; // bytes of an SVG that waits for a click
const ATTEMPTS = 6; // to hear how slow an SVG is, while the server is busy with others
const AGAIN = 3000; // milliseconds after which an image that failed is asked for once more

const waiting = new Set();
const slow = new Set(); // addresses of SVG that wait for a click
let busy = 0;

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) waiting.add(target);
      else waiting.delete(target);
    }
    next();
  },
  { rootMargin: "300px" },
);

/** Show the plot that an <img data-image data-size data-filename> names, once it is in view. */
export function watch(image) {
  seen.unobserve(image);
  seen.observe(image);
}

/** Do not ask for it any more. */
export function forget(image) {
  seen.unobserve(image);
  waiting.delete(image);
}

/** Every image of a page that is not shown yet. */
export function watchAll(within = document) {
  for (const image of within.querySelectorAll("img[data-image]:not([src])")) watch(image);
}

export const isSvg = (filename) => filename.toLowerCase().endsWith(".svg");

/** Whether an SVG is to wait for a click: it is large, or the server says that it is slow to draw, or cannot say it. */
export async function isSlow(address, bytes) {
  if (bytes > LARGE || slow.has(address)) return true;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const answer = await fetch(`${address}&width=320`, { method: "HEAD" });
    const verdict = answer.headers.get("Plotindex-Drawing");
    if (verdict === "slow") slow.add(address);
    if (verdict === "slow" || verdict === "quick") return slow.has(address);
    await pause(AGAIN / ATTEMPTS);
  }
  return true;
}

/** What offers to draw an SVG of so many bytes. */
export const drawing = (bytes) => (bytes > LARGE ? `Draw it (${size(bytes)})` : "Draw it (may be slow)");

function next() {
  for (const image of waiting) {
    if (busy >= AT_ONCE) return;
    waiting.delete(image);
    seen.unobserve(image);
    if (!image.isConnected || !image.dataset.image) continue;
    busy += 1;
    show(image)
      .catch(() => says(image, "Cannot be shown now"))
      .finally(() => {
        busy -= 1;
        next();
      });
  }
}

async function show(image) {
  const address = image.dataset.image;
  const filename = image.dataset.filename ?? image.closest("[data-filename]")?.dataset.filename ?? "";
  if (!isSvg(filename)) return load(image, `${address}&width=${widthOf(image)}`);
  if (await isSlow(address, Number(image.dataset.size))) return offer(image, address);
  image.classList.add("vector");
  return load(image, address);
}

async function load(image, address, isLast = false) {
  const done = new Promise((loaded, failed) => {
    image.onload = loaded;
    image.onerror = failed;
  });
  image.src = address;
  try {
    await done;
    says(image, "");
  } catch {
    // An address that has changed meanwhile is somebody else's matter.
    if (image.getAttribute("src") !== address) return;
    image.removeAttribute("src");
    says(image, isLast ? "Cannot be shown" : "Trying again…");
    if (isLast) return;
    setTimeout(() => load(image, address, true), AGAIN);
  }
}

function offer(image, address) {
  // Beside the link that the image is in, not within it.
  const place = image.closest(".card") ?? image.closest(".paper");
  if (image.closest("[aria-hidden]")) return says(image, "Waits for a click");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "draw";
  button.textContent = drawing(Number(image.dataset.size));
  button.addEventListener("click", (event) => {
    event.preventDefault();
    button.remove();
    load(image, address);
  });
  place.querySelector(".draw")?.remove();
  place.append(button);
}

function says(image, text) {
  const paper = image.closest(".paper");
  if (!paper) return;
  // In the strip of a session there is no room for words.
  if (text) paper.dataset.says = image.closest("[aria-hidden]") ? "–" : text;
  else delete paper.dataset.says;
}

function widthOf(image) {
  const wanted = Number(image.dataset.width ?? image.clientWidth) * devicePixelRatio;
  return WIDTHS.find((width) => width >= wanted) ?? WIDTHS.at(-1);
}
