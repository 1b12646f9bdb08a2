// The page of a session: all its plots, updated live.

import { api, fetchPages, focusOnSlash, gallery, setStatus, sleep } from "../api/client.js";
import { countText, startTimeUpdates, pluralize } from "../shared/format.js";
import { FLAGS } from "../shared/flags.js";
import { connectSince, recordVisits, sinceTime } from "../shared/since.js";
import { Grid } from "../gallery/grid.js";
import { Cards, pathOfCard } from "../gallery/cards.js";
import { holdWhileInUse } from "../gallery/hold.js";
import { loadAllWhenVisible } from "../gallery/thumbnails.js";
import { showLoginExpired, followChanges } from "../api/changes.js";
import { coalesce } from "../api/refresh.js";
import { Plots } from "../gallery/plots.js";
import { SessionFacts } from "../gallery/facts.js";
import { SessionHistory } from "../gallery/history.js";
import { saveOrder } from "../gallery/order.js";
import { connectPictureSearch } from "../gallery/picture_search.js";
import { connectPrint } from "../gallery/print.js";
import { connectSelection, setSelected } from "../gallery/selection.js";

const PAGE_SIZE = 1000;
const HIGHLIGHT_MS = 2000;
const RETRY_MS = 2000;
const REMOVAL_MS = 2000; // before the removed plots are listed again: the history follows the catalogue
const SEARCH_MS = 250; // after the last letter, before texts are searched
const $ = (id) => document.getElementById(id);
const container = $("grid");
const { session, plot: plotPage, compare: comparePage } = container.dataset;
const plots = new Plots(JSON.parse(container.dataset.ahead));
const past = new SessionHistory(container.dataset.history);
const facts = new SessionFacts(container.dataset.facts, render);
let searching = Promise.resolve();
const freshCopies = new Set();
const arrived = new Set(); // filenames of plots above the visible cards
const positionKey = `plotindex ${gallery} at ${session}`;
let isLoaded = false;

const copyKey = ({ filename }, { project }) => `${filename}\0${project}`;
const cards = new Cards(container.dataset, {
  nameOf: (card) => shownPlots().nameOf(card),
  redrawn: ({ filename, copy, entry }) => (entry.isRemoved ? 0 : past.count(filename, copy.project)),
  flags: ({ filename, copy }) => facts.flags(filename, copy),
  where: ({ filename, copy }) => facts.where(filename, copy),
  isFresh: (card) => freshCopies.has(copyKey(card, card.copy)),
});
const grid = new Grid(container, cards);

/** Fetch all plots; returns their clock. */
async function loadAll() {
  const entries = [];
  let clock = null;
  try {
    for await (const page of fetchPages(`${api}/plots/${encodeURIComponent(session)}?limit=${PAGE_SIZE}`)) {
      clock ??= page.clock;
      for (const entry of page.plots) entries.push(entry);
    }
  } catch (error) {
    if (error.status !== 404) throw error;
    clock ??= container.dataset.clock;
  }
  plots.replace(entries);
  isLoaded = true;
  render();
  return clock;
}

const isRemovedShown = () => $("show").value === "removed";
const shownPlots = () => (isRemovedShown() ? past.removed : plots);

async function loadRemoved() {
  await past.loadRemoved();
  render();
}

const followRemoved = coalesce(async () => {
  await sleep(REMOVAL_MS);
  if (isRemovedShown()) await loadRemoved();
});

function applyChanges(changed, removed) {
  for (const { filename, project } of plots.redrawnBy(changed)) past.add(filename, project);
  if (removed.length) past.noteRemoval();
  facts.noteChange();
  followRemoved();
  for (const entry of plots.apply(changed, removed)) {
    const key = copyKey(entry, entry);
    freshCopies.add(key);
    setTimeout(() => freshCopies.delete(key), HIGHLIGHT_MS);
    arrived.add(entry.filename);
  }
  render();
}

function render() {
  // Until the list has arrived, the page shows the cards that the server put into it.
  if (!isLoaded) return void ($("count").textContent = "Loading…");
  const view = readView();
  const isFiltered = view.query.trim() !== "" || view.since !== null || view.flag !== "";
  const shown = shownPlots();
  const { groups, count, waiting } = shown.arrange(view);
  container.classList.toggle("with-formats", view.isRemoved || (plots.hasSiblings && !view.isByFile));
  container.classList.toggle("removed", view.isRemoved);
  container.classList.toggle("with-where", facts.hasFound);
  grid.show(groups);
  announce(view.isRemoved ? [] : groups, waiting);
  const { total, copies } = shown.count(view);
  const noun = view.isRemoved ? "removed plot" : view.isByFile ? "file" : "plot";
  $("count").textContent = (view.isRemoved && past.notice) || countText({ shown: count, total, copies, isFiltered, noun });
  renderEmpty(view, count, isFiltered);
  for (const [value, isOffered] of Object.entries({ files: plots.hasSiblings, removed: past.hasRemoved })) {
    const option = $("show").querySelector(`[value="${value}"]`);
    option.hidden = option.disabled = !isOffered && !option.selected;
  }
  renderFlags();
  const isOffered = plots.hasSiblings || past.hasRemoved || $("show").value !== "";
  $("show").parentElement.hidden = !isOffered;
  $("choices").hidden = total < 2 && !isOffered;
  $("all").hidden = view.isRemoved || !count;
  $("all").textContent = `Select all ${count.toLocaleString("en")}`;
}

/** Offer the flags that plots have. */
function renderFlags() {
  const { known } = facts;
  for (const option of $("flag").options) option.hidden = option.disabled = option.value !== "" && !known.has(option.value) && !option.selected;
  $("flag").parentElement.hidden = !known.size && !$("flag").value;
}

function renderEmpty(view, count, isFiltered) {
  $("empty").hidden = count > 0;
  const [title, ...hints] = $("empty").querySelectorAll("p");
  const reason = view.isRemoved ? past.notice || "No removed plots are kept." : "No plots found.";
  title.textContent = isFiltered ? "No matching plots." : reason;
  for (const hint of hints) hint.hidden = isFiltered || view.isRemoved;
}

/** Say how many new plots wait, or are above the visible cards. */
function announce(groups, waiting) {
  const isAbove = $("sort").value === "newest" && !grid.isAtTop;
  if (!waiting && !isAbove) arrived.clear();
  const above = isAbove ? groups.flatMap(({ cards }) => cards).filter(({ filename }) => arrived.has(filename)).length : 0;
  const count = waiting || above;
  $("arrived").textContent = `${count.toLocaleString("en")} new ↑`;
  $("arrived").hidden = !count;
}

function readView() {
  const flag = $("flag").value;
  return {
    query: $("q").value,
    since: sinceTime(),
    sort: $("sort").value,
    group: $("group").value,
    isByFile: $("show").value === "files",
    isRemoved: isRemovedShown(),
    flag,
    showsText: (filename, copy) => facts.where(filename, copy) !== "",
    hasFlag: (filename, copy) => !flag || facts.flags(filename, copy).includes(flag),
  };
}

/** The plots that match, in the order of their cards; removed ones cannot be selected. */
const selectablePaths = () => (isRemovedShown() ? [] : plots.arrange(readView()).groups.flatMap(({ cards }) => cards.map(pathOfCard)));

/** Show the list as it is now, from its top. */
function showFromTop() {
  plots.renewHold();
  scrollTo({ top: 0, behavior: "instant" });
  render();
  container.querySelector(".card .open")?.focus({ preventScroll: true });
}

/** Filter, order or size was changed: store it, and show the list from its top. */
function onViewChange({ target }) {
  const choices = { q: $("q").value, since: $("since").value, sort: $("sort").value, group: $("group").value, show: $("show").value, flag: $("flag").value };
  const parameters = new URLSearchParams(Object.entries(choices).filter(([, value]) => value && value !== "newest"));
  history.replaceState(null, "", parameters.size ? `?${parameters}` : location.pathname);
  localStorage.setItem("plotindex scale", $("scale").value);
  grid.scale = $("scale").value;
  // Each letter of a filter must not bring a new order.
  if (target !== $("q")) plots.renewHold();
  if (target === $("show") && isRemovedShown()) loadRemoved();
  if (target === $("q")) searching = searchTexts();
  scrollTo({ top: 0, behavior: "instant" });
  render();
  $("heard").textContent = $("count").textContent;
}

/** Once a query is typed, also find the plots that show its words. */
async function searchTexts() {
  const text = $("q").value.trim();
  await sleep(SEARCH_MS);
  if (text !== $("q").value.trim()) return;
  await facts.search(text);
  render();
  $("heard").textContent = $("count").textContent;
}

function restore() {
  const parameters = new URLSearchParams(location.search);
  $("flag").append(...Object.keys(FLAGS).map((flag) => new Option(flag)));
  for (const id of ["q", "sort", "group", "show", "flag"]) if (parameters.has(id)) $(id).value = parameters.get(id);
  for (const id of ["sort", "group", "show", "flag"]) $(id).value ||= $(id).options[0].value;
  $("scale").value = localStorage.getItem("plotindex scale") || "medium";
  if (!$("scale").value) $("scale").value = "medium";
  grid.scale = $("scale").value;
}

/** On Enter, open the plot if it is the only one shown. */
async function openSingle(event) {
  event.preventDefault();
  await searching;
  const [card, ...others] = shownPlots().arrange(readView()).groups.flatMap(({ cards }) => cards);
  if (card && !others.length) grid.card(card.key)?.querySelector(".open").click();
}

/** Store the order for the plot pages, and the scroll position and `opened` card for the way back. */
function savePosition(opened) {
  if (isLoaded) saveOrder(session, shownPlots().arrange(readView()).groups.flatMap(({ cards }) => cards));
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
  connectSelection(container, selectablePaths);
  $("all").addEventListener("click", () => setSelected(selectablePaths(), true));
  connectPrint((isExpanded) => grid.expand(isExpanded));
  holdWhileInUse(plots, { container, field: $("q"), onRelease: render });
  recordVisits();
  connectSince(onViewChange);
  $("filter").addEventListener("submit", openSingle);
  for (const id of ["q", "sort", "group", "show", "flag", "scale"]) $(id).addEventListener("input", onViewChange);
  $("arrived").addEventListener("click", showFromTop);
  addEventListener("scroll", () => isLoaded && grid.isAtTop && !$("arrived").hidden && render());
  focusOnSlash($("q"));
  connectPictureSearch($("q"));
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
    savePosition(event.target.closest(".card").dataset.key);
  });
  addEventListener("pageshow", () => (isLeaving = false));
  addEventListener("pagehide", () => isLeaving || savePosition());
  const clock = await loadWithRetries();
  if (isRemovedShown()) await loadRemoved();
  restorePosition();
  past.load().then(render);
  facts.load().then(render);
  if ($("q").value) searching = searchTexts();
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
