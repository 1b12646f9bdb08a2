// Where things are, and how the page says that something is wrong.

const { api, gallery } = document.documentElement.dataset;
export { api, gallery };

const line = document.getElementById("state");
const troubles = new Map();

/** Say in the header that something is wrong, or with no text that it is not any more. */
export function say(trouble, text = "", link = null) {
  const before = [...troubles.values()].at(-1)?.text;
  troubles.delete(trouble);
  if (text) troubles.set(trouble, { text, link });
  const last = [...troubles.values()].at(-1);
  line.hidden = !last;
  if (last?.text === before) return;
  line.replaceChildren(last?.text ?? "");
  if (last?.link) {
    const anchor = document.createElement("a");
    anchor.href = last.link.href;
    anchor.textContent = last.link.text;
    line.append(" ", anchor);
  }
}

/** An answer's JSON; fails with `status` when it is none. */
export async function ask(address, signal) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  return response.json();
}

/** Let `/` lead to a search field, from wherever nobody types. */
export function findBySlash(field) {
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    field.focus();
  });
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** SESSION/PROJECT/FILENAME, which names one copy. */
export const pathOf = (copy) => `${copy.session}/${copy.project}/${copy.filename}`;

export const encodePath = (name) => name.split("/").map(encodeURIComponent).join("/");
