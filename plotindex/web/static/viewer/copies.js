// The compared copies, read from the page's figures.

import { projectLabel, toMilliseconds } from "../shared/format.js";
import { isSvg } from "../gallery/thumbnails.js";

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const byTime = (a, b) => (a.mtime < b.mtime ? -1 : a.mtime > b.mtime ? 1 : 0);
const byName = (a, b) => a.session.localeCompare(b.session) || a.project.localeCompare(b.project);

export const ORDERS = {
  newest: (a, b) => byTime(b, a) || byName(b, a),
  oldest: (a, b) => byTime(a, b) || byName(a, b),
  project: byName,
};

/** The copies in the figures. `isOneName`: all have one key, and differ in their project. */
export function readCopies(figures, isOneName) {
  const hasSeveralSessions = new Set(figures.map(({ dataset }) => dataset.session)).size > 1;
  return figures.map((figure) => {
    const { path, session, project, filename, version, image, size, mtime } = figure.dataset;
    const name = projectLabel(project);
    const label = isOneName ? name : [filename, name, ...(hasSeveralSessions ? [session] : [])].join(" · ");
    const formattedTime = timeFormat.format(toMilliseconds(mtime));
    const copy = { path, session, project, filename, version, image, mtime, label, formattedTime };
    // The id in the page's URL.
    return { ...copy, id: isOneName ? project : path, size: Number(size), isSvg: isSvg(filename), figure };
  });
}
