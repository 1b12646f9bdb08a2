// Which two of the copies lie over each other: a choice where there are more.

const left = document.getElementById("left");
const right = document.getElementById("right");

export class Sides {
  #copies = [];
  #paths = [];
  #onChoice;

  /** `onChoice()` when others are chosen. */
  constructor(onChoice) {
    this.#onChoice = onChoice;
    left.addEventListener("change", () => this.#choose(0, left.value));
    right.addEventListener("change", () => this.#choose(1, right.value));
    document.getElementById("swap").addEventListener("click", () => this.#set(this.#paths.toReversed()));
  }

  /** The left and the right copy, or nothing where there are not two. */
  get chosen() {
    const pair = this.#paths.map((path) => this.#copies.find((copy) => copy.path === path));
    return pair.length === 2 && pair.every(Boolean) ? pair : null;
  }

  /** Choose among these, the newest first: with nothing `wanted`, what came before the newest, and that. */
  offer(copies, wanted = []) {
    this.#copies = copies.filter(({ isSvg }) => !isSvg);
    const isThere = (path) => this.#copies.some((copy) => copy.path === path);
    const kept = [0, 1].map((side) => [wanted[side], this.#paths[side]].find(isThere));
    const rest = this.#copies.map(({ path }) => path).filter((path) => !kept.includes(path));
    kept[1] ??= rest.shift();
    kept[0] ??= rest.shift();
    this.#paths = kept;
    for (const select of [left, right]) select.replaceChildren(...this.#copies.map(optionOf));
    this.#say();
  }

  #choose(side, path) {
    const before = [...this.#paths];
    // Whoever chooses what is on the other side means to swap.
    if (before[1 - side] === path) return this.#set(before.toReversed());
    before[side] = path;
    this.#set(before);
  }

  #set(paths) {
    this.#paths = paths;
    this.#say();
    this.#onChoice();
  }

  #say() {
    const isChoice = this.#copies.length > 2;
    for (const [index, select] of [left, right].entries()) {
      const copy = this.#copies.find(({ path }) => path === this.#paths[index]);
      select.hidden = !isChoice;
      if (copy) select.value = copy.path;
      const words = select.parentElement.querySelector(".side");
      const name = document.createElement("bdi");
      name.textContent = copy && !isChoice ? copy.label : "";
      const moment = document.createElement("span");
      moment.className = "soft";
      moment.textContent = copy?.moment ?? "";
      words.replaceChildren(name, " ", moment);
    }
  }
}

function optionOf({ path, label, moment }) {
  const option = document.createElement("option");
  option.value = path;
  option.textContent = `${label} · ${moment}`;
  return option;
}
