// Controls of the plot page and the comparison: zoom buttons, keys, copy buttons, notes.

const ZOOM_FACTOR = 1.4;
const PAN_FRACTION = 0.15; // of the stage
const UPDATE_PAUSE_MS = 10_000; // between two updates that are each worth a note
const NOTE_MS = 6000;

/** Connect the zoom buttons to `stage()`, and return its keys: + - 0 1 zoom, arrows pan a zoomed stage. */
export function connectZoom(stage) {
  const actions = {
    in: () => stage().zoomBy(ZOOM_FACTOR),
    out: () => stage().zoomBy(1 / ZOOM_FACTOR),
    fit: () => stage().fit(),
    actual: () => stage().actual(),
  };
  document.querySelector(".zoom").addEventListener("click", ({ target }) => actions[target.dataset.do]?.());
  const pan = (right, down) => () => (stage().isWhole ? false : stage().panBy(right, down));
  return {
    "+": actions.in,
    "=": actions.in,
    "-": actions.out,
    0: actions.fit,
    1: actions.actual,
    ArrowLeft: pan(-PAN_FRACTION, 0),
    ArrowRight: pan(PAN_FRACTION, 0),
    ArrowUp: pan(0, -PAN_FRACTION),
    ArrowDown: pan(0, PAN_FRACTION),
  };
}

const percent = document.querySelector(".percent");

export function showZoom(text) {
  percent.textContent = text;
}

/** Show the magnification of a stage. */
export function showStageZoom(stage) {
  showZoom(stage.isEmpty ? "Fit" : `${Math.round(stage.magnification * 100)} %`);
}

/** Handle keys, except in text fields: try the maps in order until a function does not return false. */
export function connectKeys(...maps) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const { target } = event;
    if (target.closest("select, textarea, input:not([type='range'])")) return;
    if (target.matches("input[type='range']") && event.key.startsWith("Arrow")) return;
    if (maps.some((map) => event.key in map && map[event.key](event) !== false)) event.preventDefault();
  });
}

/** Connect each [data-copy] button: it copies that URL, or the page's own if empty. */
export function connectCopyButtons() {
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-copy]");
    if (!button) return;
    const url = new URL(button.dataset.copy || location.href, location.href).href;
    try {
      await navigator.clipboard.writeText(url);
      showNote("Copied.");
    } catch {
      // The clipboard needs HTTPS and permission.
      offerManualCopy(button, url);
    }
  });
}

function offerManualCopy(button, url) {
  const name = `${button.textContent}: press Ctrl C or ⌘ C`;
  let field = button.parentElement.querySelector(".address");
  if (!field) {
    field = document.createElement("input");
    field.className = "address";
    field.readOnly = true;
    button.parentElement.append(field);
  }
  field.setAttribute("aria-label", name);
  field.value = url;
  field.focus();
  field.select();
  showNote("Press Ctrl C or ⌘ C to copy.");
}

const noteElement = document.getElementById("note");
let noteTimer = 0;
let lastUpdate = 0;

/** Show a note for some seconds or, if persistent, until the next note. */
export function showNote(text, { isPersistent = false } = {}) {
  if (isPersistent) lastUpdate = 0;
  clearTimeout(noteTimer);
  noteElement.textContent = text;
  if (!isPersistent) noteTimer = setTimeout(() => (noteElement.textContent = ""), NOTE_MS);
}

/** Show a note of an update. While updates go on, the note is of the first: it leaves, and comes back after a pause. */
export function showUpdateNote(text) {
  const isContinued = Date.now() - lastUpdate < UPDATE_PAUSE_MS;
  if (!isContinued) showNote(text);
  lastUpdate = Date.now();
}
