// Runs as they were loaded, and the lines that are drawn of them.

import { carrier } from "./carrier.js";
import { choiceNumber, state, touch } from "./store.js";
import { bootstrap, mean, wilson } from "./stats.js";

export const model = { index: { runs: [], spaces: [], varied: [], ledgers: [], left_out: [] }, loaded: false, trajectories: new Map(), details: new Map(), settings: new Map(), turns: new Map(), told: null };
const AT_ONCE = 6, FIRST = 8, BATCH = 23, PATIENCE = 400;

export const space = () => model.index.spaces[state.space];
// A table of another program: no images, log or config; a lone class need not be named.
export const tabular = () => model.index.of_table === true;
// The accuracy from which something counts as there.
export const threshold = () => model.index.threshold ?? 0.8;
export const lone = () => tabular() && space().classes.length < 2;
export const ofClass = (name, before = "") => (lone() ? "" : `${before}class ${name}`);
export const runsHere = () => model.index.runs.filter((run) => run.space === state.space);
export const chosenRuns = () => runsHere().filter((run) => state.chosen.has(run.token) && !state.hiddenSeeds.has(String(run.seed)));
export const runOf = (token) => model.index.runs.find((run) => run.token === token);
export const trajectoryOf = (token) => model.trajectories.get(token)?.told ?? null;
// The settings in which runs differ, those that are chosen unless said; of another choice they are others.
export const variedHere = (runs = chosenRuns()) => model.index.varied.filter((name) => new Set(runs.map((run) => run.values[name] ?? null)).size > 1);
export const valuesOf = (run) => model.index.varied.map((name) => run.values[name] ?? null);

export function settingName(run) {
  const told = variedHere().map((name) => [name.split(".").at(-1).replaceAll("_", " "), run.values[name]]).filter(([, value]) => value !== null && value !== undefined);
  return told.map(([name, value]) => `${name} ${value}`).join(", ");
}

export function protocolNames(runs = chosenRuns()) {
  const names = new Set();
  for (const run of runs) for (const protocol of trajectoryOf(run.token)?.protocols ?? []) names.add(protocol.name);
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

// Plain prompting first, then what elicits, then its controls.
export const isControl = (protocol) => protocol.includes("control");
const rank = (protocol) => (protocol === "naive" ? 0 : isControl(protocol) ? 2 : 1);

// Load, or load again, what has changed; some at a time, so that the first come first.
const underWay = new Set();
export async function loadTrajectories(runs) {
  const key = (run) => run.token + run.version;
  const wanted = runs.filter((run) => model.trajectories.get(run.token)?.version !== run.version && !underWay.has(key(run)));
  wanted.forEach((run) => underWay.add(key(run)));
  let drawn = -PATIENCE;
  const batches = [wanted.slice(0, FIRST), ...d3.range(FIRST, wanted.length, BATCH).map((at) => wanted.slice(at, at + BATCH))];
  await each(batches.filter((batch) => batch.length), async (batch) => {
    try {
      const found = await carrier.trajectories(batch.map((run) => run.token));
      for (const run of batch) model.trajectories.set(run.token, { version: run.version, told: found[run.token] });
    } finally {
      batch.forEach((run) => underWay.delete(key(run)));
    }
    if (performance.now() - drawn < PATIENCE) return;
    drawn = performance.now();
    forget();
    touch("data");
  }, 2);
  forget();
}

export async function load(kind, run) {
  const kept = model[kind].get(run.token);
  if (kept?.version === run.version) return kept.told;
  const told = carrier.get(kind, run.token);
  model[kind].set(run.token, { version: run.version, told });
  return told;
}

export async function each(items, work, atOnce = AT_ONCE) {
  const queue = [...items];
  const worker = async () => { while (queue.length) await work(queue.shift()); };
  await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, worker));
}

// Between which two values the axis of a concept runs: as chosen, or as its runs were judged.
export const endsOf = (c) => state.ends[c] ?? space().concepts[c].axis;
const moved = () => Object.keys(state.ends).some((c) => `${endsOf(c)}` !== `${space().concepts[c].axis}`);

// Coordinates between other values: (1 + p_to - p_from) / 2.
function along(part) {
  if (!moved() || !part.values) return part.coordinate;
  return part.coordinate.map((own, c) => {
    const values = part.values[c], [from, to] = endsOf(c);
    return values ? own.map((_, i) => (values[from][i] === null || values[to][i] === null ? null : (1 + values[to][i] - values[from][i]) / 2)) : own;
  });
}

// The series of one run, protocol and class: under the best setting of each checkpoint, or a fixed one.
export function series(token, protocol, name) {
  const of = trajectoryOf(token)?.protocols.find((p) => p.name === protocol);
  if (!of?.classes[name]) return null;
  const fixed = state.setting && of.settings.length > 1 ? model.settings.get(token)?.ready : null;
  if (!fixed) return { steps: of.steps, ...of.classes[name], coordinate: along(of.classes[name]) };
  const at = of.settings.indexOf(state.setting);
  if (at < 0) return null;
  const all = fixed.protocols[protocol][name];
  return { steps: of.steps, best: of.steps.map(() => at), samples: all.samples[at], joint: all.joint[at], accuracy: all.accuracy[at], coordinate: along({ coordinate: all.coordinate[at], values: all.values?.[at] }) };
}

const measured = (part, p) => part.joint[p] !== null || part.accuracy.some((of) => of[p] !== null);

// A line: one run, or the mean of the runs of one setting, under a protocol, for a class.
class Line {
  constructor(key, runs, parts, protocol, name) {
    Object.assign(this, { key, runs, parts, protocol, name, intervals: new Map() });
    const [first, ...others] = parts;
    const shared = others.map((part) => new Map(part.steps.map((step, i) => [step, i])));
    this.at = [];
    this.steps = [];
    first.steps.forEach((step, i) => {
      const places = [i, ...shared.map((map) => map.get(step))];
      if (places.every((p, j) => p !== undefined && measured(parts[j], p))) {
        this.steps.push(step);
        this.at.push(places);
      }
    });
    const collect = (read) => Float64Array.from(this.at, (places) => mean(places.map((p, j) => read(parts[j], p) ?? NaN)));
    this.joint = collect((part, p) => part.joint[p]);
    this.coordinate = first.coordinate.map((_, c) => collect((part, p) => part.coordinate[c][p]));
    this.accuracy = first.accuracy.map((_, c) => collect((part, p) => part.accuracy[c][p]));
  }

  values(kind, c, i) {
    return this.at[i].map((p, j) => (c === null ? this.parts[j][kind] : this.parts[j][kind][c])[p]);
  }

  // 95 % interval at a checkpoint: over runs, or of the images of a single run; of width 0 where their number is not told.
  interval(kind, c, i) {
    const key = `${kind}${c}:${i}`;
    if (!this.intervals.has(key)) {
      const values = this.values(kind, c, i);
      const samples = this.parts[0].samples[this.at[i][0]];
      this.intervals.set(key, values.length > 1 ? bootstrap(values) : samples ? wilson(values[0], samples) : [values[0], values[0]]);
    }
    return this.intervals.get(key);
  }

  index(step) {
    let low = 0;
    for (let i = 0; i < this.steps.length && this.steps[i] <= step; i++) low = i;
    return low;
  }
}

let kept = new Map(), shown = { number: -1, lines: [] };
export function forget() {
  kept = new Map();
  shown = { number: -1, lines: [] };
}

export function groups(runs = chosenRuns(), mode = state.mode) {
  if (mode === "runs") return runs.map((run) => [run]);
  const found = new Map();
  for (const run of runs) {
    const key = run.apart ? run.token : JSON.stringify(valuesOf(run)); // what stands apart counts in no mean
    found.set(key, [...(found.get(key) ?? []), run]);
  }
  return [...found.values()];
}

export function lines(protocols, classes, runs = chosenRuns(), mode = state.mode) {
  const found = [];
  for (const group of groups(runs, mode)) for (const protocol of protocols) for (const name of classes) {
    const key = `${group.map((run) => run.token + run.version).join()}|${protocol}|${name}|${state.setting}|${JSON.stringify(state.ends)}`;
    if (!kept.has(key)) {
      const there = group.map((run) => [run, series(run.token, protocol, name)]).filter(([, part]) => part);
      kept.set(key, there.length ? new Line(key, there.map(([run]) => run), there.map(([, part]) => part), protocol, name) : null);
    }
    const line = kept.get(key);
    if (line?.steps.length) found.push(line);
  }
  return found;
}

// The lines of everything that is chosen; the same ones until another choice is made.
export function shownLines() {
  if (shown.number !== choiceNumber()) {
    const classes = space().classes.map((c) => c.name).filter((name) => state.classes.has(name));
    shown = { number: choiceNumber(), lines: lines(protocolNames().filter((name) => state.protocols.has(name)), classes) };
  }
  return shown.lines;
}

export function label(line, brief = false) {
  const who = line.runs.length > 1 ? `mean of ${line.runs.length} runs${settingName(line.runs[0]) && `, ${settingName(line.runs[0])}`}` : line.runs[0].name;
  return brief ? who : [ofClass(line.name), line.protocol, who].filter(Boolean).join(", ");
}

// Turns are those of the axes as they were judged.
export function turnOf(line) {
  if (moved()) return null;
  return model.turns.get(line.runs.map((run) => run.token + run.version).join())?.[line.name] ?? null;
}

// Ask for the turns of what is drawn, one after the other.
let asking = 0;
export async function loadTurns() {
  const round = ++asking;
  let drawn = -PATIENCE;
  for (const group of groups()) {
    const key = group.map((run) => run.token + run.version).join();
    if (model.turns.has(key)) continue;
    try {
      const told = await carrier.together("turns", group.map((run) => run.token));
      model.turns.set(key, told ?? {});
    } catch {
      model.turns.set(key, {});
    }
    if (round !== asking) return;
    if (performance.now() - drawn < 4 * PATIENCE) continue;
    drawn = performance.now();
    touch("turns");
  }
  touch("turns");
}
