// The state of a comparison in the page's URL, so that a link shows the same.

const PARAMETERS = ["view", "order", "linked", "at", "left", "right", "amplify", "sizes", "zoom", "x", "y"];
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
  writeQuery((query) => {
    for (const name of PARAMETERS) query.delete(name);
    const { part, ...state } = getState();
    const partState = part && part.zoom !== 1 ? { zoom: part.zoom.toFixed(3), x: part.x.toFixed(4), y: part.y.toFixed(4) } : {};
    for (const [name, value] of Object.entries({ ...state, ...partState })) {
      if (value !== undefined) query.set(name, value);
    }
  });
}

/** Call `change(query)` after a short delay, and write the query to the URL. */
export function writeQuery(change) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const query = new URLSearchParams(location.search);
    change(query);
    history.replaceState(history.state, "", query.size ? `?${query}` : location.pathname);
  }, DEBOUNCE_MS);
}
