// What both viewers have besides the picture: the zoom's buttons, keys, copying an address, and a quiet note.

const STEP = 1.4;
const MOVE = 0.15; // of the stage
const READ = 6000; // milliseconds

/** Let the buttons zoom what `stage()` returns, and the keys + - 0 1; arrows move it while it is zoomed. */
export function connectZoom(stage) {
  const acts = {
    in: () => stage().zoomBy(STEP),
    out: () => stage().zoomBy(1 / STEP),
    fit: () => stage().fit(),
    actual: () => stage().actual(),
  };
  document.querySelector(".zoom").addEventListener("click", ({ target }) => acts[target.dataset.do]?.());
  const move = (right, down) => () => (stage().isWhole ? false : stage().panBy(right, down));
  return {
    "+": acts.in,
    "=": acts.in,
    "-": acts.out,
    0: acts.fit,
    1: acts.actual,
    ArrowLeft: move(-MOVE, 0),
    ArrowRight: move(MOVE, 0),
    ArrowUp: move(0, -MOVE),
    ArrowDown: move(0, MOVE),
  };
}

const percent = document.querySelector(".percent");

/** Say how large a picture is shown. */
export function sayZoom(text) {
  percent.textContent = text;
}

/** Act on keys: the first of the maps whose function does not return false. None while somebody types. */
export function onKeys(...maps) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const { target } = event;
    if (target.closest("select, textarea, input:not([type='range'])")) return;
    if (target.matches("input[type='range']") && event.key.startsWith("Arrow")) return;
    if (maps.some((map) => event.key in map && map[event.key](event) !== false)) event.preventDefault();
  });
}

/** Let each [data-copy] copy the address that it holds, or the page's own. */
export function connectCopying() {
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-copy]");
    if (!button) return;
    const address = new URL(button.dataset.copy || location.href, location.href).href;
    try {
      await navigator.clipboard.writeText(address);
      note("Copied.");
    } catch {
      // There is no clipboard without HTTPS, and it may be forbidden.
      offer(button, address);
    }
  });
}

function offer(button, address) {
  const name = `${button.textContent}: press Ctrl C or ⌘ C`;
  let field = button.parentElement.querySelector(".address");
  if (!field) {
    field = document.createElement("input");
    field.className = "address";
    field.readOnly = true;
    button.parentElement.append(field);
  }
  field.setAttribute("aria-label", name);
  field.value = address;
  field.focus();
  field.select();
  note("Press Ctrl C or ⌘ C to copy the address.");
}

const line = document.getElementById("note");
let fading = 0;

/** Say something by the way, for a while or, with `stays`, until there is something else to say. */
export function note(text, { stays = false } = {}) {
  clearTimeout(fading);
  line.textContent = text;
  if (!stays) fading = setTimeout(() => (line.textContent = ""), READ);
}
