// Requests, the status line in the header, and paths.

import { readClock } from "../shared/format.js";

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

/** Throw an Error with `status` for an error response. */
export function check(response) {
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
}

/** The JSON of a response; throws an Error with `status` for an error response. */
export async function fetchJson(url) {
  const response = await fetch(url, REVALIDATE);
  check(response);
  readClock(response);
  return response.json();
}

/**
 * The pages of a list. Each names the next one in a header, so that it is requested before this one has arrived: on a
 * slow connection, half of the time of a long list would go by between requests.
 */
export async function* fetchPages(url) {
  let pending = fetch(url, REVALIDATE);
  while (pending) {
    const response = await pending;
    check(response);
    const link = response.headers.get("Link")?.match(/<([^>]*)>; rel="next"/)?.[1];
    pending = link && fetch(new URL(link, response.url), REVALIDATE);
    pending?.catch(() => {}); // reported when it is this one's turn
    const page = await response.json();
    if (!link && page.next !== null) pending = fetch(`${url}&after=${encodeURIComponent(page.next)}`, REVALIDATE);
    yield page;
  }
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
