// The curve beside the images: the joint accuracy of what is looked at against steps, at the setting that
// the sliders choose, with the best of each step and plain prompting to compare.

import { scaleLinear } from "d3-scale";
import { axes, Chart } from "./chart";
import { positions } from "./clock";
import { byId, digits, thousands } from "./dom";
import { brief, type EndLabel, endLabels } from "./labels";
import { type Line, lines, ofClass, protocolNames, settled, threshold } from "./model";
import { apart, ink } from "./palette";
import { focused } from "./space";
import { state, subscribe } from "./store";
import type { Surface } from "./surface";

const HEIGHT = 150;
const LEFT = 34;
const RIGHT = 112;
const TOP = 20;
const BOTTOM = 34;
const MOST = 5;

// Plain prompting, the protocol that is looked at, and others that are chosen.
function curves(): Line[] {
  const now = focused();
  if (!now) return [];
  const chosen = protocolNames().filter((name) => state.protocols.has(name));
  const wanted = [...new Set(["naive", now.line.protocol, ...chosen])].slice(0, MOST);
  return lines(wanted, [now.line.name], now.line.runs, "mean");
}

const tint = (line: Line) => apart(Math.max(0, protocolNames().indexOf(line.protocol)));

function draw(surface: Surface, width: number, height: number): null {
  const color = ink();
  const x = scaleLinear([0, positions().at(-1) || 1], [LEFT, width - RIGHT]);
  const y = scaleLinear([0, 1.02], [height - BOTTOM, TOP]);
  axes(surface, { x, y, xTicks: 3, yTicks: 3, xLabel: "step" });
  surface.text(LEFT, 12, `joint accuracy${ofClass(focused()?.line.name ?? "", ", ")}`, { color: color.ink, size: 12 });
  surface.line(
    [
      [x.range()[0], y(threshold())],
      [x.range()[1], y(threshold())],
    ],
    { color: color.quiet, dash: [4, 3], width: 1 },
  );
  const labels: EndLabel[] = [];
  for (const line of curves()) {
    const knob = state.knobs[line.protocol];
    const at = line.steps.map((step, i) => [x(step), y(line.joint[i])]).filter(([, v]) => Number.isFinite(v));
    surface.line(at, { color: tint(line), width: line.protocol === focused()?.line.protocol ? 2.6 : 1.3 });
    const text = brief(knob === undefined ? line.protocol : `${line.protocol} ${knob}`, 16);
    labels.push({ y: y(line.joint.at(-1) ?? Number.NaN), text, color: tint(line) });
  }
  endLabels(surface, labels, { x: x.range()[1], top: TOP, bottom: height - BOTTOM });
  return null;
}

function over(surface: Surface, width: number, height: number): void {
  const x = scaleLinear([0, positions().at(-1) || 1], [LEFT, width - RIGHT]);
  const y = scaleLinear([0, 1.02], [height - BOTTOM, TOP]);
  const now = state.step ?? 0;
  surface.line(
    [
      [x(now), TOP],
      [x(now), height - BOTTOM],
    ],
    { color: ink().ink, width: 1 },
  );
  for (const line of curves()) {
    const i = line.index(now);
    if (Number.isFinite(line.joint[i])) surface.dots([[x(line.steps[i]), y(line.joint[i])]], 4, { color: tint(line) });
  }
}

const accuraciesHere = () =>
  curves()
    .map(
      (line) =>
        `${line.protocol} ${state.knobs[line.protocol] ?? ""} ${digits(line.joint[line.index(state.step ?? 0)])}`,
    )
    .join(", ");

export function startNear(): void {
  const chart = new Chart(byId("near"), {
    name: "joint-accuracy-here",
    height: () => HEIGHT,
    draw,
    over,
    label: () =>
      `Joint accuracy${ofClass(focused()?.line.name ?? "", " of ")} against steps, at step ${thousands(state.step ?? 0)}: ${accuraciesHere()}`,
  });
  subscribe(
    ["focus", "data", "chosen", "protocols", "classes", "hiddenSeeds", "mode", "knobs", "only", "space", "theme"],
    () => {
      if (settled()) chart.refresh();
    },
  );
  subscribe(["step"], () => chart.refreshTop());
}
