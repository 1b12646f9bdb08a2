// The page of sessions: live updates, and search while the user types.

import { focusOnSlash, gallery, sleep, setStatus } from "../api/client.js";
import { startTimeUpdates } from "../shared/format.js";
import { morph } from "../shared/morph.js";
import { connectSince, recordVisits, sinceTime } from "../shared/since.js";
import { loadAllWhenVisible } from "../gallery/thumbnails.js";
import { showLoginExpired, followChanges } from "../api/changes.js";
import { connectPictureSearch } from "../gallery/picture_search.js";
import { connectPrint } from "../gallery/print.js";
import { connectSelection, refreshSelection } from "../gallery/selection.js";

const DEBOUNCE_MS = 250; // after the last key, before a search
const MIN_INTERVAL_MS = 400; // between two refreshes
const MAX_PRESS_MS = 2000;
const field = document.getElementById("q");
const sinceField = document.getElementById("since");
let parameters = new URLSearchParams(location.search);
let pending = null;
let isEntered = false; // by Enter: a single hit is opened

/** The address of the list, with the time that "Since" stands for now. */
function address() {
  const since = sinceTime();
  if (since === null) for (const name of ["since", "from"]) parameters.delete(name);
  else parameters.set("from", Math.floor(since / 1000));
  return gallery + (parameters.size ? `?${parameters}` : "");
}

/** Fetch the list and replace the old one. */
async function refresh() {
  pending?.abort();
  const controller = (pending = new AbortController());
  try {
    let response = await fetch(address(), { signal: controller.signal });
    while (response.status === 503) {
      // The server is busy or has no catalogue: keep the old list.
      await sleep(1000);
      response = await fetch(address(), { signal: controller.signal });
    }
    if (new URL(response.url).pathname !== new URL(gallery, location).pathname) return showLoginExpired();
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    await untilReleased();
    if (controller.signal.aborted) return;
    replaceList(page.getElementById("list"));
    if (isEntered) openSingle();
    isEntered = false;
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  }
}

function replaceList(list) {
  const old = document.getElementById("list");
  morph(old, list);
  loadAllWhenVisible(old);
  refreshSelection();
}

/** Open the session or plot if it is the only one found, and everything was searched. */
function openSingle() {
  const list = document.getElementById("list");
  const hits = list.querySelectorAll(".sessions a, .found .open");
  if (hits.length === 1 && !list.querySelector('[rel="next"]')) hits[0].click();
}

function submitSearch() {
  const choices = { q: field.value.trim(), since: sinceField.value };
  parameters = new URLSearchParams(Object.entries(choices).filter(([, value]) => value));
  history.replaceState(null, "", address());
  refresh().catch(() => setStatus("search", "No connection. Retrying…"));
}

let timer = 0;
field.addEventListener("input", () => {
  clearTimeout(timer);
  isEntered = false;
  timer = setTimeout(submitSearch, DEBOUNCE_MS);
});
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  isEntered = field.value.trim() !== "";
  submitSearch();
});

let released = Promise.resolve();
addEventListener("pointerdown", ({ button }) => {
  if (button) return;
  released = new Promise((done) => {
    for (const type of ["pointerup", "pointercancel"]) addEventListener(type, () => setTimeout(done), { once: true });
  });
});

/** While a button is pressed, the links keep their places: otherwise the click is lost. */
const untilReleased = () => Promise.race([released, sleep(MAX_PRESS_MS)]);

let isScheduled = false;
async function refreshSoon() {
  if (isScheduled) return;
  isScheduled = true;
  await sleep(MIN_INTERVAL_MS);
  isScheduled = false;
  await refresh().catch(() => {});
}

startTimeUpdates();
focusOnSlash(field);
connectPictureSearch(field);
loadAllWhenVisible();
connectPrint();
connectSelection(document.getElementById("main"));
recordVisits();
connectSince(submitSearch);
// The time of the URL may be of another day, or there is none.
if (sinceField.value || parameters.has("since")) refreshSoon();
followChanges({
  since: document.getElementById("list").dataset.clock,
  onChanges: refreshSoon,
  reload: async () => {
    await refresh();
    return document.getElementById("list").dataset.clock;
  },
});
