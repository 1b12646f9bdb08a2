// The page of sessions: live updates, and search while the user types.

import { focusOnSlash, gallery, sleep, setStatus } from "../api/client.js";
import { startTimeUpdates } from "../shared/format.js";
import { cancelLoad, loadAllWhenVisible } from "../gallery/thumbnails.js";
import { showLoginExpired, followChanges } from "../api/changes.js";
import { connectSelection, refreshSelection } from "../gallery/selection.js";

const DEBOUNCE_MS = 250; // after the last key, before a search
const MIN_INTERVAL_MS = 400; // between two refreshes
const field = document.getElementById("q");
let search = location.search;
let pending = null;

/** Fetch the list and replace the old one. */
async function refresh() {
  pending?.abort();
  const controller = (pending = new AbortController());
  try {
    let response = await fetch(`${gallery}${search}`, { signal: controller.signal });
    while (response.status === 503) {
      // The server is busy or has no catalogue: keep the old list.
      await sleep(1000);
      response = await fetch(`${gallery}${search}`, { signal: controller.signal });
    }
    if (new URL(response.url).pathname !== new URL(gallery, location).pathname) return showLoginExpired();
    replaceList(new DOMParser().parseFromString(await response.text(), "text/html").getElementById("list"));
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  }
}

function replaceList(list) {
  const old = document.getElementById("list");
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const shown = new Map([...old.querySelectorAll("img[src]")].map((image) => [image.dataset.image, image]));
  for (const image of list.querySelectorAll("img[data-image]")) {
    // Reuse loaded images: no request, no flicker.
    const existing = shown.get(image.dataset.image);
    if (existing) image.replaceWith(existing);
  }
  for (const image of old.querySelectorAll("img")) cancelLoad(image);
  old.replaceWith(document.adoptNode(list));
  loadAllWhenVisible(list);
  refreshSelection();
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function submitSearch() {
  const query = field.value;
  search = query ? `?${new URLSearchParams({ q: query })}` : "";
  history.replaceState(null, "", search || location.pathname);
  refresh().catch(() => setStatus("search", "No connection. Retrying…"));
}

let timer = 0;
field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(submitSearch, DEBOUNCE_MS);
});
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  submitSearch();
});

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
loadAllWhenVisible();
connectSelection(document.getElementById("main"));
followChanges({
  since: document.getElementById("list").dataset.clock,
  onChanges: refreshSoon,
  reload: async () => {
    await refresh();
    return document.getElementById("list").dataset.clock;
  },
});
