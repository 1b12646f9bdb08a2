// What a plot is and shows, as inspection found it.

import { api, encodePath, fetchJson, gallery, sleep } from "../api/client.js";
import { projectLabel } from "../shared/format.js";
import { FLAGS } from "../shared/flags.js";

const RETRY_MS = [0, 3000, 6000, 15_000, 60_000]; // a plot is inspected some seconds after it was drawn
const UNITS = { pdf: " points", svg: " (vector)" };
const section = document.getElementById("shows");
const part = (name) => section.querySelector(`[data-part="${name}"]`);

export class PlotFacts {
  #plot;
  #isCurrent;
  #loads = 0;
  #isKnown = false; // whether the last request was answered

  /** `plot`: `{session, filename, project}`. Its facts are hidden while `isCurrent()` is false: another version is shown. */
  constructor(plot, isCurrent) {
    this.#plot = plot;
    this.#isCurrent = isCurrent;
  }

  /** Request the facts, now and after changes of the plot, and show them unless they are unavailable. */
  async load() {
    const load = (this.#loads += 1);
    const { session, filename, project } = this.#plot;
    const url = `${api}/facts/${encodeURIComponent(session)}/${encodePath(filename)}?${new URLSearchParams({ project })}`;
    for (const delay of RETRY_MS) {
      await sleep(delay);
      if (load !== this.#loads) return;
      const facts = await fetchJson(url).catch(() => null);
      if (load !== this.#loads) return;
      this.#isKnown = facts !== null;
      if (facts) show(facts);
      this.showIfCurrent();
      if (facts?.inspected) return;
    }
  }

  showIfCurrent() {
    section.hidden = !this.#isKnown || !this.#isCurrent();
  }
}

function show(facts) {
  part("waiting").hidden = facts.inspected;
  setRow("title", facts.title);
  setRow("content", describe(facts));
  fill(part("flags"), facts.flags, (flag) => element("li", element("b", flag), ` ${FLAGS[flag]}`));
  fill(part("same"), facts.same, (copy) => element("li", linkTo(copy)));
  fill(part("text"), facts.text, (line) => element("li", line));
  fill(part("metadata"), Object.entries(facts.metadata), ([name, value]) => element("div", element("dt", name), element("dd", value)));
}

/** "PNG, 640 × 480, 100 dpi, 3 frames", as far as it is known. */
function describe({ format, width, height, dpi, frames }) {
  const size = width && height ? `${width.toLocaleString("en")} × ${height.toLocaleString("en")}${UNITS[format] ?? ""}` : "";
  const count = frames > 1 ? `${frames.toLocaleString("en")} ${format === "pdf" ? "pages" : "frames"}` : "";
  return [format?.toUpperCase(), size, dpi && `${Math.round(dpi)} dpi`, count].filter(Boolean).join(", ");
}

function setRow(name, text) {
  part(name).hidden = !text;
  part(name).querySelector("dd").textContent = text;
}

/** Fill the list of a part; without items the part is hidden. */
function fill(container, items, create) {
  container.hidden = !items.length;
  const list = container.querySelector("ul, dl") ?? container;
  list.replaceChildren(...items.map(create));
  const count = container.querySelector(".count");
  if (count) count.textContent = items.length.toLocaleString("en");
}

function linkTo({ session, project, filename }) {
  const link = element("a", `${session} / ${projectLabel(project)} / ${filename}`);
  link.href = `${gallery}plot/${encodeURIComponent(session)}/${encodePath(filename)}?${new URLSearchParams({ project })}`;
  return link;
}

function element(name, ...content) {
  const created = document.createElement(name);
  created.append(...content);
  return created;
}
