// Runs as they were loaded, and the lines that are drawn of them.

import { range } from "d3-array";
import { carrier, type Kinds } from "./carrier";
import { words } from "./dom";
import { mean, overRuns, wilson } from "./stats";
import { outdate, perChoice, state, touch } from "./store";
import type {
  Columns,
  Details,
  Findings,
  Index,
  Maybe,
  Part,
  Run,
  Settings,
  Space,
  Trajectory,
  Turn,
  Turns,
} from "./types";

interface Kept<T> {
  version: string;
  answer: Promise<T>;
  ready?: T;
}

export const model = {
  index: { runs: [], spaces: [], varied: [], ledgers: [], left_out: [] } as Index,
  loaded: false,
  trajectories: new Map<string, { version: string; trajectory: Trajectory }>(),
  details: new Map<string, Kept<Details>>(),
  settings: new Map<string, Kept<Settings>>(),
  turns: new Map<string, Turns>(),
  findings: null as Findings | null,
};
// From more runs on, only those that are chosen are loaded, and a few are chosen at first.
export const MANY = 300;
const AT_ONCE = 6;
const FIRST = 8;
const BATCH = 23;
const PATIENCE = 400;
const SOON = 150;

export const space = (): Space => model.index.spaces[state.space];
export const settled = (): boolean => model.index.spaces.length > 0;
// A table of another program: no images, log or config; a lone class need not be named.
export const tabular = (): boolean => model.index.of_table === true;
// The accuracy from which something counts as present.
export const threshold = (): number => model.index.threshold ?? 0.8;
export const lone = (): boolean => tabular() && space().classes.length < 2;
export const ofClass = (name: string, before = ""): string => (lone() ? "" : `${before}class ${name}`);
export const many = (): boolean => model.index.runs.length > MANY;
export const runsHere = perChoice((): Run[] => model.index.runs.filter((run) => run.space === state.space));
// The chosen runs, whatever the sliders over their settings say.
export const candidates = perChoice((): Run[] =>
  runsHere().filter((run) => state.chosen.has(run.token) && !state.hiddenSeeds.has(String(run.seed))),
);
export const chosenRuns = perChoice((): Run[] =>
  candidates().filter((run) => Object.entries(state.only).every(([name, value]) => run.values[name] === value)),
);
export const runOf = (token: string): Run | undefined => model.index.runs.find((run) => run.token === token);
export const trajectoryOf = (token: string): Trajectory | null => model.trajectories.get(token)?.trajectory ?? null;
// The settings in which runs differ, those that are chosen unless said; of another choice they are others.
export const variedAmong = (runs: Run[]): string[] =>
  model.index.varied.filter((name) => new Set(runs.map((run) => run.values[name] ?? null)).size > 1);
export const variedHere = perChoice(() => variedAmong(chosenRuns()));
export const variedInAll = perChoice(() => variedAmong(runsHere()));
export const valuesOf = (run: Run): (string | null)[] => model.index.varied.map((name) => run.values[name] ?? null);

// The key under which what belongs to a group of runs is kept; a new version of a run changes it.
export const keyOf = (runs: Run[]): string => runs.map((run) => run.token + run.version).join();

const varying = (run: Run): [string, string][] =>
  variedHere().flatMap((name): [string, string][] => {
    const value = run.values[name];
    return value === null || value === undefined ? [] : [[words(name), value]];
  });
// In which of the varied settings a run is, with their names and without.
export const settingName = (run: Run): string =>
  varying(run)
    .map((pair) => pair.join(" "))
    .join(", ");
export const settingValues = (run: Run): string =>
  varying(run)
    .map(([, value]) => value)
    .join(", ");

export const protocolNames = perChoice(() => protocolsOf(chosenRuns()));
export function protocolsOf(runs: Run[]): string[] {
  const names = new Set<string>();
  for (const run of runs) for (const protocol of trajectoryOf(run.token)?.protocols ?? []) names.add(protocol.name);
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

// Plain prompting first, then what elicits, then its controls.
/** As `is_control` of the findings: one of the words of the name is "control" or "controls". */
export const isControl = (protocol: string): boolean => {
  const words = protocol.replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase();
  return /(?<![\p{L}\p{N}])controls?[0-9]*(?![\p{L}\p{N}])/u.test(words);
};
const rank = (protocol: string) => (protocol === "naive" ? 0 : isControl(protocol) ? 2 : 1);

// Load, or load again, what has changed; some at a time, so that the first come first.
const underWay = new Set<string>();
export async function loadTrajectories(runs: Run[]): Promise<void> {
  const key = (run: Run) => run.token + run.version;
  const wanted = runs.filter(
    (run) => model.trajectories.get(run.token)?.version !== run.version && !underWay.has(key(run)),
  );
  wanted.forEach((run) => underWay.add(key(run)));
  let drawn = performance.now() - PATIENCE + SOON; // what comes at once is drawn once
  const batches = [
    wanted.slice(0, FIRST),
    ...range(FIRST, wanted.length, BATCH).map((at) => wanted.slice(at, at + BATCH)),
  ];
  await each(
    batches.filter((batch) => batch.length),
    async (batch) => {
      try {
        const found = await carrier.trajectories(batch.map((run) => run.token));
        for (const run of batch)
          model.trajectories.set(run.token, { version: run.version, trajectory: found[run.token] });
      } finally {
        batch.forEach((run) => underWay.delete(key(run)));
      }
      if (performance.now() - drawn < PATIENCE) return;
      drawn = performance.now();
      forget();
      touch("data");
    },
    2,
  );
  forget();
}

export async function load<K extends keyof Kinds>(kind: K, run: Run): Promise<Kinds[K]> {
  const all = model[kind] as Map<string, Kept<Kinds[K]>>;
  const kept = all.get(run.token);
  if (kept?.version === run.version) return kept.answer;
  const answer = carrier.get(kind, run.token);
  all.set(run.token, { version: run.version, answer });
  return answer;
}

export async function each<T>(items: T[], work: (item: T) => Promise<void>, atOnce = AT_ONCE): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    while (queue.length) await work(queue.shift() as T);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, worker));
}

// Between which two values the axis of a concept runs: as chosen, or as its runs were judged.
export const endsOf = (c: number): [number, number] => state.ends[c] ?? space().concepts[c].axis;
const moved = () =>
  Object.keys(state.ends)
    .map(Number)
    .some((c) => `${endsOf(c)}` !== `${space().concepts[c].axis}`);

// Coordinates between other values: (1 + p_to - p_from) / 2.
function along(part: Pick<Columns, "coordinate" | "values">): Maybe[][] {
  if (!moved() || !part.values) return part.coordinate;
  return part.coordinate.map((own, c) => {
    const values = part.values?.[c];
    const [from, to] = endsOf(c);
    if (!values) return own;
    return own.map((_, i) => {
      const [low, high] = [values[from][i], values[to][i]];
      return low === null || high === null ? null : (1 + high - low) / 2;
    });
  });
}

// The series of one run, protocol and class: under the best setting of each checkpoint, or a fixed one.
export function series(token: string, protocol: string, name: string): Part | null {
  const of = trajectoryOf(token)?.protocols.find((p) => p.name === protocol);
  if (!of?.classes[name]) return null;
  const wanted = state.knobs[protocol];
  const fixed = wanted !== undefined && of.settings.length > 1 ? model.settings.get(token)?.ready : null;
  if (!fixed || wanted === undefined)
    return { steps: of.steps, ...of.classes[name], coordinate: along(of.classes[name]) };
  const at = of.settings.indexOf(wanted);
  if (at < 0) return null;
  const all = fixed.protocols[protocol][name];
  return {
    steps: of.steps,
    best: of.steps.map(() => at),
    samples: all.samples[at],
    joint: all.joint[at],
    accuracy: all.accuracy[at],
    coordinate: along({ coordinate: all.coordinate[at], values: all.values?.[at] }),
  };
}

const measured = (part: Part, p: number) => part.joint[p] !== null || part.accuracy.some((of) => of[p] !== null);

// The setting whose images belong to a point of a run's series.
export function settingAt(run: Run, protocol: string, name: string, step: number): string {
  const part = series(run.token, protocol, name);
  const known = trajectoryOf(run.token)?.protocols.find((p) => p.name === protocol);
  const at = part ? part.steps.indexOf(step) : -1;
  return !part || !known || at < 0 ? "" : (known.settings[part.best[at]] ?? "");
}

// A line: one run, or the mean of the runs of one setting, under a protocol, for a class.
export type Kind = "joint" | "accuracy" | "coordinate";
const column = <T>(of: { joint: T; accuracy: T[]; coordinate: T[] }, kind: Kind, c: number): T =>
  kind === "joint" ? of.joint : of[kind][c];

export class Line {
  readonly steps: number[] = [];
  readonly at: number[][] = [];
  readonly joint: Float64Array;
  readonly coordinate: Float64Array[];
  readonly accuracy: Float64Array[];
  private readonly intervals = new Map<string, [number, number]>();

  constructor(
    readonly runs: Run[],
    readonly parts: Part[],
    readonly protocol: string,
    readonly name: string,
  ) {
    const [first, ...others] = parts;
    const shared = others.map((part) => new Map(part.steps.map((step, i) => [step, i])));
    first.steps.forEach((step, i) => {
      const places = [i, ...shared.map((map) => map.get(step))];
      if (places.every((p, j) => p !== undefined && measured(parts[j], p))) {
        this.steps.push(step);
        this.at.push(places as number[]);
      }
    });
    const collect = (read: (part: Part, p: number) => Maybe) =>
      Float64Array.from(this.at, (places) => mean(places.map((p, j) => read(parts[j], p) ?? NaN)));
    this.joint = collect((part, p) => part.joint[p]);
    this.coordinate = first.coordinate.map((_, c) => collect((part, p) => part.coordinate[c][p]));
    this.accuracy = first.accuracy.map((_, c) => collect((part, p) => part.accuracy[c][p]));
  }

  values(kind: Kind, c: number, i: number): number[] {
    return this.at[i].map((p, j) => column(this.parts[j], kind, c)[p] ?? Number.NaN);
  }

  // The value that is drawn; c: which concept, of no matter for the joint accuracy.
  value(kind: Kind, c: number, i: number): number {
    return column(this, kind, c)[i];
  }

  // 95 % interval at a checkpoint: over runs (of two, their range), or of the images of a single run; of
  // width 0 where their number is unknown.
  interval(kind: Kind, c: number, i: number): [number, number] {
    const key = `${kind}${c}:${i}`;
    let found = this.intervals.get(key);
    if (!found) {
      const values = this.values(kind, c, i);
      const samples = this.parts[0].samples[this.at[i][0]];
      found = values.length > 1 ? overRuns(values) : samples ? wilson(values[0], samples) : [values[0], values[0]];
      this.intervals.set(key, found);
    }
    return found;
  }

  index(step: number): number {
    let low = 0;
    for (let i = 0; i < this.steps.length && this.steps[i] <= step; i++) low = i;
    return low;
  }
}

let kept = new Map<string, Line | null>();
export function forget(): void {
  kept = new Map();
  outdate();
}

export const groups = perChoice(() => groupsOf(chosenRuns()));
export function groupsOf(runs: Run[], mode = state.mode): Run[][] {
  if (mode === "runs") return runs.map((run) => [run]);
  const found = new Map<string, Run[]>();
  for (const run of runs) {
    const key = run.apart ? run.token : JSON.stringify(valuesOf(run)); // what stands apart counts in no mean
    const group = found.get(key);
    if (group) group.push(run);
    else found.set(key, [run]);
  }
  return [...found.values()];
}

export function lines(protocols: string[], classes: string[], runs = chosenRuns(), mode = state.mode): Line[] {
  const found: Line[] = [];
  for (const group of runs === chosenRuns() && mode === state.mode ? groups() : groupsOf(runs, mode)) {
    const of = keyOf(group);
    for (const protocol of protocols)
      for (const name of classes) {
        const key = `${of}|${protocol}|${name}|${state.knobs[protocol] ?? ""}|${JSON.stringify(state.ends)}`;
        if (!kept.has(key)) {
          const there = group.flatMap((run) => {
            const part = series(run.token, protocol, name);
            return part ? [{ run, part }] : [];
          });
          kept.set(
            key,
            there.length
              ? new Line(
                  there.map((of) => of.run),
                  there.map((of) => of.part),
                  protocol,
                  name,
                )
              : null,
          );
        }
        const line = kept.get(key);
        if (line?.steps.length) found.push(line);
      }
  }
  return found;
}

// The lines of everything that is chosen; the same ones until another choice is made.
export const shownLines = perChoice((): Line[] =>
  lines(
    protocolNames().filter((name) => state.protocols.has(name)),
    space()
      .classes.map((c) => c.name)
      .filter((name) => state.classes.has(name)),
  ),
);

export function label(line: Line, brief = false): string {
  const who =
    line.runs.length > 1
      ? `mean of ${line.runs.length} runs${settingName(line.runs[0]) && `, ${settingName(line.runs[0])}`}`
      : line.runs[0].name;
  return brief ? who : [ofClass(line.name), line.protocol, who].filter(Boolean).join(", ");
}

// Turns are known for the axes as they were judged alone, not between other values.
export function turnOf(line: Line): Turn | null {
  if (moved()) return null;
  return model.turns.get(keyOf(line.runs))?.[line.name] ?? null;
}

// Ask for the turns of what is drawn, one after the other.
let asking = 0;
export async function loadTurns(): Promise<void> {
  const round = ++asking;
  let drawn = -PATIENCE;
  for (const group of groups()) {
    const key = keyOf(group);
    if (model.turns.has(key)) continue;
    try {
      const turns = await carrier.together(
        "turns",
        group.map((run) => run.token),
      );
      model.turns.set(key, turns ?? {});
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
