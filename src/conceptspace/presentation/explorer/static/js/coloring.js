// What decides a line's color: what was chosen, or by itself what varies among the lines.

import { words } from "./dom.js";
import { state } from "./store.js";
import { chosenRuns, label, lone, protocolNames, shownLines, space, variedHere } from "./model.js";
import { apart, classColor, scale } from "./palette.js";

const NAMED = ["class", "protocol", "run", "seed"];

// Settings first (a numeric one before others), then classes, protocols, and runs that differ in the seed alone.
export function colorKey() {
  if (NAMED.includes(state.color) || variedHere().includes(state.color)) return state.color;
  const varied = variedHere(), numeric = (name) => chosenRuns().every((run) => Number.isFinite(Number(run.values[name] ?? NaN)));
  if (varied.length) return varied.find(numeric) ?? varied[0];
  const several = (read) => new Set(shownLines().map(read)).size > 1;
  if (!lone() && several((line) => line.name)) return "class";
  if (lone() || several((line) => line.protocol)) return "protocol";
  return several((line) => line.runs[0].token) ? "run" : "class";
}

export const colorWords = () => words(colorKey());

// Entries of the legend, and the color and the value of a line.
export function coloring() {
  const key = colorKey(), named = NAMED.includes(key);
  if (key === "class") return { key, entries: space().classes.filter((c) => state.classes.has(c.name)).map((c) => [`${c.name} ${c.words}${c.ood ? " (held out)" : ""}`, classColor(space(), c.name)]), read: (line) => line.name, of: (line) => classColor(space(), line.name) };
  const read = { protocol: (line) => line.protocol, run: (line) => line.runs.map((run) => run.name).join(), seed: (line) => (line.runs.length > 1 ? "several" : String(line.runs[0].seed)) }[key]
    ?? ((line) => line.runs[0].values[key] ?? "no effect");
  const values = [...new Set(named ? shownLines().map(read) : chosenRuns().map((run) => run.values[key] ?? "no effect"))];
  const numeric = values.every((value) => Number.isFinite(Number(value)));
  values.sort((a, b) => (numeric ? a - b : a < b ? -1 : 1));
  const paint = key === "protocol" ? (value) => apart(protocolNames().indexOf(value)) : scale(values);
  const told = (value) => { const line = key === "run" && shownLines().find((one) => read(one) === value); return line && line.runs.length > 1 ? label(line, true) : value; };
  return { key, numeric: numeric && !named, entries: values.map((value) => [told(value), paint(value)]), read, of: (line) => paint(read(line)) };
}
