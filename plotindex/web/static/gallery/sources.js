// Shows where a picture is from.

import { api, encodePath, gallery } from "../api/client.js";
import { projectLabel } from "../shared/format.js";
import { loadWhenVisible } from "./thumbnails.js";

const PROBLEMS = {
  413: "The picture is too large.",
  422: "This is not a picture, or it is damaged.",
  503: "The picture cannot be read now. Try again.",
};
const dialog = document.getElementById("sources");
const list = dialog.querySelector("ol");
const status = dialog.querySelector("[role=status]");
let pending = null;

document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("../css/sources.css", import.meta.url) }));
dialog.addEventListener("close", () => pending?.abort());

/** Show the plots that a picture may be from. */
export async function findSources(picture) {
  pending?.abort();
  const { signal } = (pending = new AbortController());
  list.replaceChildren();
  status.textContent = "Searching…";
  if (!dialog.open) dialog.showModal();
  try {
    const response = await fetch(`${api}/like`, { method: "POST", body: picture, signal });
    const { matches } = response.ok ? await response.json() : {};
    if (signal.aborted) return;
    status.textContent = response.ok ? describe(matches.length) : (PROBLEMS[response.status] ?? "The search has failed.");
    if (matches) list.replaceChildren(...matches.map(createItem));
    for (const image of list.querySelectorAll("img")) loadWhenVisible(image);
  } catch {
    if (!signal.aborted) status.textContent = "No connection.";
  }
}

function describe(count) {
  return count ? `${count.toLocaleString("en")} ${count === 1 ? "plot looks" : "plots look"} like it, the nearest first.` : "No plot looks like it.";
}

function createItem({ session, project, filename, how, distance, url }) {
  const item = document.getElementById("source").content.firstElementChild.cloneNode(true);
  const part = (name) => item.querySelector(name);
  part("a").href = `${gallery}plot/${encodeURIComponent(session)}/${encodePath(filename)}?${new URLSearchParams({ project })}`;
  Object.assign(part("img").dataset, { image: url, size: 0, filename });
  part("bdi").textContent = filename;
  part(".from").textContent = `${session} / ${projectLabel(project)}`;
  part(".distance").textContent = how === "bytes" ? "the same bytes" : `distance ${distance} of 576`;
  return item;
}
