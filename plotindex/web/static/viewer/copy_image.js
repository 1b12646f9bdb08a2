// The whole picture, as a PNG on the clipboard.

import { isSvg } from "../shared/formats.js";
import { showNote } from "./controls.js";

const VECTOR_PIXELS = 2000; // of the longer side: enough for print

/** Connect the button to `load()`, the promise of the plot's <img>. */
export function connectCopyImage(button, load) {
  button.addEventListener("click", async () => {
    if (!window.ClipboardItem || !navigator.clipboard?.write) {
      return showNote("The browser copies images on HTTPS and localhost only. Drag the picture, or download it.");
    }
    let canvas;
    const encoded = load().then((image) => encode((canvas = draw(image))));
    try {
      // A promise: Safari wants the item before the click's handler has waited for anything.
      await navigator.clipboard.write([new ClipboardItem({ "image/png": encoded })]);
      showNote(`Copied, ${canvas.width} × ${canvas.height} pixels.`);
    } catch (error) {
      if (!canvas) return showNote("There is no picture to copy.");
      const reason = error instanceof RangeError ? "The picture is too large to copy." : "The browser refused to copy.";
      showNote(`${reason} Drag the picture, or download it.`);
    }
  });
}

/** A canvas with the picture at its natural size, a vector larger; transparent where the picture is. */
function draw(image) {
  const [width, height] = [image.naturalWidth || 300, image.naturalHeight || 150];
  const scale = isSvg(image.dataset.filename) ? Math.max(1, VECTOR_PIXELS / Math.max(width, height)) : 1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The PNG as a Blob; a RangeError if the canvas is larger than the browser allows. */
function encode(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new RangeError("canvas"))), "image/png");
  });
}
