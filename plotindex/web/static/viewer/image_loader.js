// Loading of full-size images: a few at once; the latest stay in memory.

import { loadInto, setNotice } from "../shared/loading.js";

const MAX_CONCURRENT = 3;
const CACHE_SIZE = 12;

const cache = new Map(); // URL -> promise of an image
const queue = [];
let active = 0;

/** A loaded <img>, a new one for each call; throws an Error with the reason. */
export async function loadImage(url, filename) {
  if (!cache.has(url)) {
    const promise = runLimited(() => loadNew(url, filename));
    promise.catch(() => cache.delete(url));
    cache.set(url, promise);
    if (cache.size > CACHE_SIZE) cache.delete(cache.keys().next().value);
  }
  // The browser has the image in memory: cloning sends no request.
  const image = (await cache.get(url)).cloneNode();
  await image.decode();
  return image;
}

/** Show a text instead of an image, also to screen readers; without a text, remove it. */
export function setPlaceholder(stage, text) {
  document.getElementById("said").textContent = text;
  setNotice(stage, text);
}

async function loadNew(url, filename) {
  const image = new Image();
  image.alt = filename;
  image.dataset.filename = filename;
  await loadInto(image, url);
  return image;
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
