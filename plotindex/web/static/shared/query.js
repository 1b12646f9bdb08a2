// The language of search, as in plotindex/tree/query.py: several words, each a substring or a glob.

const WORDS = /[^ \t\n\r\f\v]+/g;

/** A predicate for the names of one thing: each word is a part of one of them or, as a glob, matches a whole one. */
export function queryMatcher(query) {
  const matchers = (foldCase(query).match(WORDS) ?? []).map(wordMatcher);
  return (names) => {
    const folded = names.map(foldCase);
    return matchers.every((matches) => folded.some(matches));
  };
}

/** Lowercase ASCII letters only, as databases do. */
const foldCase = (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

function wordMatcher(word) {
  if (!/[*?[]/.test(word)) return (name) => name.includes(word);
  const elements = globElements([...word]);
  return (name) => matchesGlob([...name], elements);
}

/** Whether characters match a glob. Not a regular expression: those can backtrack exponentially. */
function matchesGlob(characters, elements) {
  let [at, next, star, restart] = [0, 0, -1, 0];
  while (at < characters.length) {
    const element = elements[next];
    if (element === STAR) [star, restart, next] = [next, at, next + 1];
    else if (element?.(characters[at])) [at, next] = [at + 1, next + 1];
    else if (star >= 0) [restart, at, next] = [restart + 1, restart + 1, star + 1];
    else return false;
  }
  return elements.slice(next).every((element) => element === STAR);
}

const STAR = Symbol("*");

/** The elements of a glob: STAR, or a predicate for one character. An unclosed `[` is literal, as in Python's fnmatch. */
function globElements(pattern) {
  const elements = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const first = pattern[at + 1] === "!" ? at + 2 : at + 1;
    const end = pattern[at] === "[" ? pattern.indexOf("]", first + 1) : -1;
    if (end >= 0) {
      elements.push(classMatcher(pattern.slice(first, end), first === at + 2));
      at = end;
    } else elements.push(singleMatcher(pattern[at]));
  }
  return elements;
}

function singleMatcher(sign) {
  if (sign === "*") return STAR;
  return sign === "?" ? () => true : (character) => character === sign;
}

/** A predicate for a class without its brackets: characters and ranges. A range from a greater character is empty. */
function classMatcher(content, isNegated) {
  const ranges = [];
  for (let at = 0; at < content.length; at += 1) {
    const isRange = content[at + 1] === "-" && at + 2 < content.length;
    ranges.push([content[at], content[isRange ? at + 2 : at]].map((sign) => sign.codePointAt(0)));
    if (isRange) at += 2;
  }
  return (character) => {
    const code = character.codePointAt(0);
    return isNegated !== ranges.some(([low, high]) => low <= code && code <= high);
  };
}
