// What changed between two sides: the most changed first, one plot at a time.

import { api, fetchJson, sleep } from "../api/client.js";
import { followChanges } from "../api/changes.js";
import { isAccepted, setAccepted } from "../diff/accepted.js";
import { Comparison } from "../diff/comparison.js";
import { describe, PlotList } from "../diff/list.js";
import { PairView } from "../diff/pair_view.js";
import { connectPrint } from "../gallery/print.js";
import { pluralize, startTimeUpdates } from "../shared/format.js";
import { recordVisits } from "../shared/since.js";
import { connectKeys, connectZoom, showNote } from "../viewer/controls.js";
import { writeQuery } from "../viewer/url_state.js";

const REFRESH_MS = 1000; // after a change in the sessions
const VIEWS = ["beside", "slider", "difference", "blink"];
const ACCEPTED = "accepted";
const $ = (id) => document.getElementById(id);
const page = $("diff");
const { from, to } = page.dataset;
const sessions = [from, to].map((side) => side.split("/")[0]);
const kindButtons = [...$("kinds").querySelectorAll("[data-kind]")];
const list = new PlotList(select);
const pairView = new PairView(saveState);
const comparison = new Comparison({ from, to }, render, () => list.pendingInView);
let kind = "";
let selected = null; // a filename
let hasChosen = false; // whether the user has done anything: until then the first plot is selected
let isLoading = false;

/** The plots of the list: without those accepted, or only these. */
const listed = () => comparison.plots.filter((plot) => isAccepted(plot) === (kind === ACCEPTED));
const current = () => listed().find(({ filename }) => filename === selected);

function render() {
  const plots = listed();
  list.show(plots);
  if (!hasChosen || !current()) selected = plots[0]?.filename ?? null;
  renderCounts();
  renderPlot();
  $("more").hidden = !comparison.hasMore;
  loadMoreIfVisible();
}

function renderCounts() {
  const accepted = comparison.plots.filter(isAccepted).length;
  for (const button of kindButtons) {
    const count = button.dataset.kind === ACCEPTED ? accepted : comparison.counts[button.dataset.kind];
    const number = button.querySelector(".number");
    if (number) number.textContent = (count ?? 0).toLocaleString("en");
    button.hidden = Boolean(number) && !count && button.dataset.kind !== kind;
    button.setAttribute("aria-pressed", button.dataset.kind === kind);
  }
  const { pending, error } = comparison;
  $("pending").textContent = pending ? `${pluralize(pending, "plot")} still to compare` : "";
  const plots = listed();
  const compared = plots.filter((plot) => plot.kind !== null);
  $("accept-all").hidden = !kind || kind === ACCEPTED || compared.length < 2;
  $("accept-all").textContent = `Accept ${comparison.hasMore ? "these" : "all"} ${compared.length.toLocaleString("en")}`;
  $("none").hidden = plots.length > 0 || comparison.hasMore;
  $("none").textContent = error ? `${error}.` : pending && kind ? "None yet." : accepted && kind !== ACCEPTED ? "All of these are accepted." : "Nothing has changed.";
  $("review").hidden = !plots.length && !comparison.hasMore;
}

function renderPlot() {
  const plot = current();
  $("shown").hidden = !plot;
  if (!plot) return;
  $("name").replaceChildren(Object.assign(document.createElement("bdi"), { textContent: plot.filename }));
  describe($("shown"), plot);
  const plots = listed();
  const place = plots.indexOf(plot);
  $("place").textContent = `${(place + 1).toLocaleString("en")} of ${plots.length.toLocaleString("en")}${comparison.hasMore ? "+" : ""}`;
  $("words").replaceChildren(...plot.words.map((word) => Object.assign(document.createElement("li"), { textContent: word, dir: "auto" })));
  $("accept").disabled = plot.kind === null;
  $("accept").textContent = kind === ACCEPTED ? "Take back" : "Accept";
  $("previous").disabled = place === 0;
  $("next").disabled = place === plots.length - 1 && !comparison.hasMore;
  list.select(plot.filename);
  pairView.show(plot);
}

function select(filename, { isChosen = false } = {}) {
  selected = filename;
  renderPlot();
  saveState();
  // On a phone, the pictures are above the list.
  if (isChosen && $("shown").getBoundingClientRect().top < 0) $("shown").scrollIntoView({ block: "start" });
}

async function step(direction) {
  const place = listed().findIndex(({ filename }) => filename === selected) + direction;
  if (place >= listed().length) await loadMore();
  const plot = listed()[place];
  if (!plot) return;
  select(plot.filename);
}

/** Accept the selected plot or, among the accepted ones, take that back; then go on with the next. */
function accept() {
  const plot = current();
  if (!plot || plot.kind === null) return;
  const plots = listed();
  const place = plots.indexOf(plot);
  setAccepted([plot], kind !== ACCEPTED);
  showNote(kind === ACCEPTED ? "It is listed again." : "Hidden until it changes again.");
  selected = (plots[place + 1] ?? plots[place - 1])?.filename ?? null;
  render();
  saveState();
}

function acceptAll() {
  const plots = listed().filter((plot) => plot.kind !== null);
  setAccepted(plots, true);
  showNote(`${pluralize(plots.length, "plot")} hidden until they change again.`);
  render();
}

async function loadMore() {
  if (isLoading || !comparison.hasMore) return;
  isLoading = true;
  await comparison.loadMore();
  isLoading = false;
}

/** Load the next page while the end of the list is in view. */
function loadMoreIfVisible() {
  const { top } = $("more").getBoundingClientRect();
  if (!$("more").hidden && top < innerHeight + 300) loadMore();
}

async function setKind(next) {
  kind = next;
  selected = null;
  renderCounts();
  saveState();
  await comparison.setKind(kind === ACCEPTED ? "" : kind);
}

function saveState() {
  writeQuery((query) => {
    const state = { kind, plot: current() === listed()[0] ? "" : selected, view: pairView.chosenView === "beside" ? "" : pairView.chosenView };
    for (const [name, value] of Object.entries(state)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
  });
}

let isScheduled = false;
async function refreshSoon(changed, removed) {
  if (isScheduled || ![...changed, ...removed].some(({ session }) => sessions.some((side) => side === session || side.startsWith(`${session}@`)))) return;
  isScheduled = true;
  await sleep(REFRESH_MS);
  isScheduled = false;
  await comparison.refresh();
}

const parameters = new URLSearchParams(location.search);
const wantedView = parameters.get("view");
if (VIEWS.includes(wantedView)) pairView.setChosenView(wantedView);
selected = parameters.get("plot");
hasChosen = selected !== null;
for (const type of ["pointerdown", "keydown", "wheel"]) addEventListener(type, () => (hasChosen = true), { once: true, capture: true, passive: true });
kind = kindButtons.some(({ dataset }) => dataset.kind === parameters.get("kind")) ? parameters.get("kind") : "";
for (const button of kindButtons) button.addEventListener("click", () => setKind(button.dataset.kind));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("accept").addEventListener("click", accept);
$("accept-all").addEventListener("click", acceptAll);
document.addEventListener("scroll", loadMoreIfVisible, { capture: true, passive: true });

/** Space presses a button that has the focus by keyboard, except in the list. */
function blinkKey({ target, repeat }) {
  if (repeat) return true;
  return target.matches(":is(button, summary, a):focus-visible") && !target.closest("#list") ? false : pairView.toggleBlink();
}
const keys = { j: () => void step(1), k: () => void step(-1), a: accept, b: () => pairView.toggleBoxes(), " ": blinkKey };
connectKeys(keys, connectZoom(() => pairView.stage), { Escape: () => $("back")?.click() ?? false });
startTimeUpdates();
recordVisits();
connectPrint();
await comparison.setKind(kind === ACCEPTED ? "" : kind);
followChanges({
  since: page.dataset.clock,
  onChanges: refreshSoon,
  reload: async () => {
    await comparison.refresh();
    return (await fetchJson(`${api}/plots?limit=1`)).clock;
  },
});
