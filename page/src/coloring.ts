// What decides a line's color: the reader's choice, or else what varies among the lines.

import { words } from "./dom";
import { chosenRuns, type Line, label, lone, protocolNames, shownLines, space, variedHere } from "./model";
import { apart, classColor, scale } from "./palette";
import { perChoice, state } from "./store";
import type { Run } from "./types";

const NAMED = ["class", "protocol", "run", "seed"];

// Settings first (a numeric one before others), then classes, protocols, and runs that differ in the seed alone.
export const colorKey = perChoice((): string => {
  if (NAMED.includes(state.color) || variedHere().includes(state.color)) return state.color;
  const varied = variedHere();
  const numeric = (name: string) => chosenRuns().every((run) => Number.isFinite(Number(run.values[name] ?? NaN)));
  if (varied.length) return varied.find(numeric) ?? varied[0];
  const several = (read: (line: Line) => string) => new Set(shownLines().map(read)).size > 1;
  if (!lone() && several((line) => line.name)) return "class";
  if (lone() || several((line) => line.protocol)) return "protocol";
  return several((line) => line.runs[0].token) ? "run" : "class";
});

export const colorWords = (): string => words(colorKey());

// Entries of the legend, and the color and the value of a line.
interface Coloring {
  key: string;
  numeric: boolean;
  entries: [string, string][];
  values: string[];
  read: (line: Line) => string;
  of: (line: Line) => string;
  ofRun: (run: Run) => string;
}

export function coloring(): Coloring {
  const key = colorKey();
  const named = NAMED.includes(key);
  if (key === "class") {
    const entries = space()
      .classes.filter((c) => state.classes.has(c.name))
      .map((c): [string, string] => [`${c.name} ${c.words}${c.ood ? " (held out)" : ""}`, classColor(space(), c.name)]);
    return {
      key,
      numeric: false,
      entries,
      values: entries.map(([name]) => name),
      read: (line) => line.name,
      of: (line) => classColor(space(), line.name),
      ofRun: () => apart(0),
    };
  }
  const ofRun = (run: Run) => run.values[key] ?? "no effect";
  const reads: Record<string, (line: Line) => string> = {
    protocol: (line) => line.protocol,
    run: (line) => line.runs.map((run) => run.name).join(),
    seed: (line) => (line.runs.length > 1 ? "several" : String(line.runs[0].seed)),
  };
  const read = reads[key] ?? ((line: Line) => ofRun(line.runs[0]));
  const values = [...new Set(named ? shownLines().map(read) : chosenRuns().map(ofRun))];
  const numeric = values.every((value) => Number.isFinite(Number(value)));
  values.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
  const paint = key === "protocol" ? (value: string) => apart(protocolNames().indexOf(value)) : scale(values);
  const entryText = (value: string) => {
    const line = key === "run" ? shownLines().find((one) => read(one) === value) : undefined;
    return line && line.runs.length > 1 ? label(line, true) : value;
  };
  return {
    key,
    numeric: numeric && !named,
    values,
    entries: values.map((value) => [entryText(value), paint(value)]),
    read,
    of: (line) => paint(read(line)),
    ofRun: (run) => paint(ofRun(run)),
  };
}
