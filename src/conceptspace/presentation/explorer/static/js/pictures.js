// The pictures of the verdict and of the chain of evidence. Each draws the numbers its sentence tells:
// where a verdict was told, accuracies by the judge whose settings were chosen on other images.

import { counted, digits, thousands } from "./dom.js";
import { isControl, lines, protocolNames, space, threshold, turnOf } from "./model.js";
import { mean } from "./stats.js";
import { apart, classColor, ink } from "./palette.js";
import { axes } from "./chart.js";
import { axisLabel } from "./space.js";
import { brief, endLabels } from "./labels.js";

const LEFT = 40, RIGHT = 112, TOP = 16, BOTTOM = 34, IDLE = 0.6;

// Accuracies against steps; returns where a step and a value lie.
function plane(surface, width, height, last, yLabel) {
  const x = d3.scaleLinear([0, last || 1], [LEFT + 12, width - RIGHT]), y = d3.scaleLinear([0, 1.02], [height - BOTTOM, TOP]);
  axes(surface, { x, y, xTicks: 3, yTicks: 3, xLabel: "step", yLabel });
  return { x, y, ends: { x: x.range()[1], top: TOP, bottom: height - BOTTOM } };
}

const level = (surface, { x, y }, at, color) => surface.line([[x.range()[0], y(at)], [x.range()[1], y(at)]], { color, dash: [4, 3], width: 1 });
const path = (steps, values, { x, y }) => steps.map((step, i) => [step, values[i]]).filter(([, v]) => v !== null && Number.isFinite(v)).map(([step, v]) => [x(step), y(v)]);
const means = (way) => { const all = Object.values(way.seeds); return all[0].map((_, i) => { const there = all.map((of) => of[i]).filter((v) => v !== null); return there.length ? mean(there) : null; }); };
const protocolColor = (name) => (isControl(name) ? ink().quiet : apart(Math.max(0, protocolNames().indexOf(name))));
const middle = (values) => d3.median(values);

// The window of the seeds that have one: medians, as the sentence tells.
export const windowOf = (judged) => (judged?.windows.length ? [middle(judged.windows.map((w) => w.first)), middle(judged.windows.map((w) => w.last))] : null);

function chosenWays(judged, kind) {
  const others = judged.ways.filter((way) => way.kind === "way"), controls = judged.ways.filter((way) => way.kind === "control");
  const best = d3.rollups(judged.windows, (of) => of.length, (w) => w.way).sort((a, b) => b[1] - a[1])[0]?.[0] ?? d3.greatest(others, (way) => d3.max(means(way)))?.name;
  const gate = controls.filter((way) => !way.name.endsWith("scaling"));
  if (kind === "verdict") return [...others.filter((way) => way.name === best), ...gate];
  return kind === "controls" ? controls : others;
}

// Naive prompting and some other ways, one thin line a seed and the mean; the window is shaded.
export function ways(surface, width, height, { judged }, kind) {
  const color = ink(), at = plane(surface, width, height, judged.steps.at(-1), "joint accuracy"), span = windowOf(judged);
  if (span && kind !== "controls") {
    surface.rect(at.x(span[0]), TOP, Math.max(2, at.x(span[1]) - at.x(span[0])), height - BOTTOM - TOP, { fill: color.band, alpha: 0.2 });
    surface.text((at.x(span[0]) + at.x(span[1])) / 2, TOP - 4, "hidden", { color: color.turn, size: 11, anchor: "middle", bold: true });
  }
  level(surface, at, kind === "controls" ? IDLE : threshold(), color.quiet);
  const drawn = [judged.ways.find((way) => way.kind === "naive"), ...chosenWays(judged, kind)], labels = [];
  for (const way of drawn) {
    const tint = protocolColor(way.name), dash = way.kind !== "control" ? [] : way.name.endsWith("scaling") ? [2, 3] : [6, 3], all = Object.values(way.seeds), average = means(way);
    if (all.length > 1 && kind === "verdict") for (const of of all) surface.line(path(judged.steps, of, at), { color: tint, width: 0.7, alpha: 0.3, dash });
    surface.line(path(judged.steps, average, at), { color: tint, width: 2.2, dash });
    labels.push({ y: at.y(average.findLast((v) => v !== null) ?? NaN), text: brief(way.name), color: tint });
  }
  endLabels(surface, labels, at.ends);
  const count = Object.keys(drawn[0].seeds).length;
  surface.text(width - 4, height - 4, `n = ${counted(count, "seed")}, ${judged.images} images each`, { color: color.quiet, size: 10.5, anchor: "end" });
}

export const told = (judged, kind) => [judged.ways.find((way) => way.kind === "naive"), ...chosenWays(judged, kind)].map((way) => `${way.name} ends at ${digits(means(way).findLast((v) => v !== null))}`).join(", ");

// The accuracy of each concept of the held-out class, asked plainly.
export function concepts(surface, width, height, { runs, ood }) {
  const color = ink(), seeds = lines(["naive"], [ood], runs, "runs"), [average] = lines(["naive"], [ood], runs, "mean");
  if (!average) return;
  const at = plane(surface, width, height, average.steps.at(-1), "accuracy");
  level(surface, at, threshold(), color.quiet);
  const labels = space().concepts.map((concept, c) => {
    if (seeds.length > 1) for (const line of seeds) surface.line(path(line.steps, line.accuracy[c], at), { color: apart(c), width: 0.7, alpha: 0.3 });
    surface.line(path(average.steps, average.accuracy[c], at), { color: apart(c), width: 2.2 });
    return { y: at.y(average.accuracy[c].at(-1)), text: concept.name, color: apart(c) };
  });
  endLabels(surface, labels, at.ends);
}

// When plain prompting makes it: a line a seed, a tick where it has arrived.
export function naive(surface, width, height, { runs, ood, judged }) {
  const color = ink(), plain = judged?.ways.find((way) => way.kind === "naive");
  const all = plain ? Object.values(plain.seeds).map((values) => [judged.steps, values]) : lines(["naive"], [ood], runs, "runs").map((line) => [line.steps, line.joint]);
  if (!all.length) return;
  const at = plane(surface, width, height, d3.max(all, ([steps]) => steps.at(-1)), "joint accuracy"), tint = protocolColor("naive");
  level(surface, at, threshold(), color.quiet);
  for (const [steps, values] of all) surface.line(path(steps, values, at), { color: tint, width: all.length > 1 ? 1.1 : 2.2, alpha: all.length > 1 ? 0.7 : 1 });
  endLabels(surface, [{ y: at.y(mean(all.map(([, values]) => Array.from(values).findLast((v) => v !== null) ?? 0))), text: `naive${all.length > 1 ? `, ${all.length} seeds` : ""}`, color: tint }], at.ends);
}

// The way of the held-out class through concept space, with its turn.
export function way(surface, width, height, { runs, ood }) {
  const color = ink(), [average] = lines(["naive"], [ood], runs, "mean"), here = space().concepts;
  if (!average || here.length < 2) return;
  const side = Math.min(width - 70, height - BOTTOM - TOP), left = 58, x = d3.scaleLinear([-0.03, 1.03], [left, left + side]), y = d3.scaleLinear([-0.03, 1.03], [TOP + side, TOP]);
  axes(surface, { x, y, xTicks: 3, yTicks: 3, xLabel: axisLabel(0), yLabel: here[1].name });
  const tint = classColor(space(), ood), spots = (line) => line.steps.map((_, i) => [x(line.coordinate[0][i]), y(line.coordinate[1][i])]);
  if (runs.length > 1) for (const line of lines(["naive"], [ood], runs, "runs")) surface.line(spots(line), { color: tint, width: 0.6, alpha: 0.25 });
  const all = spots(average), turn = turnOf(average);
  surface.line(all, { color: tint, width: 2 });
  surface.dots([all[0]], 4, { color: color.paper, stroke: tint });
  surface.dots([all.at(-1)], 4, { color: tint });
  if (turn?.detected) {
    const [px, py] = all[average.index(turn.step)];
    surface.dots([[px, py]], 5, { color: color.band, stroke: color.ink, width: 1 });
    surface.text(px + 4, py + 19, `turn, step ${thousands(turn.step)}`, { color: color.turn, size: 11, bold: true, halo: color.paper });
  }
}

// The first images of the held-out class at some checkpoints, asked plainly; frames come from tiles.js.
export function frames(surface, width, height, { shown }) {
  const color = ink(), columns = shown.length, cell = Math.min((width - 8) / columns, (height - 34) / 3), rows = Math.max(1, Math.floor((height - 34) / cell));
  shown.forEach(({ step, found }, k) => {
    for (let i = 0; i < Math.min(rows, found.columns); i++) surface.part(found.image, i * found.tile, found.row * found.tile, found.tile, 4 + k * cell, TOP + i * cell, cell - 2);
    surface.text(4 + k * cell + cell / 2 - 1, TOP - 5, thousands(step), { color: color.quiet, size: 10.5, anchor: "middle" });
  });
  surface.text(4, TOP + rows * cell + 12, "step above; one column a checkpoint, asked plainly", { color: color.quiet, size: 10.5 });
}

// Which checkpoints are shown: as many as fit, from the first to the last.
export const spread = (steps, most) => (steps.length <= most ? steps : d3.range(most).map((k) => steps[Math.round((k * (steps.length - 1)) / (most - 1))]));
