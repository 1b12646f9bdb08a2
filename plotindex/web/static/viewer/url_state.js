// The state of a comparison in the page's URL, so that a link shows the same.

const PARAMETERS = ["view", "order", "linked", "at", "left", "right", "amplify", "zoom", "x", "y"];
const DEBOUNCE_MS = 250; // browsers limit the rate of URL changes

let timer = 0;

/** The state in the URL; `part` is the view of the image, or null. */
export function readState() {
  const parameters = new URLSearchParams(location.search);
  const [zoom, x, y] = ["zoom", "x", "y"].map((name) => Number(parameters.get(name) ?? NaN));
  const hasPart = [zoom, x, y].every(Number.isFinite) && zoom > 0;
  return { ...Object.fromEntries(parameters), part: hasPart ? { zoom, x, y } : null };
}

/** Write `getState()` to the URL after a short delay; undefined values are omitted. */
export function writeState(getState) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const query = new URLSearchParams(location.search);
    for (const name of PARAMETERS) query.delete(name);
    const { part, ...state } = getState();
    const partState = part && part.zoom !== 1 ? { zoom: part.zoom.toFixed(3), x: part.x.toFixed(4), y: part.y.toFixed(4) } : {};
    for (const [name, value] of Object.entries({ ...state, ...partState })) {
      if (value !== undefined) query.set(name, value);
    }
    history.replaceState(history.state, "", `?${query}`);
  }, DEBOUNCE_MS);
}
