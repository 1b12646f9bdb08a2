// The cards of a session's page: one plot of a key, kept up to date.

import { formatSize, pluralize, projectLabel, setTime } from "../shared/format.js";
import { suffixOf } from "../shared/formats.js";
import { splitName } from "../shared/names.js";
import { pathOf } from "../api/client.js";
import { addressOf } from "./order.js";
import { updateCheckbox } from "./selection.js";
import { cancelLoad, loadWhenVisible } from "./thumbnails.js";

const shownCards = new WeakMap(); // element -> card

/**
 * Creates and updates cards from a template. `nameOf(card)` returns its name as shown, `isFresh(card)` highlights it,
 * `redrawn(card)` returns how often it was drawn again, `flags(card)` what is wrong with it, and `where(card)` where it
 * shows the text that was searched.
 */
export class Cards {
  #template = document.getElementById("card");
  #pages;
  #nameOf;
  #isFresh;
  #redrawn;
  #flags;
  #where;

  constructor(pages, { nameOf, isFresh, redrawn, flags, where }) {
    this.#pages = pages;
    this.#nameOf = nameOf;
    this.#isFresh = isFresh;
    this.#redrawn = redrawn;
    this.#flags = flags;
    this.#where = where;
  }

  create(card) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    this.update(element, card);
    return element;
  }

  remove(element) {
    cancelLoad(element.querySelector("img"));
  }

  /** Change what differs; the elements of a card stay, so that clicks on them are not lost. */
  update(element, card) {
    const before = shownCards.get(element);
    if (before === card) return;
    shownCards.set(element, card);
    const { filename, copy, project } = card;
    const part = (selector) => element.querySelector(selector);
    Object.assign(element.dataset, { filename, project: copy.project });
    const link = part(".open");
    setAttributes(link, { href: addressOf(this.#pages.plot, filename, project), title: filename, "aria-label": filename });
    this.#setName(part(".name"), card);
    setText(part(".project"), projectLabel(copy.project));
    part(".project").title = projectLabel(copy.project);
    setText(part(".bytes"), formatSize(copy.size));
    setTime(part("time"), copy.mtime);
    setText(part(".pick .unseen"), `Select ${filename}`);
    const box = part(".pick input");
    box.value = pathOfCard(card);
    updateCheckbox(box);
    this.#setCopies(part(".copies"), card);
    this.#setRedrawn(part(".redrawn"), this.#redrawn(card));
    setFlags(part(".flags"), this.#flags(card));
    const where = this.#where(card);
    setText(part(".where"), where);
    part(".where").title = where;
    this.#setFormats(part(".formats"), card);
    setText(part(".load"), `Show (${formatSize(copy.size)})`);
    const image = part("img");
    if (image.dataset.image !== copy.url) {
      Object.assign(image.dataset, { image: copy.url, size: copy.size });
      loadWhenVisible(image);
    }
    if (before?.copy.version !== copy.version && this.#isFresh(card)) highlight(element);
  }

  #setName(name, card) {
    const { shared, own } = this.#nameOf(card);
    const [head, tail] = splitName(own);
    for (const [part, text] of Object.entries({ shared, head, tail })) {
      setText(name.querySelector(`.${part}`), text.replace(/\s/g, "\u00a0"));
    }
  }

  #setRedrawn(element, count) {
    element.hidden = !count;
    if (!count) return;
    setText(element.querySelector(".number"), count.toLocaleString("en"));
    setText(element.querySelector(".unit"), count === 1 ? " time" : " times");
    element.title = `Redrawn ${pluralize(count, "time")}`;
  }

  /** A button for each format that downloads it, if there are several or the plot was removed. */
  #setFormats(list, { files, entry: { isRemoved } }) {
    const shown = files.length > 1 || isRemoved ? files : [];
    while (list.children.length > shown.length) list.lastChild.remove();
    shown.forEach(({ filename, url }, index) => {
      const link = list.children[index] ?? list.appendChild(document.createElement("a"));
      setText(link, isRemoved && files.length === 1 ? "Download" : suffixOf(filename).toUpperCase());
      setAttributes(link, { href: `${url}&download=1`, download: "", title: `Download ${filename}`, "aria-label": `Download ${filename}` });
    });
  }

  #setCopies(link, { filename, projects, entry: { session, isRemoved } }) {
    link.hidden = projects.length < 2 || Boolean(isRemoved);
    setText(link.querySelector(".number"), projects.length.toLocaleString("en"));
    const address = `${this.#pages.compare}?${new URLSearchParams({ session, name: filename })}`;
    setAttributes(link, { href: address, "aria-label": `Compare the ${projects.length} copies of ${filename}` });
  }
}

/** SESSION/PROJECT/FILENAME of the file that a card shows. */
export const pathOfCard = ({ entry, copy, filename }) => pathOf({ session: entry.session, project: copy.project, filename });

function setFlags(list, flags) {
  list.hidden = !flags.length;
  if (list.textContent === flags.join("")) return;
  const items = flags.map((flag) => Object.assign(document.createElement("li"), { textContent: flag }));
  list.replaceChildren(...items);
}

function highlight(element) {
  element.classList.add("fresh");
  element.addEventListener("animationend", () => element.classList.remove("fresh"), { once: true });
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
}
