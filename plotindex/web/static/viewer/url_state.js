// How a comparison is looked at, in the page's address: whoever gets the link sees the same.

const NAMES = ["view", "order", "linked", "at", "left", "right", "amplify", "zoom", "x", "y"];
const SETTLED = 250; // milliseconds; browsers let a page change its address only so often

let writing = 0;

/** What the address says; `part` is the part of the picture, if it says one. */
export function readAddress() {
  const given = new URLSearchParams(location.search);
  const [zoom, x, y] = ["zoom", "x", "y"].map((name) => Number(given.get(name) ?? NaN));
  const isPart = [zoom, x, y].every(Number.isFinite) && zoom > 0;
  return { ...Object.fromEntries(given), part: isPart ? { zoom, x, y } : null };
}

/** Let the address say these, soon; what is undefined is left out. */
export function writeAddress(now) {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const query = new URLSearchParams(location.search);
    for (const name of NAMES) query.delete(name);
    const { part, ...rest } = now();
    const seen = part && part.zoom !== 1 ? { zoom: part.zoom.toFixed(3), x: part.x.toFixed(4), y: part.y.toFixed(4) } : {};
    for (const [name, value] of Object.entries({ ...rest, ...seen })) {
      if (value !== undefined) query.set(name, value);
    }
    history.replaceState(history.state, "", `?${query}`);
  }, SETTLED);
}
