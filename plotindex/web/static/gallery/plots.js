// The plots of a session: filter, sort, group. Independent of the page.

import { compare, compareNames, SharedPrefixes } from "../shared/names.js";
import { now, projectLabel } from "../shared/format.js";
import { queryMatcher } from "../shared/query.js";
import { bestFile, groupSiblings, stemOf } from "../shared/formats.js";

const byName = (a, b) => compareNames(a.filename, b.filename) || compareNames(a.copy.project, b.copy.project);
const ORDERS = {
  newest: (a, b) => compare(b.copy.drawn, a.copy.drawn) || byName(a, b),
  oldest: (a, b) => compare(a.copy.drawn, b.copy.drawn) || byName(a, b),
  name: byName,
  size: (a, b) => b.copy.size - a.copy.size || byName(a, b),
};
const GROUPS = {
  folder: { keyOf: ({ filename }) => folderOf(filename), headingOf: (folder) => folder },
  project: { keyOf: ({ copy }) => copy.project, headingOf: projectLabel },
};

/** Entries of the list API, by filename. Siblings are one plot, except in the view of files. */
export class Plots {
  #entries = new Map();
  #plots = {}; // what `#plotsOf` returned since the entries changed, by isByFile
  #stems = new Map(); // stem -> number of filenames
  #held = null;
  #prefixes = new SharedPrefixes();
  #drawnAhead;

  /** `drawnAhead`: version -> time at which a copy was drawn whose mtime is in the future. */
  constructor(drawnAhead = {}) {
    this.#drawnAhead = new Map(Object.entries(drawnAhead));
  }

  /** Whether a plot has several formats. */
  get hasSiblings() {
    return this.#entries.size > this.#stems.size;
  }

  /** The number of plots, or of files, and of their copies in projects. */
  count({ isByFile = false } = {}) {
    const plots = this.#plotsOf(isByFile);
    return { total: plots.length, copies: plots.reduce((sum, [, entries]) => sum + projectsOf(entries).length, 0) };
  }

  #plotsOf(isByFile) {
    return (this.#plots[isByFile] ??= plotsOf(this.#entries, isByFile));
  }

  replace(entries) {
    this.#plots = {};
    this.#entries = new Map();
    this.#stems = new Map();
    this.#prefixes = new SharedPrefixes();
    for (const entry of entries) this.#set(entry);
  }

  /** Apply changes; returns the changed entries that have a new current copy. */
  apply(changed, removed) {
    this.#plots = {};
    for (const { filename } of removed) this.#delete(filename);
    const renewed = changed.filter((entry) => isNewVersion(entry, this.#entries.get(entry.filename)));
    for (const entry of changed) this.#set(entry);
    return renewed;
  }

  /** The copies, as `{filename, project}`, that changes draw again; call it before `apply`. */
  redrawnBy(changed) {
    return changed.flatMap(({ filename, copies }) => {
      const before = new Map(this.#entries.get(filename)?.copies.map(({ project, version }) => [project, version]));
      const redrawn = copies.filter(({ project, version }) => before.has(project) && before.get(project) !== version);
      return redrawn.map(({ project }) => ({ filename, project }));
    });
  }

  #set(entry) {
    if (!this.#entries.has(entry.filename)) this.#countStem(entry.filename, 1);
    this.#entries.set(entry.filename, entry);
  }

  #delete(filename) {
    if (this.#entries.delete(filename)) this.#countStem(filename, -1);
  }

  #countStem(filename, change) {
    const stem = stemOf(filename);
    const count = (this.#stems.get(stem) ?? 0) + change;
    if (count) this.#stems.set(stem, count);
    else this.#stems.delete(stem);
    // A prefix is not shared by siblings alone.
    if (count === 0) this.#prefixes.remove(stem);
    else if (count === 1 && change === 1) this.#prefixes.add(stem);
  }

  /** From now on, changes keep the order of the cards, and new cards wait. */
  hold() {
    this.#held ??= new Map(this.#entries);
  }

  /** Show the plots as they are now. */
  release() {
    this.#held = null;
  }

  /** Go on holding, if so, from the plots as they are now. */
  renewHold() {
    this.#held &&= new Map(this.#entries);
  }

  /** Set the time at which each copy was drawn: its mtime or, if that is in the future, when it was first known. */
  #date() {
    const present = toText(now());
    for (const { copies } of this.#entries.values()) {
      for (const copy of copies) {
        const isAhead = copy.mtime > present;
        if (isAhead && !this.#drawnAhead.has(copy.version)) this.#drawnAhead.set(copy.version, present);
        copy.drawn = isAhead ? this.#drawnAhead.get(copy.version) : copy.mtime;
      }
    }
  }

  /**
   * The matching plots, drawn `since` (milliseconds), as `groups`, an array of `{heading, cards}`; without a group the
   * heading is null. `showsText(filename, copy)`: whether a copy matches without its name, `hasFlag(filename, copy)`:
   * whether it is shown. `count`: matching plots, or files; `waiting`: the number of cards that a hold keeps back.
   */
  arrange({ query = "", since = null, sort = "newest", group = "", isByFile = false, showsText = () => false, hasFlag = () => true }) {
    this.#date();
    const filter = { matches: copyMatcher(query, showsText), hasFlag, start: since === null ? "" : toText(since), group };
    const all = cardsOf(this.#plotsOf(isByFile), filter);
    const places = this.#held && new Map(cardsOf(plotsOf(this.#held, isByFile), filter).map((card) => [card.key, card]));
    const cards = places ? all.filter(({ key }) => places.has(key)) : all;
    const order = ORDERS[sort] ?? ORDERS.newest;
    cards.sort(places ? (a, b) => order(places.get(a.key), places.get(b.key)) : order);
    const count = new Set(all.map(({ plotKey }) => plotKey)).size;
    return { groups: groupCards(cards, sort, group), count, waiting: all.length - cards.length };
  }

  /** The name of a card as shown: `shared` with other plots, then its own part. A heading shows the folder. */
  nameOf({ filename, group }) {
    const start = group === "folder" ? filename.lastIndexOf("/") + 1 : 0;
    const end = Math.max(start, this.#prefixes.longest(filename).length);
    return { shared: filename.slice(start, end), own: filename.slice(end) };
  }
}

/** A time in milliseconds as in the list API. */
const toText = (time) => new Date(time).toISOString().replace("Z", "000000Z");

/** The plots, as `[key, entries]`; each file is one if they are shown one by one. */
const plotsOf = (entries, isByFile) =>
  isByFile ? [...entries].map(([filename, entry]) => [filename, [entry]]) : groupSiblings(entries.values());

/** A card for each plot, of its newest matching copy; grouped by project, one for each matching copy. */
function cardsOf(plots, { matches, hasFlag, start, group }) {
  const cards = [];
  for (const [plotKey, plot] of plots) {
    const matching = plot.flatMap((entry) => matches(entry).map((copy) => ({ entry, copy })));
    const kept = matching.filter(({ entry, copy }) => copy.drawn >= start && hasFlag(entry.filename, copy));
    const shown = Map.groupBy(kept, ({ copy }) => copy.project);
    if (!shown.size) continue;
    const projects = projectsOf(plot);
    const isSelection = new Set(matching.map(({ copy }) => copy.project)).size < projects.length;
    for (const project of group === "project" ? shown.keys() : [newestProject([...shown.values()].flat())]) {
      const { entry, copy } = bestFile(shown.get(project));
      // Chosen by its project: the card's links lead to this copy, not to the newest.
      const isChosen = group === "project" || isSelection || copy !== entry.copies[0];
      const key = group === "project" ? `${plotKey}\0${project}` : plotKey;
      const files = plot.flatMap((own) => own.copies.filter((one) => one.project === project).map(({ url }) => ({ filename: own.filename, url })));
      cards.push({ key, plotKey, filename: entry.filename, entry, copy, group, files, projects, project: isChosen ? project : null });
    }
  }
  return cards;
}

/** The project that drew last. */
const newestProject = (files) =>
  files.reduce((newest, { copy }) => (compare(newest.mtime, copy.mtime) || compare(newest.project, copy.project)) < 0 ? copy : newest, files[0].copy).project;

/** The projects that have a copy of a plot, in any format. */
const projectsOf = (entries) => [...new Set(entries.flatMap(({ copies }) => copies.map(({ project }) => project)))];

/** Groups are in the order of their first cards. */
function groupCards(cards, sort, group) {
  if (!GROUPS[group]) return [{ heading: null, cards }];
  const { keyOf, headingOf } = GROUPS[group];
  const groups = new Map();
  for (const card of cards) {
    const key = keyOf(card);
    if (!groups.has(key)) groups.set(key, { heading: headingOf(key), cards: [] });
    groups.get(key).cards.push(card);
  }
  const ordered = [...groups.values()];
  return sort === "name" ? ordered.sort((a, b) => compareNames(a.heading, b.heading)) : ordered;
}

/** A function that returns the copies of an entry that a query selects; all if its words name several projects. */
function copyMatcher(query, showsText) {
  const matches = queryMatcher(query);
  return (entry) => {
    const own = entry.copies.filter((copy) => matches([entry.filename, copy.project]) || showsText(entry.filename, copy));
    return own.length || !matches(namesOf(entry)) ? own : entry.copies;
  };
}

/** What a query is compared with: the filename and the projects of an entry. */
const namesOf = ({ filename, copies }) => [filename, ...copies.map(({ project }) => project)];

const isNewVersion = (entry, previous) => previous?.version !== entry.version || previous.project !== entry.project;

const folderOf = (filename) => filename.slice(0, Math.max(0, filename.lastIndexOf("/")));
