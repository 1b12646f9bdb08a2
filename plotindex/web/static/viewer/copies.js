// The compared copies, read from the page's figures.

import { projectLabel, toMilliseconds } from "../shared/format.js";
import { sharpest } from "./picture.js";

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const byTime = (a, b) => a.number - b.number || (a.mtime < b.mtime ? -1 : a.mtime > b.mtime ? 1 : 0);
const byName = (a, b) => a.session.localeCompare(b.session) || a.project.localeCompare(b.project);

export const ORDERS = {
  newest: (a, b) => byTime(b, a) || byName(b, a),
  oldest: (a, b) => byTime(a, b) || byName(a, b),
  project: byName,
};

/** The copies in the figures, or versions of one. `isOneName`: all have one key, and differ in their project or version. */
export function readCopies(figures, isOneName) {
  const hasSeveralSessions = new Set(figures.map(({ dataset }) => dataset.session)).size > 1;
  return figures.map((figure) => {
    const { path, session, project, filename, version, number, image, size, mtime } = figure.dataset;
    const name = projectLabel(project);
    const label = number ? `Version ${number}` : isOneName ? name : [filename, name, ...(hasSeveralSessions ? [session] : [])].join(" · ");
    const formattedTime = timeFormat.format(toMilliseconds(mtime));
    const copy = { path, session, project, filename, version, image, mtime, number: Number(number ?? 0), label, formattedTime };
    // The id in the page's URL.
    return { ...copy, id: isOneName && !number ? project : path, size: Number(size), source: sharpest(image, filename), figure };
  });
}
