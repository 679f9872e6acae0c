// Trajectories in concept space, flat or as a cube.

import { greatest, least } from "d3-array";
import { scaleLinear } from "d3-scale";
import { select as d3select } from "d3-selection";
import { zoom as d3zoom, zoomIdentity } from "d3-zoom";
import { axisLabel, axisName, lastStep, onAxes, valueAt } from "./axis";
import { axes, Chart, ofLines, type Ref } from "./chart";
import { byArrow } from "./clock";
import { coloring, colorKey } from "./coloring";
import { byId, thousands } from "./dom";
import { legend } from "./legend";
import { endsOf, type Line, lone, protocolNames, shownLines, space, tabular, turnOf } from "./model";
import { classColor, DASHES, ink } from "./palette";
import { CORNERS, EDGES, Projection } from "./projection";
import { CHOICE, change, state, subscribe, touch } from "./store";
import type { Spot, Surface } from "./surface";

// Draws nothing: for the layout alone.
const NO_DRAWING: Surface = { line() {}, area() {}, dots() {}, rect() {}, text() {}, image() {}, part() {}, clip() {} };
const MANY_POINTS = 5000;
const MANY_LINES = 60;
export const projection = new Projection();
let zoomed = zoomIdentity;
let chart: Chart<Ref>;
const thumbs = new Map<string, HTMLImageElement>();

export const plot = (): Chart<Ref> => chart;

export function thumbnail(name: string): HTMLImageElement | null {
  const of = space().classes.find((c) => c.name === name);
  if (!of?.image) return null;
  if (!thumbs.has(of.image)) {
    const image = new Image();
    image.onload = () => touch("theme"); // every drawing anew
    image.src = of.image;
    thumbs.set(of.image, image);
  }
  return thumbs.get(of.image) ?? null;
}

const corner = (bits: number[]) =>
  space()
    .concepts.map((concept, c) => {
      const at = state.axes.indexOf(c);
      return concept.asked ? "?" : endsOf(c)[at >= 0 && at < bits.length ? bits[at] : 0];
    })
    .join(""); // "?": no class stands in a corner

interface Stage {
  clip: [number, number, number, number];
  place: (p: number[]) => Spot;
  color: ReturnType<typeof ink>;
}

function frame(surface: Surface, width: number, height: number): Stage {
  const color = ink();
  const flat = state.axes[0] >= 0 && state.axes[1] >= 0;
  const small = width < 520;
  const thumb = flat && !tabular() ? (small ? 34 : 60) : 0;
  const pad = {
    left: Math.max(54, thumb + 18),
    right: flat ? thumb + 14 : 24,
    top: flat ? thumb + 10 : 20,
    bottom: Math.max(46, thumb + 14),
  };
  let [w, h] = [width - pad.left - pad.right, height - pad.top - pad.bottom];
  if (flat) [w, h] = [Math.min(w, h), Math.min(w, h)];
  const left = pad.left + (width - pad.left - pad.right - w) / 2;
  const top = pad.top;
  const margin = state.axes[0] < 0 ? 0.01 : 0.025;
  const x = zoomed.rescaleX(scaleLinear([-margin, 1 + margin], [left, left + w]));
  const y = zoomed.rescaleY(scaleLinear([-0.025, 1.025], [top + h, top]));
  const steps = (value: number) => thousands(value * lastStep());
  axes(surface, {
    x,
    y,
    xTicks: small ? 4 : 5,
    xLabel: axisLabel(state.axes[0]),
    yLabel: axisLabel(state.axes[1]),
    xFormat: state.axes[0] < 0 ? steps : null,
    yFormat: state.axes[1] < 0 ? steps : null,
  });
  if (flat && !lone()) {
    for (const [bx, by] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]) {
      const name = corner([bx, by]);
      const of = space().classes.find((c) => c.name === name);
      if (!of) continue;
      const tx = bx ? left + w + 6 : left - 6 - thumb;
      const ty = by ? top - 4 - thumb : top + h + 8;
      surface.image(thumbnail(name), tx, ty, thumb, thumb);
      surface.rect(tx, ty, thumb, thumb, { stroke: classColor(space(), name), line: 2 });
      const text = small ? name : `${name} ${of.words}`;
      surface.text(bx ? tx - 6 : tx + thumb + 6, by ? ty + 13 : ty + thumb - 2, text, {
        color: classColor(space(), name),
        size: 12,
        bold: true,
        anchor: bx ? "end" : "start",
      });
    }
  }
  return { clip: [left, top, w, h], place: (p) => [x(p[0]), y(p[1])], color };
}

function cube(surface: Surface, width: number, height: number): Stage {
  const color = ink();
  const at = CORNERS.map((c) => projection.place(c, width, height));
  const back = at.reduce((far, p, i) => (p[2] > at[far][2] ? i : far), 0);
  for (const [i, j] of EDGES)
    surface.line([at[i], at[j]], { color: i === back || j === back ? color.line : color.edge, width: 1 });
  state.axes.forEach((axis, k) => {
    const middles = CORNERS.filter((c) => c[k] === 0).map((c) =>
      projection.place(
        c.map((v, j) => (j === k ? 0.5 : v)),
        width,
        height,
      ),
    );
    const [px, py] = (k === 2 ? least(middles, (p) => p[0]) : greatest(middles, (p) => p[1])) ?? [0, 0];
    const text = axis < 0 ? `step: 0 → ${thousands(lastStep())}` : axisLabel(axis);
    const half = text.length * 3.3;
    const x = k === 2 ? Math.max(half + 2, px - half - 10) : Math.max(half + 2, Math.min(width - half - 2, px));
    surface.text(x, k === 2 ? py : Math.min(height - 4, py + 34), text, {
      color: color.ink,
      size: 12,
      anchor: "middle",
      halo: color.paper,
    });
  });
  if (state.axes.every((axis) => axis >= 0)) {
    CORNERS.forEach((bits, i) => {
      const name = corner(bits);
      const [px, py] = at[i];
      if (!space().classes.some((c) => c.name === name)) return;
      surface.image(thumbnail(name), px - 15, py - 15, 30, 30);
      surface.rect(px - 15, py - 15, 30, 30, { stroke: classColor(space(), name), line: 1.5 });
      surface.text(px, py + 28, name, {
        color: classColor(space(), name),
        size: 11,
        bold: true,
        anchor: "middle",
        halo: color.paper,
      });
    });
  } else {
    for (const bits of [
      [0, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
      [1, 1, 0],
    ]) {
      const named = bits.slice(0, 2);
      const name = corner(named);
      const [px, py] = projection.place(bits, width, height);
      if (state.axes[2] < 0 && space().classes.some((c) => c.name === name))
        surface.text(px, py + 16, name, {
          color: classColor(space(), name),
          size: 12,
          bold: true,
          anchor: "middle",
          halo: color.paper,
        });
    }
  }
  return { clip: [0, 0, width, height], place: (p) => projection.place(p, width, height), color };
}

const setUp = (surface: Surface, width: number, height: number) =>
  (state.dims === 3 ? cube : frame)(surface, width, height);

function draw(surface: Surface, width: number, height: number): () => ReturnType<typeof ofLines> {
  const { clip, place, color } = setUp(surface, width, height);
  const all = shownLines().filter(onAxes);
  const paint = coloring();
  const drawn: [Line, Spot[]][] = [];
  const names = protocolNames();
  const points = all.reduce((sum, line) => sum + line.steps.length, 0);
  const many = all.length > MANY_LINES;
  surface.clip(...clip, () => {
    for (const line of all) {
      const spots = line.steps.map((_, i) =>
        place(state.axes.slice(0, state.dims).map((axis) => valueAt(line, i, axis))),
      );
      const now = line.index(state.step ?? 0);
      const tint = paint.of(line);
      const dash =
        colorKey() === "protocol" || state.protocols.size < 2
          ? []
          : DASHES[names.indexOf(line.protocol) % DASHES.length];
      if (!many) surface.line(spots, { color: tint, width: 1, alpha: 0.3, dash });
      surface.line(spots.slice(0, now + 1), { color: tint, width: many ? 0.9 : 2, alpha: many ? 0.6 : 1, dash });
      if (points < MANY_POINTS) {
        surface.dots(spots.slice(0, now + 1), many ? 1.4 : 2.7, { color: tint });
        surface.dots(spots.slice(now + 1), many ? 1 : 2, { color: tint, alpha: 0.4 });
        surface.dots(spots.slice(0, 1), 4.5, { color: color.paper, stroke: tint });
      }
      const turn = turnOf(line);
      if (turn?.detected && line.protocol === "naive") {
        const [sx, sy] = spots[line.index(turn.step)];
        const shape = star(sx, sy, many ? 6 : 11);
        surface.area(shape, { color: color.band, alpha: 1 });
        surface.line([...shape, shape[0]], { color: color.ink, width: 1 });
      }
      drawn.push([line, spots]);
    }
    present(surface, all, paint, place, color);
  });
  byId("plot").dataset.lines = String(all.length);
  return () => ofLines(drawn);
}

// Where every line stands now, with its interval.
function present(
  surface: Surface,
  all: Line[],
  paint: ReturnType<typeof coloring>,
  place: Stage["place"],
  color: Stage["color"],
): void {
  const used = state.axes.slice(0, state.dims);
  for (const line of all) {
    const i = line.index(state.step ?? 0);
    const tint = paint.of(line);
    const spot = used.map((axis) => valueAt(line, i, axis));
    const at = place(spot);
    if (all.length <= MANY_LINES) {
      used.forEach((axis, k) => {
        if (axis < 0) return;
        const ends = line
          .interval("coordinate", axis, i)
          .map((value) => place(spot.map((v, j) => (j === k ? value : v))));
        surface.line(ends, { color: tint, width: 1.4, alpha: 0.8 });
      });
      if (state.dims === 3)
        surface.line([at, place([spot[0], spot[1], 0])], { color: tint, width: 0.8, alpha: 0.5, dash: [2, 3] });
    }
    surface.dots([at], all.length > MANY_LINES ? 2.4 : 6, {
      color: tint,
      stroke: all.length > MANY_LINES ? null : color.paper,
    });
  }
}

// A ring around what is looked at.
function over(surface: Surface, width: number, height: number): void {
  const { clip, place, color } = setUp(NO_DRAWING, width, height);
  const looked = focused();
  if (!looked) return;
  const spot = state.axes.slice(0, state.dims).map((axis) => valueAt(looked.line, looked.i, axis));
  surface.clip(...clip, () => surface.dots([place(spot)], 10, { color: null, stroke: color.ink, width: 2 }));
}

function star(x: number, y: number, radius: number): Spot[] {
  return Array.from({ length: 10 }, (_, k) => {
    const r = k % 2 ? radius * 0.45 : radius;
    const a = (k * Math.PI) / 5 - Math.PI / 2;
    return [x + r * Math.cos(a), y + r * Math.sin(a)];
  });
}

// The line and checkpoint that is looked at; at first the held-out class at the present step.
export function focused(): Ref | null {
  const all = shownLines();
  const focus = state.focus;
  let line =
    focus &&
    all.find(
      (l) => l.protocol === focus.protocol && l.name === focus.name && l.runs.some((run) => run.token === focus.token),
    );
  line ??= focus && all.find((l) => l.name === focus.name);
  line ??= all.find((l) => space().classes.find((c) => c.name === l.name)?.ood) ?? all[0];
  return line ? { line, i: line.index(focus?.step ?? state.step ?? 0) } : null;
}

export function lookAt(line: Line, step: number | null = null): void {
  change({ focus: { token: line.runs[0].token, protocol: line.protocol, name: line.name, step } });
}

const ROUND: Record<string, [number, number]> = {
  ArrowLeft: [-0.12, 0],
  ArrowRight: [0.12, 0],
  ArrowUp: [0, 0.12],
  ArrowDown: [0, -0.12],
};
const LINE: Record<string, number> = { ArrowUp: 1, ArrowDown: -1 };
const CLOSER: Record<string, number> = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 0 };

function keys(event: KeyboardEvent): boolean {
  const all = shownLines();
  const now = focused();
  const by = LINE[event.key];
  if (event.shiftKey && state.dims === 3 && event.key in ROUND) {
    projection.turn(...ROUND[event.key]);
    chart.refresh();
    return true;
  }
  if (by && now) {
    lookAt(all[(all.indexOf(now.line) + by + all.length) % all.length]);
    return true;
  }
  if (event.key in CLOSER) {
    zoomBy(CLOSER[event.key]);
    return true;
  }
  return byArrow(event);
}

// 0: back to the whole.
function zoomBy(factor: number): void {
  if (state.dims === 3) {
    projection.zoom = factor ? Math.max(0.4, Math.min(6, projection.zoom * factor)) : 1;
    chart.refresh();
  } else if (factor) {
    d3select<HTMLElement, unknown>(chart.pad).call(zoom.scaleBy, factor);
  } else {
    d3select<HTMLElement, unknown>(chart.pad).call(zoom.transform, zoomIdentity);
  }
}

// The wheel belongs to the page until the plot has been clicked, one finger to scrolling.
const zoom = d3zoom<HTMLElement, unknown>()
  .scaleExtent([1, 40])
  .filter((event) => {
    if (event.type === "wheel") return event.ctrlKey || document.activeElement === chart.pad;
    if (event.touches) return event.touches.length > 1;
    return state.dims === 2 && zoomed.k > 1 && !event.button;
  })
  .on("zoom", (event) => {
    if (state.dims === 3) projection.zoom = event.transform.k;
    else zoomed = event.transform;
    chart.refresh();
  });

export function startSpace(): void {
  chart = new Chart(byId("plot"), {
    name: "concept-space",
    draw,
    over,
    keys,
    label: () =>
      `Trajectories in concept space: ${state.axes.slice(0, state.dims).map(axisName).join(", ")}; ${shownLines().length} lines at step ${thousands(state.step ?? 0)}. ${byId("help").textContent}`,
    hover: (ref, event) => {
      if (event.type === "pointerdown") change({ step: ref.line.steps[ref.i], playing: false });
      else if (state.playing) return;
      lookAt(ref.line, event.type === "pointerdown" ? null : ref.line.steps[ref.i]);
    },
  });
  d3select<HTMLElement, unknown>(chart.pad)
    .call(zoom)
    .on("dblclick.zoom", () => zoomBy(0));
  let held: [number, number] | null = null;
  chart.pad.addEventListener("pointerdown", (event) => {
    held = state.dims === 3 && event.isPrimary ? [event.clientX, event.clientY] : null;
  });
  window.addEventListener("pointerup", () => {
    held = null;
    chart.dragging = false;
  });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    chart.dragging = true;
    projection.turn((held[0] - event.clientX) / 160, (event.clientY - held[1]) / 160);
    held = [event.clientX, event.clientY];
    chart.refresh();
  });
  subscribe([...CHOICE, "data", "turns", "step", "dims", "axes", "ends", "theme"], () => {
    byId("plot").style.touchAction = state.dims === 3 ? "none" : "";
    chart.refresh();
    legend();
  });
  subscribe(["focus"], () => chart.refreshTop());
}
