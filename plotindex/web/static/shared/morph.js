// Changes a part of the page into a newer state of it. Elements stay, with their focus, loaded images and clicks.

import { loadWhenVisible } from "../gallery/thumbnails.js";
import { setTime } from "./format.js";

// Attributes that scripts add.
const ADDED = new Set(["src", "style", "data-says", "data-asks"]);

/** Change `old` into `replacement`; images that differ are loaded once they are visible. */
export function morph(old, replacement) {
  for (const name of old.getAttributeNames()) {
    if (!replacement.hasAttribute(name) && !ADDED.has(name)) old.removeAttribute(name);
  }
  const isOtherImage = old.dataset.image !== replacement.dataset.image;
  for (const { name, value } of replacement.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.matches("time")) setTime(old, replacement.dateTime);
  else morphChildren(old, replacement);
  if (isOtherImage) loadWhenVisible(old);
}

function morphChildren(old, replacement) {
  const remaining = new Set(old.childNodes);
  const keyed = new Map([...old.children].map((child) => [keyOf(child), child]));
  let place = old.firstChild;
  for (const child of [...replacement.childNodes]) {
    const key = keyOf(child);
    const same = key ? keyed.get(key) : [...remaining].find((other) => other.nodeName === child.nodeName && !keyOf(other));
    const node = remaining.delete(same) ? same : document.adoptNode(child);
    if (node === place) place = place.nextSibling;
    else old.insertBefore(node, place);
    if (node === child) continue;
    if (node.nodeType === Node.ELEMENT_NODE) morph(node, child);
    else if (node.data !== child.data) node.data = child.data;
  }
  for (const node of remaining) node.remove();
}

/** What an element is about: its newer state has the same key. */
function keyOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  if (node.matches(".paper, li:not([data-session])")) return node.firstElementChild ? keyOf(node.firstElementChild) : "";
  const { session, filename } = node.dataset;
  return node.id || [session, filename].filter(Boolean).join("/") || node.href || "";
}
