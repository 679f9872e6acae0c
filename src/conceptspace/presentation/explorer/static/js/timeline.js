// When each run shows each concept under each protocol: known between two checkpoints, or not yet.

import { byId, thousands } from "./dom.js";
import { state, change, subscribe } from "./store.js";
import { model, space, chosenRuns, groups, lone, ofClass, protocolNames, tabular, trajectoryOf, threshold } from "./model.js";
import { apart, ink } from "./palette.js";
import { Chart, axes } from "./chart.js";
import { comparedClass } from "./compare.js";
import { positions } from "./clock.js";

const MOST = 12, HEAD = 22;
let chart = null;

// One row for each protocol and concept, one bar for each run; with many runs the joint alone.
function rows() {
  const runs = chosenRuns(), name = comparedClass(), found = [];
  for (const protocol of protocolNames()) {
    for (const concept of runs.length > MOST ? ["joint"] : [...space().concepts.map((c) => c.name), "joint"]) {
      const bars = runs.map((run) => ({ run, ...trajectoryOf(run.token)?.emergence?.find((e) => e.class === name && e.protocol === protocol && e.concept === concept) })).filter((bar) => bar.last !== undefined);
      bars.sort((a, b) => (a.upper ?? Infinity) - (b.upper ?? Infinity) || a.lower - b.lower);
      if (bars.length) found.push({ protocol, concept, bars, first: found.at(-1)?.protocol !== protocol });
    }
  }
  return found;
}

const thick = (count) => Math.max(2, Math.min(11, 120 / count));
const high = (row) => row.bars.length * (thick(row.bars.length) + 2) + 8 + (row.first ? HEAD : 0);
const sides = (width) => [92, width - 26];
const turns = () => groups().map((group) => model.turns.get(group.map((run) => run.token + run.version).join())?.[comparedClass()]).filter((turn) => turn?.detected);

function draw(surface, width) {
  const color = ink(), all = rows(), hits = [], last = positions().at(-1) ?? 1;
  const [left, right] = sides(width), x = d3.scaleLinear([0, last], [left, right]), bottom = all.reduce((sum, row) => sum + high(row), 22);
  axes(surface, { x, y: d3.scaleLinear([0, 1], [bottom, 16]), yTicks: 0, yFormat: () => "", xTicks: width < 520 ? 3 : 8, xLabel: "step" });
  for (const turn of turns()) surface.rect(x(turn.low), 16, Math.max(2, x(turn.high) - x(turn.low)), bottom - 16, { fill: color.band, alpha: turns().length > 1 ? 0.1 : 0.22 });
  if (turns().length) surface.text(x(turns()[0].step), 11, turns().length > 1 ? "turns" : "turn", { color: color.turn, size: 11, anchor: "middle" });
  let y = 22;
  for (const row of all) {
    const tint = apart(protocolNames().indexOf(row.protocol)), size = thick(row.bars.length);
    if (row.first) {
      surface.rect(0, y - 4, right, HEAD - 3, { fill: color.panel });
      surface.text(4, y + 9, row.protocol, { color: color.ink, size: 12, bold: true });
      y += HEAD;
    }
    surface.text(left - 8, y + (high(row) - 8 - (row.first ? HEAD : 0)) / 2 + 4, row.concept, { color: color.ink, size: 11.5, anchor: "end", bold: row.concept === "joint" });
    for (const bar of row.bars) {
      const from = x(bar.lower), to = bar.upper === null ? x(bar.last) : Math.max(x(bar.upper), from + 2);
      if (bar.upper === null) {
        surface.line([[from, y + size / 2], [to + 4, y + size / 2]], { color: tint, width: 1.2, dash: [3, 3] });
        surface.area([[to + 3, y], [to + 3 + size, y + size / 2], [to + 3, y + size]], { color: tint, alpha: 1 });
      } else surface.rect(from, y, to - from, size, { fill: tint });
      for (const at of [from, to]) hits.push({ x: at, y: y + size / 2, ref: { row, bar } });
      y += size + 2;
    }
    y += 8;
    surface.line([[left, y - 5], [right, y - 5]], { color: color.line, width: 0.6 });
  }
  return hits;
}

function cursor(surface, width) {
  const [left, right] = sides(width), x = d3.scaleLinear([0, positions().at(-1) ?? 1], [left, right])(state.step ?? 0);
  surface.line([[x, 16], [x, rows().reduce((sum, row) => sum + high(row), 22)]], { color: ink().ink, width: 1.2 });
}

export const between = (bar) => (bar.upper === null ? `not by step ${thousands(bar.last)}` : bar.lower ? `after step ${thousands(bar.lower)}, by step ${thousands(bar.upper)}` : `by step ${thousands(bar.upper)}`);

export function startTimeline() {
  chart = new Chart(byId("emergence"), {
    name: "emergence", draw, over: cursor,
    hover: ({ row, bar }, event) => {
      byId("emergence-note").textContent = `${bar.run.name}: ${row.concept} accuracy${lone() ? "" : ` on ${comparedClass()}`} under ${row.protocol} reaches ${threshold()} ${between(bar)}.`;
      if (event.type === "pointerdown") change({ step: bar.upper ?? bar.last, playing: false });
    },
    height: () => rows().reduce((sum, row) => sum + high(row), 60),
    label: () => `Emergence${ofClass(comparedClass(), " of ")}: ${rows().slice(0, 24).map((row) => `${row.protocol} ${row.concept}: ${row.bars.slice(0, 6).map((bar) => `${bar.run.name} ${between(bar)}`).join(", ")}`).join("; ")}`,
  });
  subscribe(["data", "index", "turns", "step", "chosen", "hiddenSeeds", "mode", "space", "theme", "compareClass"], (keys) => {
    if (!space()) return;
    if (!keys.has("step") || !byId("emergence-note").textContent) byId("emergence-note").textContent = `When ${ofClass(comparedClass()) || "each concept"} first holds an accuracy of ${threshold()} for three checkpoints${tabular() ? "" : ", under the best setting of each checkpoint (which flatters a sweep)"}. A bar spans the last checkpoint without and the first with it; an arrow means not reached by then. Point at a bar for its run.`;
    if (keys.size === 1 && keys.has("step")) chart.refreshTop();
    else chart.refresh();
  });
}
