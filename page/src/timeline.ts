// When each run shows each concept under each protocol: known to lie between two checkpoints, or not yet reached.

import { scaleLinear } from "d3-scale";
import { axes, Chart, type Hit } from "./chart";
import { positions } from "./clock";
import { coloring, colorKey } from "./coloring";
import { comparedClass } from "./compare";
import { byId, thousands } from "./dom";
import { cut } from "./labels";
import {
  chosenRuns,
  groups,
  keyOf,
  lone,
  model,
  ofClass,
  protocolNames,
  settled,
  space,
  tabular,
  threshold,
  trajectoryOf,
  variedHere,
} from "./model";
import { apart, ink } from "./palette";
import { change, state, subscribe } from "./store";
import type { Surface } from "./surface";
import type { Emergence, Run, Turn } from "./types";

const MOST = 12;
const HEAD = 22;
interface Bar extends Emergence {
  run: Run;
}

interface Row {
  protocol: string;
  concept: string;
  value: string; // of the setting by which lines are colored, if runs differ in it
  bars: Bar[];
  first: boolean;
}

let chart: Chart<{ row: Row; bar: Bar }>;

// The setting by which lines are colored, if runs differ in it: each of its values has rows of its own.
const split = () => variedHere().includes(colorKey());
const valueIn = (run: Run): string => (split() ? (run.values[colorKey()] ?? "no effect") : "");
const values = (): string[] => (split() ? coloring().values : [""]);

// One row for each protocol, concept and value, one bar for each run; with many runs the joint alone.
function rows(): Row[] {
  const runs = chosenRuns();
  const name = comparedClass();
  const found: Row[] = [];
  for (const protocol of protocolNames()) {
    for (const concept of runs.length > MOST ? ["joint"] : [...space().concepts.map((c) => c.name), "joint"]) {
      const all = runs.flatMap((run): Bar[] => {
        const of = trajectoryOf(run.token)?.emergence?.find(
          (e) => e.class === name && e.protocol === protocol && e.concept === concept,
        );
        return of ? [{ ...of, run }] : [];
      });
      all.sort((a, b) => (a.upper ?? Infinity) - (b.upper ?? Infinity) || a.lower - b.lower);
      for (const value of values()) {
        const bars = all.filter(({ run }) => !value || valueIn(run) === value);
        if (bars.length) found.push({ protocol, concept, value, bars, first: found.at(-1)?.protocol !== protocol });
      }
    }
  }
  return found;
}

const thick = (count: number) => Math.max(2, Math.min(11, 120 / count));
const high = (row: Row) => row.bars.length * (thick(row.bars.length) + 2) + 8 + (row.first ? HEAD : 0);
const sides = (width: number) => [92, width - 26];
const turns = (value = "") =>
  groups()
    .filter(([run]) => !value || valueIn(run) === value)
    .map((group) => model.turns.get(keyOf(group))?.[comparedClass()])
    .filter((turn): turn is Turn => turn?.detected ?? false);

function draw(surface: Surface, width: number): Hit<{ row: Row; bar: Bar }>[] {
  const color = ink();
  const all = rows();
  const hits: Hit<{ row: Row; bar: Bar }>[] = [];
  const last = positions().at(-1) ?? 1;
  const [left, right] = sides(width);
  const x = scaleLinear([0, last], [left, right]);
  const bottom = all.reduce((sum, row) => sum + high(row), 22);
  axes(surface, {
    x,
    y: scaleLinear([0, 1], [bottom, 16]),
    yTicks: 0,
    yFormat: () => "",
    xTicks: width < 520 ? 3 : 8,
    xLabel: "step",
  });
  if (turns().length)
    surface.text(x(turns()[0].step), 11, turns().length > 1 ? "turns" : "turn", {
      color: color.turn,
      size: 11,
      anchor: "middle",
    });
  let y = 22;
  for (const row of all) {
    const size = thick(row.bars.length);
    if (row.first) {
      surface.rect(0, y - 4, right, HEAD - 3, { fill: color.panel });
      surface.text(4, y + 9, row.protocol, { color: color.ink, size: 12, bold: true });
      y += HEAD;
    }
    const inside = high(row) - (row.first ? HEAD : 0);
    for (const turn of turns(row.value))
      surface.rect(x(turn.low), y - 4, Math.max(2, x(turn.high) - x(turn.low)), inside, {
        fill: color.band,
        alpha: turns(row.value).length > 1 ? 0.1 : 0.22,
      });
    const label = [row.concept, row.value].filter(Boolean).join(", ");
    surface.text(left - 8, y + (inside - 8) / 2 + 4, cut(label, 14), {
      color: color.ink,
      size: 11.5,
      anchor: "end",
      bold: row.concept === "joint",
    });
    for (const bar of row.bars) {
      const tint = row.value ? coloring().ofRun(bar.run) : apart(protocolNames().indexOf(row.protocol));
      const from = x(bar.lower);
      const to = bar.upper === null ? x(bar.last) : Math.max(x(bar.upper), from + 2);
      if (bar.upper === null) {
        surface.line(
          [
            [from, y + size / 2],
            [to + 4, y + size / 2],
          ],
          { color: tint, width: 1.2, dash: [3, 3] },
        );
        surface.area(
          [
            [to + 3, y],
            [to + 3 + size, y + size / 2],
            [to + 3, y + size],
          ],
          { color: tint, alpha: 1 },
        );
      } else surface.rect(from, y, to - from, size, { fill: tint });
      for (const at of [from, to]) hits.push({ x: at, y: y + size / 2, ref: { row, bar } });
      y += size + 2;
    }
    y += 8;
    surface.line(
      [
        [left, y - 5],
        [right, y - 5],
      ],
      { color: color.line, width: 0.6 },
    );
  }
  return hits;
}

function cursor(surface: Surface, width: number): void {
  const [left, right] = sides(width);
  const x = scaleLinear([0, positions().at(-1) ?? 1], [left, right])(state.step ?? 0);
  surface.line(
    [
      [x, 16],
      [x, rows().reduce((sum, row) => sum + high(row), 22)],
    ],
    { color: ink().ink, width: 1.2 },
  );
}

export const between = (bar: Bar): string =>
  bar.upper === null
    ? `not by step ${thousands(bar.last)}`
    : bar.lower
      ? `after step ${thousands(bar.lower)}, by step ${thousands(bar.upper)}`
      : `by step ${thousands(bar.upper)}`;

export function startTimeline() {
  chart = new Chart(byId("emergence"), {
    name: "emergence",
    draw,
    over: cursor,
    hover: ({ row, bar }, event) => {
      byId("emergence-note").textContent =
        `${bar.run.name}: ${row.concept} accuracy${lone() ? "" : ` on ${comparedClass()}`} under ${row.protocol} reaches ${threshold()} ${between(bar)}.`;
      if (event.type === "pointerdown") change({ step: bar.upper ?? bar.last, playing: false });
    },
    height: () => rows().reduce((sum, row) => sum + high(row), 60),
    label: () =>
      `Emergence${ofClass(comparedClass(), " of ")}: ${rows()
        .slice(0, 24)
        .map(
          (row) =>
            `${row.protocol} ${row.concept}: ${row.bars
              .slice(0, 6)
              .map((bar) => `${bar.run.name} ${between(bar)}`)
              .join(", ")}`,
        )
        .join("; ")}`,
  });
  subscribe(
    ["data", "index", "turns", "step", "chosen", "hiddenSeeds", "mode", "space", "theme", "compareClass", "only"],
    (keys) => {
      if (!settled()) return;
      if (!keys.has("step") || !byId("emergence-note").textContent)
        byId("emergence-note").textContent =
          `When ${ofClass(comparedClass()) || "each concept"} first holds an accuracy of ${threshold()} for three checkpoints${tabular() ? "" : ", under the best setting of each checkpoint (which flatters a sweep)"}. A bar spans the last checkpoint without and the first with it; an arrow means not reached by then. Point at a bar for its run.`;
      if (keys.size === 1 && keys.has("step")) chart.refreshTop();
      else chart.refresh();
    },
  );
}
