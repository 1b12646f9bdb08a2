// The plots selected for a comparison or a download, stored per tab and shared between sessions.

import { gallery } from "../api/client.js";
import { pluralize } from "../shared/format.js";
import { connectDownload, showDownload } from "./download.js";

const MAX_COMPARED = 4;
const STORAGE_KEY = `plotindex ${gallery} chosen`;
const tray = document.getElementById("tray");
let selected = load(); // SESSION/PROJECT/FILENAME of each plot
let rangeStart = null; // where a range begins: the plot that was selected or deselected last

function load() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "[]");
    return new Set(Array.isArray(stored) ? stored.filter((path) => typeof path === "string") : []);
  } catch {
    return new Set();
  }
}

/**
 * Connect the checkboxes in a container and the tray to the selection. `paths()` returns the plots of the page in their
 * order, for ranges; by default those in the container.
 */
export function connectSelection(container, paths = () => boxesIn(container).map(({ value }) => value)) {
  container.addEventListener("click", ({ target, shiftKey }) => {
    if (!target.matches(".pick input")) return;
    const range = shiftKey ? rangeOf(paths(), rangeStart, target.value) : [target.value];
    rangeStart = target.value;
    setSelected(range, target.checked);
  });
  tray.querySelector(":scope > button").addEventListener("click", () => setSelected([...selected], false));
  connectDownload(tray.querySelector("form"), () => [...selected]);
  const render = () => renderTray(container);
  document.addEventListener("plotselection", render);
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) selected = load();
    render();
  });
  render();
}

const boxesIn = (container) => [...container.querySelectorAll(".pick input")];

/** The paths from one to the other; the second alone if the first is not among them. */
function rangeOf(paths, start, end) {
  const [first, last] = [paths.indexOf(start), paths.indexOf(end)].sort((a, b) => a - b);
  return first < 0 ? [end] : paths.slice(first, last + 1);
}

/** Select or deselect plots. */
export function setSelected(paths, isSelected) {
  for (const path of paths) selected[isSelected ? "add" : "delete"](path);
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify([...selected]));
  } catch {
    // Too many to be stored: they are selected on this page only.
  }
  refreshSelection();
}

/** Update the checkboxes and the tray. */
export const refreshSelection = () => document.dispatchEvent(new Event("plotselection"));

function renderTray(container) {
  const paths = [...selected];
  const isCompared = paths.length <= MAX_COMPARED;
  tray.hidden = !paths.length;
  container.classList.toggle("choosing", paths.length > 0);
  for (const box of boxesIn(container)) updateCheckbox(box);
  tray.querySelector("ul").replaceChildren(...(isCompared ? paths.map(createItem) : []));
  const link = tray.querySelector("a");
  link.search = isCompared ? new URLSearchParams(paths.map((path) => ["plot", path])) : "";
  link.hidden = paths.length < 2 || !isCompared;
  link.textContent = `Compare ${paths.length}`;
  const hint = paths.length === 1 ? "Select one more plot to compare" : isCompared ? "" : `${pluralize(paths.length, "plot")} selected`;
  tray.querySelector("p").textContent = [hint, showDownload(tray.querySelector("form"), paths)].filter(Boolean).join(". ");
  tray.querySelector("p").hidden = !tray.querySelector("p").textContent;
}

/** Update a checkbox: checked if its plot is selected. */
export function updateCheckbox(box) {
  box.checked = selected.has(box.value);
}

function createItem(path) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const name = document.createElement("span");
  const [, project, ...rest] = path.split("/");
  name.dir = "auto";
  name.textContent = rest.join("/") || project;
  button.type = "button";
  button.title = `Remove ${[project, ...rest].join("/")}`;
  button.setAttribute("aria-label", button.title);
  button.append(name, " ✕");
  button.addEventListener("click", () => setSelected([path], false));
  item.append(button);
  return item;
}
