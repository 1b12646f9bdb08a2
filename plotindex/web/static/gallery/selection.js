// The plots that are chosen to be compared: kept while the tab is open, also from one session to another.

import { gallery } from "../api/client.js";

const MOST = 4;
const PLACE = `plotindex ${gallery} chosen`;
const tray = document.getElementById("tray");

/** SESSION/PROJECT/FILENAME of each chosen plot. */
export function chosen() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(kept) ? kept.filter((path) => typeof path === "string").slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/** Choose or leave a plot; returns whether it is chosen now: there are four at most. */
export function choose(path, wanted) {
  const before = chosen().filter((other) => other !== path);
  const isChosen = wanted && before.length < MOST;
  keep(isChosen ? [...before, path] : before);
  return isChosen;
}

/** Let the checkboxes below an element choose, and the tray show what is chosen. */
export function startChoosing(within) {
  within.addEventListener("change", ({ target }) => {
    if (target.matches(".pick input")) target.checked = choose(target.value, target.checked);
  });
  tray.querySelector(":scope > button").addEventListener("click", () => keep([]));
  const shows = () => show(within);
  document.addEventListener("chosen", shows);
  window.addEventListener("pageshow", shows);
  shows();
}

function keep(paths) {
  sessionStorage.setItem(PLACE, JSON.stringify(paths));
  document.dispatchEvent(new Event("chosen"));
}

function show(within) {
  const paths = chosen();
  tray.hidden = !paths.length;
  within.classList.toggle("choosing", paths.length > 0);
  for (const box of within.querySelectorAll(".pick input")) mark(box, paths);
  tray.querySelector("ul").replaceChildren(...paths.map(itemOf));
  const link = tray.querySelector("a");
  link.href = `${link.href.split("?")[0]}?${new URLSearchParams(paths.map((path) => ["plot", path]))}`;
  link.hidden = paths.length < 2;
  link.textContent = `Compare ${paths.length}`;
  tray.querySelector("p").hidden = paths.length > 1;
}

/** Let a checkbox show whether its plot is chosen, or can be. */
export function mark(box, paths = chosen()) {
  box.checked = paths.includes(box.value);
  box.disabled = !box.checked && paths.length >= MOST;
  box.title = box.disabled ? "Four at most can be compared" : "";
}

function itemOf(path) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const name = document.createElement("span");
  const [, project, ...rest] = path.split("/");
  name.dir = "auto";
  name.textContent = rest.join("/");
  button.type = "button";
  button.title = `Leave out ${project}/${rest.join("/")}`;
  button.setAttribute("aria-label", button.title);
  button.append(name, " ✕");
  button.addEventListener("click", () => choose(path, false));
  item.append(button);
  return item;
}
