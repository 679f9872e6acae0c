// What the server answers, or the page's file holds; see the docstrings in presentation/explorer.

export type Maybe = number | null;

export interface Concept {
  name: string;
  labels: string[];
  axis: [number, number];
  asked?: boolean;
}

export interface ConceptClass {
  name: string;
  words: string;
  ood: boolean;
  image: string | null;
}

export interface Space {
  concepts: Concept[];
  classes: ConceptClass[];
}

export interface Run {
  token: string;
  name: string;
  seed: number | null;
  preset: string | null;
  status: string;
  since: number;
  version: string;
  space: number | null;
  steps: Maybe;
  values: Record<string, string | null>;
  images: boolean;
  problems: string[];
  apart: string;
  checkpoints?: number[];
}

// The images that a model made for a point of concept space.
export interface Answer {
  src: string;
  tile: number;
  columns: number;
  seconds: number;
  asked: number[];
  landed: number[][] | null;
  valid: boolean[] | null;
}

export interface Claim {
  claim: string;
  figure: string;
  effect: string;
  interval: string;
  criterion: string;
  verdict: string;
  reason?: string;
}

export interface Index {
  title?: string;
  live?: boolean;
  spaces: Space[];
  varied: string[];
  runs: Run[];
  left_out: string[];
  sweeps?: { name: string; summary: string; runs: string[] }[]; // the state of the sweeps in the folders
  ledgers: { name: string; problem?: string; rows: Claim[] }[];
  of_table?: boolean;
  threshold?: number;
  protocols?: string[];
}

// Columns of a class under a protocol; a place in a list is a checkpoint.
export interface Columns {
  best: number[];
  samples: number[];
  joint: Maybe[];
  accuracy: Maybe[][];
  coordinate: Maybe[][];
  values?: Record<string, Maybe[][]>;
}

export interface Part extends Columns {
  steps: number[];
}

export interface Emergence {
  class: string;
  protocol: string;
  concept: string;
  lower: number;
  upper: Maybe;
  last: number;
}

export interface Protocol {
  name: string;
  settings: string[];
  steps: number[];
  classes: Record<string, Columns>;
}

export interface Trajectory {
  protocols: Protocol[];
  emergence?: Emergence[];
  problems?: string[];
  notes?: string[];
}

// Like Columns, with every setting of the protocol.
export interface Swept {
  joint: Maybe[][];
  samples: number[][];
  accuracy: Maybe[][][];
  coordinate: Maybe[][][];
  values?: Record<string, Maybe[][]>[];
}

export interface Settings {
  protocols: Record<string, Record<string, Swept>>;
}

// Scores of the images in a row of a sheet, one value an image.
export interface RowScores {
  joint: Maybe[];
  accuracy: Maybe[][];
  valid?: Maybe[];
}

export interface Sheet {
  src: string;
  tile: number;
  columns: number;
  rows: [string, string][];
  scores?: (RowScores | null)[];
}

export type Log = Record<string, Maybe[]> & { step: number[] };

export interface Details {
  training: Log | Record<string, never>;
  sheets?: Record<string, Record<string, Sheet>>;
  toml?: string;
  provenance?: Record<string, string>;
  notes?: string[];
  problems?: string[];
  figures?: { name: string; src: string }[];
}

export interface Turn {
  detected: boolean;
  step: number;
  low: number;
  high: number;
  text: string;
}

export type Turns = Record<string, Turn>;

export interface Finding {
  topic: string;
  group: string;
  text: string;
  figure?: string;
}

export interface Way {
  name: string;
  kind: "naive" | "way" | "control";
  seeds: Record<string, Maybe[]>;
}

export interface Judged {
  class: string;
  images: number;
  steps: number[];
  ways: Way[];
  windows: { seed: number; first: number; last: number; way: string }[];
}

export interface Findings {
  problems?: string[];
  findings: Finding[];
  groups: { name: string; runs: string[]; judged: Judged[] }[];
}

export interface Figure {
  name: string;
  src: string;
  width: number;
}

// What stands in the page: nothing but, perhaps, figures where there is a server.
export interface Payload {
  index?: Index;
  trajectory?: Record<string, Trajectory>;
  settings?: Record<string, Settings>;
  details?: Record<string, Details>;
  turns?: Record<string, Turns>;
  findings?: Record<string, Findings>;
  images?: string[];
  images_shown?: number;
  images_generated?: number;
  table?: string;
  figures?: Figure[];
  ask?: boolean;
}
