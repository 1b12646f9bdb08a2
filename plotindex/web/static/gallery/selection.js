// The plots selected for a comparison, stored per tab and shared between sessions.

import { gallery } from "../api/client.js";

const MAX_SELECTED = 4;
const STORAGE_KEY = `plotindex ${gallery} chosen`;
const tray = document.getElementById("tray");

/** SESSION/PROJECT/FILENAME of each selected plot. */
export function selectedPaths() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((path) => typeof path === "string").slice(0, MAX_SELECTED) : [];
  } catch {
    return [];
  }
}

/** Select or deselect a plot; returns whether it is selected now, since the number is limited. */
export function setSelected(path, isSelected) {
  const others = selectedPaths().filter((other) => other !== path);
  const isAdded = isSelected && others.length < MAX_SELECTED;
  save(isAdded ? [...others, path] : others);
  return isAdded;
}

/** Connect the checkboxes in a container and the tray to the selection. */
export function connectSelection(container) {
  container.addEventListener("change", ({ target }) => {
    if (target.matches(".pick input")) target.checked = setSelected(target.value, target.checked);
  });
  tray.querySelector(":scope > button").addEventListener("click", () => save([]));
  const render = () => renderTray(container);
  document.addEventListener("plotselection", render);
  window.addEventListener("pageshow", render);
  render();
}

function save(paths) {
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(paths));
  refreshSelection();
}

/** Update the checkboxes and the tray. */
export const refreshSelection = () => document.dispatchEvent(new Event("plotselection"));

function renderTray(container) {
  const paths = selectedPaths();
  tray.hidden = !paths.length;
  container.classList.toggle("choosing", paths.length > 0);
  for (const box of container.querySelectorAll(".pick input")) updateCheckbox(box, paths);
  tray.querySelector("ul").replaceChildren(...paths.map(createItem));
  const link = tray.querySelector("a");
  link.href = `${link.href.split("?")[0]}?${new URLSearchParams(paths.map((path) => ["plot", path]))}`;
  link.hidden = paths.length < 2;
  link.textContent = `Compare ${paths.length}`;
  tray.querySelector("p").hidden = paths.length > 1;
}

/** Update a checkbox: checked if selected, disabled if no more can be selected. */
export function updateCheckbox(box, paths = selectedPaths()) {
  box.checked = paths.includes(box.value);
  box.disabled = !box.checked && paths.length >= MAX_SELECTED;
  box.title = box.disabled ? "At most four plots can be compared" : "";
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
  button.addEventListener("click", () => setSelected(path, false));
  item.append(button);
  return item;
}
