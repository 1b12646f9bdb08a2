// The page of a session: all its plots, updated live.

import { api, fetchJson, encodePath, focusOnSlash, gallery, pathOf, setStatus, sleep } from "../api/client.js";
import { startTimeUpdates, pluralize, projectLabel, setTime, formatSize } from "../shared/format.js";
import { Grid } from "../gallery/grid.js";
import { cancelLoad, loadWhenVisible, loadAllWhenVisible } from "../gallery/thumbnails.js";
import { showLoginExpired, followChanges } from "../api/changes.js";
import { Plots } from "../gallery/plots.js";
import { saveOrder } from "../gallery/order.js";
import { updateCheckbox, connectSelection } from "../gallery/selection.js";

const PAGE_SIZE = 1000;
const HIGHLIGHT_MS = 2000;
const RETRY_MS = 2000;
const $ = (id) => document.getElementById(id);
const container = $("grid");
const { session, plot: plotPage, compare: comparePage } = container.dataset;
const plots = new Plots();
const recentFilenames = new Set();
const positionKey = `plotindex ${gallery} at ${session}`;
let newCount = 0;

const grid = new Grid(container, { create: createCard, update: updateCard, remove: (card) => cancelLoad(imageOf(card)) });
const imageOf = (card) => card.querySelector("img");

function createCard(entry) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  updateCard(card, entry);
  if (recentFilenames.has(entry.filename)) highlight(card);
  return card;
}

function updateCard(card, entry) {
  if (card.dataset.version === entry.version && Number(card.dataset.copies) === entry.copies.length) return;
  const current = entry.copies[0];
  const { dataset } = card;
  const image = imageOf(card);
  Object.assign(dataset, { filename: entry.filename, project: entry.project, version: entry.version });
  dataset.copies = entry.copies.length;
  card.querySelector(".open").href = plotPage + encodePath(entry.filename);
  card.querySelector(".name").title = entry.filename;
  card.querySelector(".name bdi").textContent = entry.filename;
  card.querySelector(".project").textContent = projectLabel(entry.project);
  card.querySelector(".project").title = projectLabel(entry.project);
  card.querySelector(".bytes").textContent = formatSize(entry.size);
  setTime(card.querySelector("time"), entry.mtime);
  card.querySelector(".pick .unseen").textContent = `Compare ${entry.filename}`;
  const box = card.querySelector(".pick input");
  box.value = pathOf(entry);
  updateCheckbox(box);
  const copies = card.querySelector(".copies");
  copies.hidden = entry.copies.length < 2;
  copies.textContent = `${entry.copies.length.toLocaleString("en")} copies`;
  copies.setAttribute("aria-label", `Compare the ${entry.copies.length} copies of ${entry.filename}`);
  copies.href = `${comparePage}?${new URLSearchParams({ session, name: entry.filename })}`;
  if (image.dataset.image !== current.url) {
    image.dataset.image = current.url;
    image.dataset.size = current.size;
    loadWhenVisible(image);
  }
}

function highlight(card) {
  card.classList.add("fresh");
  card.addEventListener("animationend", () => card.classList.remove("fresh"), { once: true });
}

/** Fetch all plots; returns their clock. */
async function loadAll() {
  const entries = [];
  let clock = null;
  let after = "";
  while (after !== null) {
    const url = `${api}/plots/${encodeURIComponent(session)}?limit=${PAGE_SIZE}&after=${encodeURIComponent(after)}`;
    const page = await fetchJson(url).catch((error) => {
      if (error.status !== 404) throw error;
      return { clock: container.dataset.clock, plots: [], next: null };
    });
    clock ??= page.clock;
    for (const entry of page.plots) entries.push(entry);
    after = page.next;
  }
  plots.replace(entries);
  render();
  return clock;
}

function applyChanges(changed, removed) {
  const changedFilenames = plots.apply(changed, removed);
  for (const filename of changedFilenames) {
    recentFilenames.add(filename);
    const card = grid.card(filename);
    if (card) highlight(card);
    setTimeout(() => recentFilenames.delete(filename), HIGHLIGHT_MS);
  }
  if (changedFilenames.length && !grid.isAtTop && $("sort").value === "newest") {
    newCount += changedFilenames.length;
    $("arrived").textContent = `↑ ${pluralize(newCount, "new plot")}`;
    $("arrived").hidden = false;
  }
  render();
}

function render() {
  const query = $("q").value;
  const groups = plots.group({ query, sort: $("sort").value, group: $("group").value });
  const count = groups.reduce((sum, { entries }) => sum + entries.length, 0);
  grid.show(groups);
  $("count").textContent = query ? `${count.toLocaleString("en")} of ${pluralize(plots.count, "plot")}` : pluralize(count, "plot");
  $("empty").hidden = count > 0;
  const [title, hint] = $("empty").querySelectorAll("p");
  title.textContent = query ? "No matching plots." : "No plots found.";
  hint.hidden = query !== "";
  $("choices").hidden = plots.count < 2;
}

/** Filter, order or size was changed: store it, and show the list from its top. */
function onViewChange() {
  const choices = { q: $("q").value, sort: $("sort").value, group: $("group").value };
  const parameters = new URLSearchParams(Object.entries(choices).filter(([, value]) => value && value !== "newest"));
  history.replaceState(null, "", parameters.size ? `?${parameters}` : location.pathname);
  localStorage.setItem("plotindex scale", $("scale").value);
  scrollTo({ top: 0, behavior: "instant" });
  grid.scale = $("scale").value;
  render();
  $("heard").textContent = $("count").textContent;
}

function restore() {
  const parameters = new URLSearchParams(location.search);
  for (const id of ["q", "sort", "group"]) if (parameters.has(id)) $(id).value = parameters.get(id);
  for (const id of ["sort", "group"]) $(id).value ||= $(id).options[0].value;
  $("scale").value = localStorage.getItem("plotindex scale") || "medium";
  if (!$("scale").value) $("scale").value = "medium";
  grid.scale = $("scale").value;
}

/** Store the order for the plot pages, and the scroll position and `opened` card for the way back. */
function savePosition(opened) {
  const groups = plots.group({ query: $("q").value, sort: $("sort").value, group: $("group").value });
  saveOrder(session, groups.flatMap(({ entries }) => entries.map(({ filename }) => filename)));
  sessionStorage.setItem(positionKey, JSON.stringify({ search: location.search, top: scrollY, opened }));
}

/** Restore the scroll position after a reload or on the way back from a plot. */
function restorePosition() {
  const { search, top, opened } = JSON.parse(sessionStorage.getItem(positionKey) ?? "{}");
  const isReturning = performance.getEntriesByType("navigation")[0]?.type !== "navigate" || isFromPlot();
  if (!isReturning || search !== location.search) return;
  grid.scrollToCard(top, opened);
  if (opened) grid.card(opened)?.querySelector("a").focus({ preventScroll: true });
}

const isFromPlot = () => [plotPage, comparePage].some((page) => document.referrer.startsWith(new URL(page, location).href));

async function start() {
  history.scrollRestoration = "manual";
  restore();
  loadAllWhenVisible(container);
  startTimeUpdates();
  connectSelection(container);
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["q", "sort", "group", "scale"]) $(id).addEventListener("input", onViewChange);
  $("arrived").addEventListener("click", () => scrollTo({ top: 0 }));
  addEventListener("scroll", () => {
    if (!grid.isAtTop) return;
    newCount = 0;
    $("arrived").hidden = true;
  });
  focusOnSlash($("q"));
  $("q").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    container.querySelector(".card .open")?.focus();
  });
  // Saved on click: on pagehide the scroll position may be lost, or the next page already loaded.
  let isLeaving = false;
  container.addEventListener("click", (event) => {
    if (!event.target.closest("a")) return;
    isLeaving = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    savePosition(event.target.closest(".card").dataset.filename);
  });
  addEventListener("pageshow", () => (isLeaving = false));
  addEventListener("pagehide", () => isLeaving || savePosition());
  const clock = await loadWithRetries();
  restorePosition();
  await followChanges({ since: clock, session, onChanges: applyChanges, reload: loadAll });
}

async function loadWithRetries() {
  for (;;) {
    try {
      const clock = await loadAll();
      setStatus("list");
      return clock;
    } catch (error) {
      if (error.status === 401) {
        showLoginExpired();
        return new Promise(() => {});
      }
      setStatus("list", "Cannot list the plots. Retrying…");
      await sleep(RETRY_MS);
    }
  }
}

start();
