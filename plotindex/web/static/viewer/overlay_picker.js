// The choice of the two copies to overlay.

const left = document.getElementById("left");
const right = document.getElementById("right");

export class OverlayPicker {
  #copies = [];
  #paths = [];
  #onSelect;

  /** `onSelect()` is called when the user selects other copies. */
  constructor(onSelect) {
    this.#onSelect = onSelect;
    left.addEventListener("change", () => this.#select(0, left.value));
    right.addEventListener("change", () => this.#select(1, right.value));
    document.getElementById("swap").addEventListener("click", () => this.#setPaths(this.#paths.toReversed()));
  }

  /** The left and the right copy, or null if there are fewer than two. */
  get selected() {
    const pair = this.#paths.map((path) => this.#copies.find((copy) => copy.path === path));
    return pair.length === 2 && pair.every(Boolean) ? pair : null;
  }

  /** Set the copies, newest first. Without preferred paths: the second newest left, the newest right. */
  setCopies(copies, preferred = []) {
    this.#copies = copies;
    const isAvailable = (path) => this.#copies.some((copy) => copy.path === path);
    const paths = [0, 1].map((side) => [preferred[side], this.#paths[side]].find(isAvailable));
    const remaining = this.#copies.map(({ path }) => path).filter((path) => !paths.includes(path));
    paths[1] ??= remaining.shift();
    paths[0] ??= remaining.shift();
    this.#paths = paths;
    for (const select of [left, right]) select.replaceChildren(...this.#copies.map(createOption));
    this.#render();
  }

  #select(side, path) {
    const paths = [...this.#paths];
    // Selecting the copy of the other side swaps them.
    if (paths[1 - side] === path) return this.#setPaths(paths.toReversed());
    paths[side] = path;
    this.#setPaths(paths);
  }

  #setPaths(paths) {
    this.#paths = paths;
    this.#render();
    this.#onSelect();
  }

  #render() {
    const hasChoice = this.#copies.length > 2;
    for (const [index, select] of [left, right].entries()) {
      const copy = this.#copies.find(({ path }) => path === this.#paths[index]);
      select.hidden = !hasChoice;
      if (copy) select.value = copy.path;
      const label = select.parentElement.querySelector(".side");
      const name = document.createElement("bdi");
      name.textContent = copy && !hasChoice ? copy.label : "";
      const formattedTime = document.createElement("span");
      formattedTime.className = "soft";
      formattedTime.textContent = copy?.formattedTime ?? "";
      label.replaceChildren(name, " ", formattedTime);
    }
  }
}

function createOption({ path, label, formattedTime }) {
  const option = document.createElement("option");
  option.value = path;
  option.textContent = `${label} · ${formattedTime}`;
  return option;
}
