// Loading of full-size images: a few at once, with retries, since a file may be incomplete while it is written.

import { sleep } from "../api/client.js";
import { showLabel, isSlowSvg, isSvg } from "../gallery/thumbnails.js";

const MAX_CONCURRENT = 3;
const MAX_ATTEMPTS = 3;
const RETRY_MS = 800;
const CACHE_SIZE = 12;

const cache = new Map(); // URL -> promise of an image
const queue = [];
let active = 0;

/** A loaded <img>, a new one for each call; throws an Error with the reason. */
export async function loadImage(url, filename) {
  if (!cache.has(url)) {
    const promise = runLimited(() => loadWithRetries(url, filename));
    promise.catch(() => cache.delete(url));
    cache.set(url, promise);
    if (cache.size > CACHE_SIZE) cache.delete(cache.keys().next().value);
  }
  // The browser has the image in memory: cloning sends no request.
  const image = (await cache.get(url)).cloneNode();
  await image.decode();
  return image;
}

/** For an SVG that is slow to draw: show a button on the stage and wait for a click. */
export async function confirmSlowSvg(stage, url, filename, size) {
  if (!isSvg(filename) || !(await isSlowSvg(url, size))) return;
  await new Promise((resolve) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "draw";
    button.textContent = showLabel(size);
    button.addEventListener("click", () => {
      button.remove();
      stage.focus();
      resolve();
    });
    stage.querySelector(".draw")?.remove();
    stage.append(button);
  });
}

/** Show a text instead of an image; without a text, remove it. */
export function setPlaceholder(stage, text) {
  if (text) stage.dataset.says = text;
  else delete stage.dataset.says;
}

async function loadWithRetries(url, filename) {
  for (let attempt = 1; ; attempt += 1) {
    const image = new Image();
    image.alt = filename;
    image.draggable = false;
    image.dataset.filename = filename;
    image.src = url;
    try {
      await image.decode();
      return image;
    } catch {
      if (attempt === MAX_ATTEMPTS) throw new Error(await failureReason(url));
      await sleep(RETRY_MS);
    }
  }
}

async function failureReason(url) {
  try {
    const response = await fetch(url, { method: "HEAD" });
    if (response.ok) return "Cannot display this file: it is damaged, or its suffix is wrong.";
    if (response.status === 404) return "This plot no longer exists.";
    if (response.status === 401) return "Your login has expired.";
    return "The server cannot send this plot now.";
  } catch {
    return "No connection.";
  }
}

async function runLimited(task) {
  if (active >= MAX_CONCURRENT) await new Promise((resolve) => queue.push(resolve));
  active += 1;
  try {
    return await task();
  } finally {
    active -= 1;
    queue.shift()?.();
  }
}
