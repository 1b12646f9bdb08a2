// The copies that are compared, as the page's figures name them.

import { milliseconds } from "../shared/format.js";
import { isSvg } from "../gallery/thumbnails.js";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const byTime = (one, other) => (one.mtime < other.mtime ? -1 : one.mtime > other.mtime ? 1 : 0);
const byName = (one, other) => one.session.localeCompare(other.session) || one.project.localeCompare(other.project);

export const ORDERS = {
  newest: (one, other) => byTime(other, one) || byName(other, one),
  oldest: (one, other) => byTime(one, other) || byName(one, other),
  project: byName,
};

/** What each of the figures shows. */
export function copiesOf(figures, isOneName) {
  const many = new Set(figures.map(({ dataset }) => dataset.session)).size > 1;
  return figures.map((figure) => {
    const { path, session, project, filename, version, image, size, mtime } = figure.dataset;
    const label = isOneName ? project : [filename, project, ...(many ? [session] : [])].join(" · ");
    const moment = exact.format(milliseconds(mtime));
    const known = { path, session, project, filename, version, image, mtime, label, moment };
    // What the address calls it: with one name, its project says which.
    return { ...known, id: isOneName ? project : path, size: Number(size), isSvg: isSvg(filename), figure };
  });
}
