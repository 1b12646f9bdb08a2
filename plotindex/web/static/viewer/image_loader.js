// Pictures as they are: a few at once, each tried again, since it may be being drawn this moment.

import { pause } from "../api/client.js";
import { drawing, isSlow, isSvg } from "../gallery/thumbnails.js";

const AT_ONCE = 3;
const TRIES = 3;
const AGAIN = 800; // milliseconds
const KEPT = 12;

const kept = new Map(); // address -> promise of an image
const turns = [];
let busy = 0;

/** An <img> that is loaded, of its own for each caller; fails with an Error that says why there is none. */
export async function load(address, filename) {
  if (!kept.has(address)) {
    const loading = inTurn(() => attempt(address, filename));
    loading.catch(() => kept.delete(address));
    kept.set(address, loading);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  }
  // It is in the page's memory by now: this is no other request.
  const image = (await kept.get(address)).cloneNode();
  await image.decode();
  return image;
}

/** Whether somebody wants to see an SVG that is slow to draw; asks for a click on the stage, where it is. */
export async function isWanted(stage, address, filename, bytes) {
  if (!isSvg(filename) || !(await isSlow(address, bytes))) return true;
  return new Promise((wanted) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "draw";
    button.textContent = drawing(bytes);
    button.addEventListener("click", () => {
      button.remove();
      stage.focus();
      wanted(true);
    });
    stage.querySelector(".draw")?.remove();
    stage.append(button);
  });
}

/** Say something in place of a picture, or with no text nothing. */
export function says(stage, text) {
  if (text) stage.dataset.says = text;
  else delete stage.dataset.says;
}

async function attempt(address, filename) {
  for (let tries = 1; ; tries += 1) {
    const image = new Image();
    image.alt = filename;
    image.draggable = false;
    image.dataset.filename = filename;
    image.src = address;
    try {
      await image.decode();
      return image;
    } catch {
      if (tries === TRIES) throw new Error(await reasonFor(address));
      await pause(AGAIN);
    }
  }
}

async function reasonFor(address) {
  try {
    const answer = await fetch(address, { method: "HEAD" });
    if (answer.ok) return "This file is not an image that can be shown: it is damaged, or not what its name says.";
    if (answer.status === 404) return "It is not there any more.";
    if (answer.status === 401) return "Your login is over.";
    return "The server cannot send it now.";
  } catch {
    return "No connection: it cannot be loaded now.";
  }
}

async function inTurn(work) {
  if (busy >= AT_ONCE) await new Promise((go) => turns.push(go));
  busy += 1;
  try {
    return await work();
  } finally {
    busy -= 1;
    turns.shift()?.();
  }
}
