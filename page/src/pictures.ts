// The pictures of the verdict and of the chain of evidence. Each draws the numbers of its sentence:
// where there is a verdict, accuracies by the judge, with settings chosen on other images.

import { greatest, max, median, range, rollups } from "d3-array";
import { scaleLinear } from "d3-scale";
import { axisLabel } from "./axis";
import { axes, type Scale } from "./chart";
import { counted, digits, thousands } from "./dom";
import { brief, type EndLabel, type Ends, endLabels } from "./labels";
import { isControl, type Line, lines, protocolNames, space, threshold, trajectoryOf, turnOf } from "./model";
import { apart, classColor, ink } from "./palette";

import { mean } from "./stats";
import type { Spot, Surface } from "./surface";
import type { Strip } from "./tiles";
import type { Judged, Maybe, Run, Way } from "./types";

const LEFT = 40;
const RIGHT = 112;
const TOP = 16;
const BOTTOM = 34;
const IDLE = 0.6;

// What the pictures are of: some runs, their held-out class, the numbers behind a verdict, some images.
export interface Subject {
  runs: Run[];
  ood: string;
  judged: Judged | null;
  shown: { step: number; found: Strip }[];
}

interface Plane {
  x: Scale;
  y: Scale;
  ends: Ends;
}

// Axes for accuracies against steps; returns where a step and a value lie.
function plane(surface: Surface, width: number, bottom: number, last: number | undefined, yLabel: string): Plane {
  const x = scaleLinear([0, last || 1], [LEFT + 12, width - RIGHT]);
  const y = scaleLinear([0, 1.02], [bottom, TOP]);
  axes(surface, { x, y, xTicks: 3, yTicks: 3, xLabel: "step", yLabel });
  return { x, y, ends: { x: x.range()[1], top: TOP, bottom } };
}

const level = (surface: Surface, { x, y }: Plane, at: number, color: string) =>
  surface.line(
    [
      [x.range()[0], y(at)],
      [x.range()[1], y(at)],
    ],
    { color, dash: [4, 3], width: 1 },
  );
const path = (steps: number[], values: ArrayLike<Maybe>, { x, y }: Plane) =>
  steps.flatMap((step, i): Spot[] => {
    const value = values[i];
    return value !== null && Number.isFinite(value) ? [[x(step), y(value)]] : [];
  });
// The mean over seeds, or over some of them.
const means = (way: Way, some?: Set<string>): Maybe[] => {
  const all = Object.entries(way.seeds).flatMap(([seed, of]) => (!some || some.has(seed) ? [of] : []));
  return all[0].map((_, i) => {
    const there = all.map((of) => of[i]).filter((v) => v !== null);
    return there.length ? mean(there) : null;
  });
};
const protocolColor = (name: string) =>
  isControl(name) ? ink().quiet : apart(Math.max(0, protocolNames().indexOf(name)));
const last = (values: ArrayLike<Maybe>): Maybe => Array.from(values).findLast((v) => v !== null) ?? null;

// The window of the seeds that have one: medians, as in the sentence.
export function windowOf(judged: Judged): [number, number] | null {
  const from = median(judged.windows, (w) => w.first);
  const to = median(judged.windows, (w) => w.last);
  return from === undefined || to === undefined ? null : [from, to];
}

function chosenWays(judged: Judged, kind: string): Way[] {
  const others = judged.ways.filter((way) => way.kind === "way");
  const controls = judged.ways.filter((way) => way.kind === "control");
  const best =
    rollups(
      judged.windows,
      (of) => of.length,
      (w) => w.way,
    ).sort((a, b) => b[1] - a[1])[0]?.[0] ?? greatest(others, (way) => max(means(way), (v) => v ?? 0) ?? 0)?.name;
  const gate = controls.filter((way) => !way.name.endsWith("scaling"));
  if (kind === "verdict") return [...others.filter((way) => way.name === best), ...gate];
  return kind === "controls" ? controls : others;
}

const naiveOf = (judged: Judged): Way[] => judged.ways.filter((way) => way.kind === "naive");

// The seeds that the verdict's numbers are of: those with a window, where some have one.
const seedsOf = (judged: Judged): Set<string> | undefined =>
  judged.windows.length ? new Set(judged.windows.map((w) => String(w.seed))) : undefined;

// Naive prompting and some other ways: the mean, of the verdict over the seeds that show it, and of the
// verdict a thin line for each seed; the window is shaded.
export function ways(surface: Surface, width: number, height: number, judged: Judged, kind: string): void {
  const color = ink();
  const bottom = height - BOTTOM - 13; // a line of text stands below
  const at = plane(surface, width, bottom, judged.steps.at(-1), "joint accuracy");
  const span = windowOf(judged);
  if (span && kind !== "controls") {
    surface.rect(at.x(span[0]), TOP, Math.max(2, at.x(span[1]) - at.x(span[0])), bottom - TOP, {
      fill: color.band,
      alpha: 0.2,
    });
    surface.text((at.x(span[0]) + at.x(span[1])) / 2, TOP - 4, "hidden", {
      color: color.turn,
      size: 11,
      anchor: "middle",
      bold: true,
    });
  }
  level(surface, at, kind === "controls" ? IDLE : threshold(), color.quiet);
  const drawn = [...naiveOf(judged), ...chosenWays(judged, kind)];
  const some = kind === "verdict" ? seedsOf(judged) : undefined;
  const labels: EndLabel[] = [];
  for (const way of drawn) {
    const tint = protocolColor(way.name);
    const dash = way.kind === "control" && way.name.endsWith("scaling") ? [6, 3] : []; // as in figures
    const all = Object.values(way.seeds);
    const average = means(way, some);
    if (all.length > 1 && kind === "verdict")
      for (const of of all) surface.line(path(judged.steps, of, at), { color: tint, width: 0.7, alpha: 0.3, dash });
    surface.line(path(judged.steps, average, at), { color: tint, width: 2.2, dash });
    labels.push({ y: at.y(last(average) ?? Number.NaN), text: brief(way.name), color: tint });
  }
  endLabels(surface, labels, at.ends);
  const count = Object.keys(drawn[0].seeds).length;
  const thick = some && some.size < count ? `; thick: the ${some.size} that show it` : "";
  surface.text(width - 4, height - 4, `n = ${counted(count, "seed")}, ${judged.images} images each${thick}`, {
    color: color.quiet,
    size: 10.5,
    anchor: "end",
  });
}

// Where each line of the picture ends, in words.
export const finalAccuracies = (judged: Judged, kind: string): string =>
  [...naiveOf(judged), ...chosenWays(judged, kind)]
    .map((way) => `${way.name} ends at ${digits(last(means(way, kind === "verdict" ? seedsOf(judged) : undefined)))}`)
    .join(", ");

// The accuracy of each concept of the held-out class, asked plainly.
export function concepts(surface: Surface, width: number, height: number, { runs, ood }: Subject): void {
  const color = ink();
  const seeds = lines(["naive"], [ood], runs, "runs");
  const [average] = lines(["naive"], [ood], runs, "mean");
  if (!average) return;
  const at = plane(surface, width, height - BOTTOM, average.steps.at(-1), "accuracy");
  level(surface, at, threshold(), color.quiet);
  const labels = space().concepts.map((concept, c) => {
    if (seeds.length > 1)
      for (const line of seeds)
        surface.line(path(line.steps, line.accuracy[c], at), { color: apart(c), width: 0.7, alpha: 0.3 });
    surface.line(path(average.steps, average.accuracy[c], at), { color: apart(c), width: 2.2 });
    return { y: at.y(average.accuracy[c].at(-1) ?? Number.NaN), text: concept.name, color: apart(c) };
  });
  endLabels(surface, labels, at.ends);
}

// When plain prompting succeeds: one line for each seed, a dot where it has emerged.
export function naive(surface: Surface, width: number, height: number, { runs, ood, judged }: Subject): void {
  const color = ink();
  const [plain] = judged ? naiveOf(judged) : [];
  const all: [number[], ArrayLike<Maybe>][] =
    judged && plain
      ? Object.values(plain.seeds).map((values) => [judged.steps, values])
      : lines(["naive"], [ood], runs, "runs").map((line) => [line.steps, line.joint]);
  if (!all.length) return;
  const at = plane(
    surface,
    width,
    height - BOTTOM,
    max(all, ([steps]) => steps.at(-1) ?? 0),
    "joint accuracy",
  );
  const tint = protocolColor("naive");
  level(surface, at, threshold(), color.quiet);
  for (const [steps, values] of all)
    surface.line(path(steps, values, at), {
      color: tint,
      width: all.length > 1 ? 1.1 : 2.2,
      alpha: all.length > 1 ? 0.7 : 1,
    });
  for (const line of lines(["naive"], [ood], runs, "runs")) {
    const arrived = trajectoryOf(line.runs[0].token)?.emergence?.find(
      (e) => e.protocol === "naive" && e.class === ood && e.concept === "joint",
    )?.upper;
    if (typeof arrived === "number")
      surface.dots([[at.x(arrived), at.y(line.joint[line.index(arrived)])]], 3.5, { color: tint, stroke: color.paper });
  }
  endLabels(
    surface,
    [
      {
        y: at.y(mean(all.map(([, values]) => last(values) ?? 0))),
        text: `naive${all.length > 1 ? `, ${all.length} seeds` : ""}`,
        color: tint,
      },
    ],
    at.ends,
  );
}

interface Square {
  average: Line;
  spots: (line: Line) => Spot[];
}

// A square of the first two concepts for the held-out class.
function square(surface: Surface, width: number, height: number, { runs, ood }: Subject): Square | null {
  const [average] = lines(["naive"], [ood], runs, "mean");
  const here = space().concepts;
  if (!average || here.length < 2) return null;
  const side = Math.min(width - 70, height - BOTTOM - TOP);
  const left = 58;
  const x = scaleLinear([-0.03, 1.03], [left, left + side]);
  const y = scaleLinear([-0.03, 1.03], [TOP + side, TOP]);
  axes(surface, { x, y, xTicks: 3, yTicks: 3, xLabel: axisLabel(0), yLabel: here[1].name });
  return {
    average,
    spots: (line) => line.steps.map((_, i): Spot => [x(line.coordinate[0][i]), y(line.coordinate[1][i])]),
  };
}

// The trajectories of all classes in concept space: which training class the held-out one passes.
export function amongClasses(surface: Surface, width: number, height: number, of: Subject): void {
  const plane = square(surface, width, height, of);
  if (!plane) return;
  const color = ink();
  const ends: { name: string; tint: string; spot: Spot }[] = [];
  for (const { name, ood } of space().classes) {
    const tint = classColor(space(), name);
    const [line] = lines(["naive"], [name], of.runs, "mean");
    if (!line) continue;
    const spots = plane.spots(line);
    surface.line(spots, { color: tint, width: ood ? 2.2 : 1.4 });
    surface.dots(spots.slice(-1), ood ? 4 : 3, { color: tint });
    ends.push({ name, tint, spot: spots[spots.length - 1] });
  }
  const taken: Box[] = ends.map(({ spot: [x, y] }) => [x - 5, y - 5, x + 5, y + 5]);
  for (const { name, tint, spot } of ends) {
    const boxes = BESIDE.map((place) => boxOf(spot, place, name.length * 7));
    const free = boxes.findIndex((box) => !taken.some((other) => overlap(box, other)));
    const at = Math.max(0, free);
    const [dx, dy, anchor] = BESIDE[at];
    taken.push(boxes[at]);
    surface.text(spot[0] + dx, spot[1] + dy, name, { color: tint, size: 11, bold: true, halo: color.paper, anchor });
  }
}

// Where a name may stand beside its mark: to the right or left, below or above.
const BESIDE: [number, number, "start" | "end" | "middle"][] = [
  [7, 4, "start"],
  [-7, 4, "end"],
  [0, 17, "middle"],
  [0, -8, "middle"],
];
type Box = [number, number, number, number];
function boxOf([x, y]: Spot, [dx, dy, anchor]: (typeof BESIDE)[number], wide: number): Box {
  const left = x + dx - (anchor === "end" ? wide : anchor === "middle" ? wide / 2 : 0);
  return [left, y + dy - 9, left + wide, y + dy + 1];
}
const overlap = (a: Box, b: Box): boolean => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

// The trajectory of the held-out class in concept space, with its turn.
export function way(surface: Surface, width: number, height: number, of: Subject): void {
  const color = ink();
  const plane = square(surface, width, height, of);
  if (!plane) return;
  const { average, spots } = plane;
  const { runs, ood } = of;
  const tint = classColor(space(), ood);
  if (runs.length > 1)
    for (const line of lines(["naive"], [ood], runs, "runs"))
      surface.line(spots(line), { color: tint, width: 0.6, alpha: 0.25 });
  const all = spots(average);
  const turn = turnOf(average);
  surface.line(all, { color: tint, width: 2 });
  surface.dots([all[0]], 4, { color: color.paper, stroke: tint });
  surface.dots(all.slice(-1), 4, { color: tint });
  if (turn?.detected) {
    const [px, py] = all[average.index(turn.step)];
    surface.dots([[px, py]], 5, { color: color.band, stroke: color.ink, width: 1 });
    surface.text(px + 4, py + 19, `turn, step ${thousands(turn.step)}`, {
      color: color.turn,
      size: 11,
      bold: true,
      halo: color.paper,
    });
  }
}

// The first images of the held-out class at some checkpoints, asked plainly; frames come from tiles.js.
export function frames(surface: Surface, width: number, height: number, { shown }: Subject): void {
  const color = ink();
  const columns = shown.length;
  const cell = Math.min((width - 8) / columns, (height - 34) / 3);
  const rows = Math.max(1, Math.floor((height - 34) / cell));
  shown.forEach(({ step, found }, k) => {
    for (let i = 0; i < Math.min(rows, found.columns); i++)
      surface.part(
        found.image,
        i * found.tile,
        found.row * found.tile,
        found.tile,
        4 + k * cell,
        TOP + i * cell,
        cell - 2,
      );
    surface.text(4 + k * cell + cell / 2 - 1, TOP - 5, thousands(step), {
      color: color.quiet,
      size: 10.5,
      anchor: "middle",
    });
  });
  surface.text(4, TOP + rows * cell + 12, "step above; one column a checkpoint, asked plainly", {
    color: color.quiet,
    size: 10.5,
  });
}

// Which checkpoints are shown: as many as fit, from the first to the last.
export const spread = (steps: number[], most: number): number[] =>
  steps.length <= most ? steps : range(most).map((k) => steps[Math.round((k * (steps.length - 1)) / (most - 1))]);
