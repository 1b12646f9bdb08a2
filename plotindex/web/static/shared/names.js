// Filenames: their order, and how cards show them.

const NUMBER = /(\d+(?:\.\d+)*(?:e[+-]\d+)?)/;
const PREFIX = /[/_\- ]+(?=[^/_\- ])/g; // where a prefix can end
const TAIL = 12; // characters
const texts = new Intl.Collator();
const parsed = new Map(); // filename -> text and numbers in turn

/** The order of two filenames: numbers by value (0.001 < 0.01 < 0.1 < 2 < 10), all else by letters. */
export function compareNames(a, b) {
  const [one, other] = [parse(a), parse(b)];
  for (let index = 0; index < Math.min(one.length, other.length); index += 1) {
    const order = index % 2 ? compareNumbers(one[index], other[index]) : texts.compare(one[index], other[index]);
    if (order) return order;
  }
  return one.length - other.length || compare(a, b);
}

export const compare = (a, b) => (a < b ? -1 : Number(a > b));

function parse(name) {
  if (!parsed.has(name)) parsed.set(name, name.split(NUMBER).map((part, index) => (index % 2 ? parseNumber(part) : part)));
  return parsed.get(name);
}

/** `1.5` is one number; `2024.01.05` is three. */
function parseNumber(text) {
  const parts = text.split(".");
  return { values: (parts.length > 2 ? parts : [text]).map(Number), digits: text.replace(/^0+(?=\d)/, "") };
}

function compareNumbers(one, other) {
  for (let index = 0; index < Math.min(one.values.length, other.values.length); index += 1) {
    const order = compare(one.values[index], other.values[index]);
    if (order) return order;
  }
  // Long integers that differ in digits which a double does not have.
  return one.values.length - other.values.length || one.digits.length - other.digits.length || compare(one.digits, other.digits);
}

/** The prefixes, up to a separator, that filenames have in common. */
export class SharedPrefixes {
  #counts = new Map();

  add(name) {
    for (const prefix of prefixesOf(name)) this.#counts.set(prefix, (this.#counts.get(prefix) ?? 0) + 1);
  }

  remove(name) {
    for (const prefix of prefixesOf(name)) this.#counts.set(prefix, this.#counts.get(prefix) - 1);
  }

  /** The prefix that a filename shares with others: it grows while most of those that share it share more. */
  longest(name) {
    let [longest, sharing] = ["", 2];
    for (const prefix of prefixesOf(name)) {
      const count = this.#counts.get(prefix);
      if (count < 2 || count <= sharing / 2) break;
      [longest, sharing] = [prefix, count];
    }
    return longest;
  }
}

const prefixesOf = (name) => [...name.matchAll(PREFIX)].map(({ index, 0: separator }) => name.slice(0, index + separator.length));

/** A name in two parts. The second stays whole when a card cuts the name in the middle. */
export function splitName(name) {
  const letters = [...name];
  return [letters.slice(0, -TAIL).join(""), letters.slice(-TAIL).join("")];
}
