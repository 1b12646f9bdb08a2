// Formats: what browsers draw of them, and siblings, which are one plot in several formats.

import { toMilliseconds } from "./format.js";

// As in storage/siblings.py. PNG first: the script's own program has drawn it, with its own fonts, and there always is
// a picture; an SVG may use fonts that are missing here, or take too long to draw. JPEG blurs lines; a page cannot show
// PDF and TIFF themselves.
const SHOWN_FIRST = ["png", "webp", "avif", "svg", "gif", "jpg", "jpeg", "pdf", "tif", "tiff"];
const NOT_IN_PAGES = ["pdf", "tif", "tiff"];
const TOGETHER_MS = 60_000; // files drawn within that time are drawn together: an older one may show another state

export const suffixOf = (filename) => filename.slice(filename.lastIndexOf(".") + 1).toLowerCase();
export const isSvg = (filename) => suffixOf(filename) === "svg";
export const isPdf = (filename) => suffixOf(filename) === "pdf";

/** Whether it is drawn at any size: it has no pixels of its own. */
export const isVector = (filename) => isSvg(filename) || isPdf(filename);

/** Whether a page can show the file itself, not only its picture. */
export const isShownInPages = (filename) => !NOT_IN_PAGES.includes(suffixOf(filename));

/** A filename up to its suffix, with the dot. */
export const stemOf = (filename) => filename.slice(0, filename.lastIndexOf(".") + 1);

/**
 * The plots of a list's entries, as `[key, entries]`: siblings are one plot, with the copies that other projects have of
 * them. The key stays when a plot gets another format.
 */
export function groupSiblings(entries) {
  return [...Map.groupBy(entries, ({ filename }) => stemOf(filename))].flatMap(([stem, same]) => {
    if (same.length === 1) return [[stem, same]];
    const plots = linkByProject(same);
    return plots.map((plot) => [plots.length === 1 ? stem : plot[0].filename, plot]);
  });
}

/** Entries that differ in their suffix alone are one plot if one project has both. */
function linkByProject(entries) {
  let plots = [];
  for (const entry of entries) {
    const projects = new Set(entry.copies.map(({ project }) => project));
    const isLinked = (plot) => plot.some(({ copies }) => copies.some(({ project }) => projects.has(project)));
    plots = [...plots.filter((plot) => !isLinked(plot)), [...plots.filter(isLinked).flat(), entry]];
  }
  return plots;
}

/** The one to show of the files, `{entry, copy}`, of one plot and project. */
export function bestFile(files) {
  if (files.length === 1) return files[0];
  const newest = Math.max(...files.map(({ copy }) => toMilliseconds(copy.mtime)));
  const recent = files.filter(({ copy }) => toMilliseconds(copy.mtime) >= newest - TOGETHER_MS);
  return recent.reduce((best, file) => (rank(file) < rank(best) ? file : best));
}

function rank({ entry }) {
  const place = SHOWN_FIRST.indexOf(suffixOf(entry.filename));
  return place < 0 ? SHOWN_FIRST.length : place;
}
