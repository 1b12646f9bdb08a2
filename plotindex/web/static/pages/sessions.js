// The page of sessions: kept as new as the catalogue, and searched as somebody types.

import { findBySlash, gallery, pause, say } from "../api/client.js";
import { keepTimes } from "../shared/format.js";
import { forget, watchAll } from "../gallery/thumbnails.js";
import { expired, follow } from "../api/changes.js";
import { startChoosing } from "../gallery/selection.js";

const TYPING = 250; // milliseconds without a key, after which it is searched
const STEADY = 400; // milliseconds between two lists, however much is drawn
const field = document.getElementById("q");
let wanted = location.search;
let asking = null;

/** Ask for the list as the server shows it, and put it in the place of the old one. */
async function refresh() {
  asking?.abort();
  const mine = (asking = new AbortController());
  try {
    let answer = await fetch(`${gallery}${wanted}`, { signal: mine.signal });
    while (answer.status === 503) {
      // Another search, or no catalogue: what was shown stays.
      await pause(1000);
      answer = await fetch(`${gallery}${wanted}`, { signal: mine.signal });
    }
    if (new URL(answer.url).pathname !== new URL(gallery, location).pathname) return expired();
    put(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("list"));
  } catch (error) {
    if (!mine.signal.aborted) throw error;
  }
}

function put(list) {
  const old = document.getElementById("list");
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const shown = new Map([...old.querySelectorAll("img[src]")].map((image) => [image.dataset.image, image]));
  for (const image of list.querySelectorAll("img[data-image]")) {
    // What is shown already is not asked for again, and does not flicker.
    const known = shown.get(image.dataset.image);
    if (known) image.replaceWith(known);
  }
  for (const image of old.querySelectorAll("img")) forget(image);
  old.replaceWith(document.adoptNode(list));
  watchAll(list);
  document.dispatchEvent(new Event("chosen"));
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function search() {
  const query = field.value;
  wanted = query ? `?${new URLSearchParams({ q: query })}` : "";
  history.replaceState(null, "", wanted || location.pathname);
  refresh().catch(() => say("search", "No connection. Trying again…"));
}

let typed = 0;
field.addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(search, TYPING);
});
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typed);
  search();
});

let due = false;
async function tell() {
  if (due) return;
  due = true;
  await pause(STEADY);
  due = false;
  await refresh().catch(() => {});
}

keepTimes();
findBySlash(field);
watchAll();
startChoosing(document.getElementById("main"));
follow({
  since: Number(document.getElementById("list").dataset.clock),
  tell,
  list: async () => {
    await refresh();
    return Number(document.getElementById("list").dataset.clock);
  },
});
