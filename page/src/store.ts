// What the reader has chosen. Views subscribe; they hear once of all changes in one frame.

export interface Focus {
  token: string;
  protocol: string;
  name: string;
  step: number | null;
}

// An image that is looked at: a place in a contact sheet.
export interface Look {
  token: string;
  protocol: string;
  setting: string;
  name: string;
  step: number;
  column: number;
}

export const state = {
  space: 0,
  chosen: new Set<string>(),
  known: new Set<string>(),
  classes: new Set<string>(),
  protocols: new Set(["naive"]),
  hiddenSeeds: new Set<string>(),
  mode: "mean",
  color: "auto",
  dims: 2,
  axes: [0, 1, -1],
  ends: {} as Record<number, [number, number]>,
  knobs: {} as Record<string, string>, // of a protocol its setting; the best of each step where there is none
  only: {} as Record<string, string>, // of a setting of the runs the value that is shown
  brushes: {} as Record<string, string[]>, // of a setting the values whose runs are listed
  order: "made",
  look: null as Look | null,
  ask: [] as number[],
  step: null as number | null,
  playing: false,
  last: null as number | null,
  focus: null as Focus | null,
  facet: "",
  compareClass: "",
  findings: "",
  group: "",
  narrow: false,
};

export type Key = keyof typeof state | "data" | "index" | "loaded" | "turns" | "theme";
type Listener = (keys: Set<Key>) => void;

// These do not change which lines there are.
const FLEETING = new Set<Key>([
  "focus",
  "step",
  "playing",
  "turns",
  "theme",
  "findings",
  "group",
  "narrow",
  "look",
  "ask",
  "order",
  "brushes",
]);
const listeners: [Set<Key>, Listener][] = [];
let waiting: Set<Key> | null = null;
let choices = 0;

// Something that follows from the choice: computed once for each choice, because every line needs it.
export function perChoice<T>(read: () => T): () => T {
  let kept: { choice: number; value: T } | null = null;
  return () => {
    if (kept?.choice !== choices) kept = { choice: choices, value: read() };
    return kept.value;
  };
}

// Runs or their data have changed: what was computed from them is out of date.
export function outdate(): void {
  choices++;
}

// What decides which lines are drawn: every view of them follows it.
export const CHOICE: Key[] = [
  "chosen",
  "classes",
  "protocols",
  "hiddenSeeds",
  "mode",
  "color",
  "knobs",
  "only",
  "space",
];

export function subscribe(keys: Key[], listener: Listener): void {
  listeners.push([new Set(keys), listener]);
}

export function change(patch: Partial<typeof state>): void {
  Object.assign(state, patch);
  touch(...(Object.keys(patch) as Key[]));
}

export function touch(...keys: Key[]): void {
  if (keys.some((key) => !FLEETING.has(key))) outdate();
  if (waiting) {
    for (const key of keys) waiting.add(key);
    return;
  }
  waiting = new Set(keys);
  requestAnimationFrame(flush);
}

export function flush(): void {
  if (!waiting) return;
  const keys = waiting;
  waiting = null;
  for (const [wanted, listener] of listeners) {
    if ([...keys].some((key) => wanted.has(key))) listener(keys);
  }
}
