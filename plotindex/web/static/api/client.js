// Requests, the status line in the header, and paths.

const { api, gallery } = document.documentElement.dataset;
export { api, gallery };

const statusElement = document.getElementById("state");
const statuses = new Map();

/** Show a problem of this kind in the header; without a text, clear it. The latest is visible. */
export function setStatus(kind, text = "", link = null) {
  const before = [...statuses.values()].at(-1)?.text;
  statuses.delete(kind);
  if (text) statuses.set(kind, { text, link });
  const last = [...statuses.values()].at(-1);
  statusElement.hidden = !last;
  if (last?.text === before) return;
  statusElement.replaceChildren(last?.text ?? "");
  if (last?.link) {
    const anchor = document.createElement("a");
    anchor.href = last.link.href;
    anchor.textContent = last.link.text;
    statusElement.append(" ", anchor);
  }
}

/** Always revalidate: on Back, browsers use even a `no-cache` response from their cache. */
export const REVALIDATE = { cache: "no-cache" };

/** The JSON of a response; throws an Error with `status` for an error response. */
export async function fetchJson(url) {
  const response = await fetch(url, REVALIDATE);
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  return response.json();
}

/** Focus a search field on `/`, except while the user types in a field. */
export function focusOnSlash(field) {
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    field.focus();
  });
}

export const sleep = (duration) => new Promise((done) => setTimeout(done, duration));

/** SESSION/PROJECT/FILENAME, which identifies a copy; without the project `.`. */
export const pathOf = ({ session, project, filename }) =>
  [session, ...(project === "." ? [] : [project]), filename].join("/");

export const encodePath = (name) => name.split("/").map(encodeURIComponent).join("/");
