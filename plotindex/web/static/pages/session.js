// The page of a session: every plot of it, as it is drawn.

import { api, ask, encodePath, findBySlash, gallery, pathOf, say } from "../api/client.js";
import { keepTimes, many, setTime, size } from "../shared/format.js";
import { Grid } from "../gallery/grid.js";
import { forget, watch, watchAll } from "../gallery/thumbnails.js";
import { expired, follow } from "../api/changes.js";
import { Plots } from "../gallery/plots.js";
import { keepOrder } from "../gallery/order.js";
import { mark, startChoosing } from "../gallery/selection.js";

const MOST = 1000; // entries of one page of the list
const $ = (id) => document.getElementById(id);
const container = $("grid");
const { session, plot: plotPage, compare: comparePage } = container.dataset;
const plots = new Plots();
const fresh = new Set();
const place = `plotindex ${gallery} at ${session}`;
let arrived = 0;

const grid = new Grid(container, { make, change, drop: (card) => forget(imageOf(card)) });
const imageOf = (card) => card.querySelector("img");

function make(entry) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  change(card, entry);
  if (fresh.has(entry.filename)) glow(card);
  return card;
}

function change(card, entry) {
  if (card.dataset.version === entry.version && Number(card.dataset.copies) === entry.copies.length) return;
  const current = entry.copies[0];
  const { dataset } = card;
  const image = imageOf(card);
  Object.assign(dataset, { filename: entry.filename, project: entry.project, version: entry.version });
  dataset.copies = entry.copies.length;
  card.querySelector(".open").href = plotPage + encodePath(entry.filename);
  card.querySelector(".name").title = entry.filename;
  card.querySelector(".name bdi").textContent = entry.filename;
  card.querySelector(".project").textContent = entry.project;
  card.querySelector(".project").title = entry.project;
  card.querySelector(".bytes").textContent = size(entry.size);
  setTime(card.querySelector("time"), entry.mtime);
  card.querySelector(".pick .unseen").textContent = `Compare ${entry.filename}`;
  const box = card.querySelector(".pick input");
  box.value = pathOf(entry);
  mark(box);
  const copies = card.querySelector(".copies");
  copies.hidden = entry.copies.length < 2;
  copies.textContent = `${entry.copies.length.toLocaleString("en")} copies`;
  copies.setAttribute("aria-label", `Compare the ${entry.copies.length} copies of ${entry.filename}`);
  copies.href = `${comparePage}?${new URLSearchParams({ session, name: entry.filename })}`;
  if (image.dataset.image !== current.url) {
    image.dataset.image = current.url;
    image.dataset.size = current.size;
    watch(image);
  }
}

function glow(card) {
  card.classList.add("fresh");
  card.addEventListener("animationend", () => card.classList.remove("fresh"), { once: true });
}

/** Ask for every plot; returns the clock from which on to follow. */
async function list() {
  const entries = [];
  let clock = null;
  let after = "";
  while (after !== null) {
    const address = `${api}/plots/${encodeURIComponent(session)}?limit=${MOST}&after=${encodeURIComponent(after)}`;
    const page = await ask(address).catch((error) => {
      if (error.status !== 404) throw error;
      return { clock: Number(container.dataset.clock), plots: [], next: null };
    });
    clock ??= page.clock;
    for (const entry of page.plots) entries.push(entry);
    after = page.next;
  }
  plots.replace(entries);
  show();
  return clock;
}

function tell(changed, removed) {
  const others = plots.change(changed, removed);
  for (const filename of others) {
    fresh.add(filename);
    const card = grid.card(filename);
    if (card) glow(card);
    setTimeout(() => fresh.delete(filename), 2000);
  }
  if (others.length && !grid.isAtTop && $("sort").value === "newest") {
    arrived += others.length;
    $("arrived").textContent = `↑ ${many(arrived, "new plot")}`;
    $("arrived").hidden = false;
  }
  show();
}

function show() {
  const query = $("q").value;
  const groups = plots.arrange({ query, sort: $("sort").value, group: $("group").value });
  const count = groups.reduce((sum, { entries }) => sum + entries.length, 0);
  grid.show(groups);
  $("count").textContent = query ? `${count.toLocaleString("en")} of ${many(plots.count, "plot")}` : many(count, "plot");
  $("empty").hidden = count > 0;
  const [what, more] = $("empty").querySelectorAll("p");
  what.textContent = query ? "No plot has such a name." : "No plot yet.";
  more.textContent = query ? "" : "They appear here as they are drawn.";
  $("choices").hidden = plots.count < 2;
}

/** The reader has asked for another view: it begins at the top, and the address has it. */
function showAgain() {
  const kept = { q: $("q").value, sort: $("sort").value, group: $("group").value };
  const parameters = new URLSearchParams(Object.entries(kept).filter(([, value]) => value && value !== "newest"));
  history.replaceState(null, "", parameters.size ? `?${parameters}` : location.pathname);
  localStorage.setItem("plotindex scale", $("scale").value);
  scrollTo({ top: 0, behavior: "instant" });
  grid.scale = $("scale").value;
  show();
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

/** For the pages of single plots, which go by this order; and for coming back to the card that was `opened`. */
function remember(opened) {
  const groups = plots.arrange({ query: $("q").value, sort: $("sort").value, group: $("group").value });
  keepOrder(session, groups.flatMap(({ entries }) => entries.map(({ filename }) => filename)));
  sessionStorage.setItem(place, JSON.stringify({ search: location.search, top: scrollY, opened }));
}

/** Show what was shown when the reader left for a plot, or loaded the page again. */
function goBack() {
  const { search, top, opened } = JSON.parse(sessionStorage.getItem(place) ?? "{}");
  const isBack = performance.getEntriesByType("navigation")[0]?.type !== "navigate" || isFromPlot();
  if (!isBack || search !== location.search) return;
  grid.goTo(top, opened);
  if (opened) grid.card(opened)?.querySelector("a").focus({ preventScroll: true });
}

const isFromPlot = () => [plotPage, comparePage].some((page) => document.referrer.startsWith(new URL(page, location).href));

async function start() {
  history.scrollRestoration = "manual";
  restore();
  watchAll(container);
  keepTimes();
  startChoosing(container);
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["q", "sort", "group", "scale"]) $(id).addEventListener("input", showAgain);
  $("arrived").addEventListener("click", () => scrollTo({ top: 0 }));
  addEventListener("scroll", () => {
    if (!grid.isAtTop) return;
    arrived = 0;
    $("arrived").hidden = true;
  });
  findBySlash($("q"));
  $("q").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    container.querySelector(".card .open")?.focus();
  });
  // The next page may be there before this one is told that it is hidden; a page that is gone may have no place any more.
  let isLeft = false;
  container.addEventListener("click", (event) => {
    if (!event.target.closest("a")) return;
    isLeft = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    remember(event.target.closest(".card").dataset.filename);
  });
  addEventListener("pageshow", () => (isLeft = false));
  addEventListener("pagehide", () => isLeft || remember());
  const since = await listUntilThere();
  goBack();
  await follow({ since, session, tell, list });
}

async function listUntilThere() {
  for (;;) {
    try {
      const clock = await list();
      say("list");
      return clock;
    } catch (error) {
      if (error.status === 401) {
        expired();
        return new Promise(() => {});
      }
      say("list", "The plots cannot be listed now. Trying again…");
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

start();
