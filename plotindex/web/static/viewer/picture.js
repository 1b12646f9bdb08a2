// What a plot's page shows: its picture first, the file itself when it is small or zoomed in.

import { isShownInPages, isSvg, isVector, suffixOf } from "../shared/formats.js";
import { NO_PICTURE } from "../shared/loading.js";
import { loadImage } from "./image_loader.js";

const SMALL_BYTES = 256_000; // as in plot.html; the file itself comes as fast as a picture
const [NARROW, WIDE] = [1280, 2560];

/**
 * The <img> to show first, on a stage of so many pixels. Its data: the size and pages of the plot itself, and the address
 * of what is `sharper`, if anything is.
 */
export async function loadFirst({ image: url, filename, size }, pixels) {
  // A picture is of the first frame.
  if (isShownInPages(filename) && (size <= SMALL_BYTES || suffixOf(filename) === "gif")) return loadImage(url, filename);
  const width = pixels > NARROW ? WIDE : NARROW;
  try {
    const address = pictureUrl(url, width);
    const image = await loadImage(address, filename);
    Object.assign(image.dataset, { image: url }, await readOriginal(address));
    const sharper = sharpest(url, filename);
    if (image.dataset.pages && sharper !== address) image.dataset.sharper = sharper;
    return image;
  } catch (error) {
    // It takes too long to draw here: let the browser try.
    if (isSvg(filename) && error.message.startsWith(NO_PICTURE)) return loadImage(url, filename);
    throw error;
  }
}

/** What is sharper than a shown <img>, with its data. */
export async function loadSharper({ dataset: { sharper, ...data } }) {
  const image = await loadImage(sharper, data.filename);
  Object.assign(image.dataset, data);
  return image;
}

/** The address of the largest image that a page can show: the file itself or, if browsers do not draw it, a picture. */
export const sharpest = (url, filename) => (isShownInPages(filename) ? url : pictureUrl(url, WIDE));

/** An <img> with the pixels of a plot: of a vector or a TIFF its picture, with the data of the plot itself. */
export async function loadPixels({ image: url, filename }) {
  const isFile = isShownInPages(filename) && !isVector(filename);
  const address = isFile ? url : pictureUrl(url, WIDE);
  const image = await loadImage(address, filename);
  const { originalWidth, originalHeight } = isFile ? {} : await readOriginal(address);
  Object.assign(image.dataset, { image: url, plotWidth: originalWidth ?? "", plotHeight: originalHeight ?? "" });
  return image;
}

const pictureUrl = (url, width) => `${url}&width=${width}`;

/** The size and pages of the plot itself, by the header of its picture; nothing if the answer is the plot. */
async function readOriginal(address) {
  const header = (await fetch(address, { method: "HEAD" })).headers.get("Plotindex-Original");
  const { width, height, pages } = Object.fromEntries(header?.split(", ").map((part) => part.split("=")) ?? []);
  return header ? { originalWidth: width, originalHeight: height, pages } : {};
}
