// The settings of the runs side by side: an axis for each, a line for each combination. Brushing an
// axis lists the runs within.

import { byId, context, counted, make, words } from "./dom";
import { model, runsHere, settled, variedInAll } from "./model";
import { change, state, subscribe } from "./store";
import type { Run } from "./types";

export interface Axis {
  name: string;
  values: string[];
}

const HEIGHT = 240;
const MARGIN = { top: 30, bottom: 16, side: 70 };
const MOST_VALUES = 60;
const NEAR = 4; // pixels that a click may move
const order = new Intl.Collator("en", { numeric: true }).compare;

// The value of a setting of a run, or its seed.
export const valueText = (run: Run, name: string): string =>
  name === "seed" ? String(run.seed) : (run.values[name] ?? "–");

// Settings that vary, and the seed; what has too many values to be distinguishable is left out.
export function axesOf(runs: Run[], varied: string[]): Axis[] {
  return [...varied, "seed"]
    .map((name) => ({ name, values: [...new Set(runs.map((run) => valueText(run, name)))].sort(rising) }))
    .filter(({ values }) => values.length > 1 && values.length <= MOST_VALUES);
}

export const within = (run: Run, brushes: Record<string, string[]>): boolean =>
  Object.entries(brushes).every(([name, values]) => values.includes(valueText(run, name)));

function rising(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? order(a, b) : x - y;
}

const y = (axis: Axis, value: string): number =>
  MARGIN.top + ((HEIGHT - MARGIN.top - MARGIN.bottom) * axis.values.indexOf(value)) / (axis.values.length - 1);
const x = (k: number, axes: Axis[], width: number): number =>
  MARGIN.side + ((width - 2 * MARGIN.side) * k) / Math.max(1, axes.length - 1);

let canvas: HTMLCanvasElement;
let axes: Axis[] = [];
let drag: { axis: number; from: number; to: number } | null = null;

function draw() {
  const box = byId<HTMLDetailsElement>("settings-box");
  const runs = settled() ? runsHere() : [];
  axes = axesOf(runs, settled() ? variedInAll() : []);
  box.hidden = axes.length < 2;
  if (box.hidden || !box.open) return;
  const width = byId("settings-lines").clientWidth;
  const ratio = devicePixelRatio;
  [canvas.width, canvas.height] = [width * ratio, HEIGHT * ratio];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  const inside = runs.filter((run) => within(run, state.brushes));
  canvas.setAttribute(
    "aria-label",
    `${counted(axes.length, "setting")} side by side; ${inside.length} of ${counted(runs.length, "run")} within what is brushed. The filter above does the same by text.`,
  );
  const paper = context(canvas);
  paper.scale(ratio, ratio);
  const css = getComputedStyle(document.documentElement);
  const color = (name: string) => css.getPropertyValue(name).trim();
  lines(paper, combinations(runs), width, color("--line"), 1);
  lines(paper, combinations(inside), width, color("--accent"), 0.5);
  frame(paper, width, color);
}

// Each combination of values once.
function combinations(runs: Run[]): string[][] {
  const found = new Map<string, string[]>();
  for (const run of runs) {
    const values = axes.map((axis) => valueText(run, axis.name));
    found.set(values.join("\u0000"), values);
  }
  return [...found.values()];
}

function lines(paper: CanvasRenderingContext2D, found: string[][], width: number, color: string, alpha: number): void {
  paper.strokeStyle = color;
  paper.globalAlpha = alpha;
  paper.beginPath();
  for (const values of found)
    axes.forEach((axis, k) => {
      const at: [number, number] = [x(k, axes, width), y(axis, values[k])];
      if (k) paper.lineTo(...at);
      else paper.moveTo(...at);
    });
  paper.stroke();
  paper.globalAlpha = 1;
}

function frame(paper: CanvasRenderingContext2D, width: number, color: (name: string) => string): void {
  paper.font = "12px system-ui, sans-serif";
  paper.textAlign = "center";
  axes.forEach((axis, k) => {
    const at = x(k, axes, width);
    paper.strokeStyle = color("--edge");
    paper.strokeRect(at, MARGIN.top, 0, HEIGHT - MARGIN.top - MARGIN.bottom);
    paper.fillStyle = color("--ink");
    paper.fillText(words(axis.name), at, 14, width / axes.length);
    const every = Math.ceil(axis.values.length / 12);
    paper.textAlign = "left";
    paper.fillStyle = color("--quiet");
    axis.values.forEach((value, i) => {
      if (i % every === 0) paper.fillText(value, at + 6, y(axis, value) + 4, MARGIN.side - 8);
    });
    paper.textAlign = "center";
    const brush = state.brushes[axis.name];
    const ends = drag?.axis === k ? [drag.from, drag.to] : brush?.map((value) => y(axis, value));
    if (!ends?.length) return;
    paper.fillStyle = color("--accent");
    paper.globalAlpha = 0.25;
    const [low, high] = [Math.min(...ends) - 5, Math.max(...ends) + 5];
    paper.fillRect(at - 9, low, 18, high - low);
    paper.globalAlpha = 1;
  });
}

function place(event: PointerEvent): [axis: number, height: number] {
  const box = canvas.getBoundingClientRect();
  const at = event.clientX - box.left;
  const distances = axes.map((_, k) => Math.abs(x(k, axes, box.width) - at));
  return [distances.indexOf(Math.min(...distances)), event.clientY - box.top];
}

// A click takes a brush away; a drag that meets no value does, too.
function release() {
  if (!drag) return;
  const { axis, from, to } = drag;
  drag = null;
  const { name, values } = axes[axis];
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  const found = high - low < NEAR ? [] : values.filter((v) => y(axes[axis], v) >= low && y(axes[axis], v) <= high);
  const { [name]: _, ...others } = state.brushes;
  change({ brushes: found.length ? { ...others, [name]: found } : others });
}

export function startParallel() {
  canvas = make("canvas", { role: "img" });
  byId("settings-lines").append(canvas);
  byId("settings-box").addEventListener("toggle", draw);
  canvas.onpointerdown = (event) => {
    const [axis, height] = place(event);
    if (axis < 0) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { axis, from: height, to: height };
  };
  canvas.onpointermove = (event) => {
    if (!drag) return;
    drag.to = place(event)[1];
    draw();
  };
  canvas.onpointerup = release;
  canvas.onpointercancel = release;
  window.addEventListener("resize", draw);
  subscribe(["index", "space", "brushes", "theme"], () => {
    const names = new Set(["seed", ...model.index.varied]);
    if (Object.keys(state.brushes).some((name) => !names.has(name))) change({ brushes: {} });
    draw();
  });
}
