// Accuracies against steps.

import { groups as groupBy } from "d3-array";
import { scaleLinear } from "d3-scale";
import { axes, Chart, type Hit, type Ref, type Scale } from "./chart";
import { positions } from "./clock";
import { coloring, colorKey } from "./coloring";
import { comparedClass } from "./compare";
import { byId, digits, thousands, words } from "./dom";
import { cursor, frame } from "./frame";
import { brief, cut, type EndLabel, endLabels } from "./labels";
import {
  type Kind,
  type Line,
  label,
  lines,
  ofClass,
  protocolNames,
  settingValues,
  settled,
  shownLines,
  space,
  threshold,
  turnOf,
} from "./model";
import { apart, DASHES, ink } from "./palette";
import { type Entry, Readout } from "./readout";
import { lookAt } from "./space";
import { CHOICE, change, state, subscribe } from "./store";
import type { Surface } from "./surface";

const LEGIBLE = 8;
const PANEL = 128;
const LABELS = 104;
const charts = {} as { joint: Chart<Ref>; concepts: Chart<Ref> };
const values = {} as { joint: Readout; concepts: Readout };

// What distinguishes a line from the others, in few words.
function nameOf(line: Line, all: Line[]): string {
  const several = (read: (one: Line) => string) => new Set(all.map(read)).size > 1;
  const of = (one: Line) => one.runs.map((run) => run.token).join();
  const parts = [
    several((one) => one.name) && line.name,
    several((one) => one.protocol) && brief(line.protocol),
    several(of) && (settingValues(line.runs[0]) || line.runs[0].name),
  ];
  return parts.filter(Boolean).join(", ") || line.protocol;
}

function bands(
  surface: Surface,
  all: Line[],
  x: Scale,
  y: Scale,
  kind: Kind,
  c: number,
  tint: (line: Line) => string,
  dash: (line: Line) => number[],
): Hit<Ref>[] {
  const hits: Hit<Ref>[] = [];
  for (const line of all) {
    const read = (i: number) => line.value(kind, c, i);
    if (all.length <= LEGIBLE) {
      const ends = line.steps.map((_, i) => line.interval(kind, c, i));
      surface.area(
        [
          ...ends.map(([low], i) => [x(line.steps[i]), y(low)]),
          ...ends.map(([, up], i) => [x(line.steps[i]), y(up)]).reverse(),
        ],
        { color: tint(line), alpha: 0.14 },
      );
    }
    surface.line(
      line.steps.map((step, i) => [x(step), y(read(i))]),
      { color: tint(line), width: all.length > 40 ? 0.8 : 1.8, alpha: all.length > 40 ? 0.6 : 1, dash: dash(line) },
    );
    line.steps.forEach((step, i) => hits.push({ x: x(step), y: y(read(i)), ref: { line, i } }));
  }
  return hits;
}

// Up to eight lines stand in one frame with their names; more get a panel for each color.
function joint(surface: Surface, width: number, height: number): Hit<Ref>[] {
  const all = shownLines();
  return all.length > LEGIBLE ? panels(surface, width, all) : together(surface, width, height, all);
}

const split = (all: Line[]) => groupBy(all, coloring().read);
const columnsOf = (width: number) => Math.max(1, Math.min(3, Math.floor(width / 170)));
const dashOf = (line: Line): number[] =>
  state.protocols.size < 2 || colorKey() === "protocol"
    ? []
    : DASHES[protocolNames().indexOf(line.protocol) % DASHES.length];

function panels(surface: Surface, width: number, all: Line[]): Hit<Ref>[] {
  const columns = columnsOf(width);
  const cell = width / columns;
  const high = rowHeight(all, width);
  const paint = coloring();
  const color = ink();
  const hits: Hit<Ref>[] = [];
  charts.joint.spans = [];
  split(all).forEach(([value, of], n) => {
    const left = (n % columns) * cell + 30;
    const top = Math.floor(n / columns) * high + 20;
    const several = new Set(of.map((line) => line.name)).size > 1 && of.length <= LEGIBLE;
    const x = scaleLinear([0, positions().at(-1) ?? 1], [left, left + cell - (several ? 60 : 46)]);
    const y = scaleLinear([0, 1.02], [top + high - 44, top]);
    axes(surface, { x, y, xTicks: 2, yTicks: 2 });
    surface.line(
      [
        [left, y(threshold())],
        [x.range()[1], y(threshold())],
      ],
      { color: color.quiet, dash: [4, 3], width: 1 },
    );
    for (const line of all)
      if (!of.includes(line) && all.length <= 60)
        surface.line(
          line.steps.map((step, i) => [x(step), y(line.joint[i])]),
          { color: color.line, width: 0.7 },
        );
    hits.push(...bands(surface, of, x, y, "joint", 0, paint.of, dashOf));
    if (several)
      endLabels(
        surface,
        of.map((line) => ({ y: y(line.joint.at(-1) ?? Number.NaN), text: cut(line.name, 5), color: color.quiet })),
        { x: x.range()[1], top: top + 4, bottom: top + high - 48, size: 9.5 },
      );
    const title = colorKey().includes(".")
      ? `${words(colorKey())} ${value}`
      : colorKey() === "class"
        ? `class ${value}`
        : cut(label(of[0], true).length < 30 && colorKey() === "run" ? label(of[0], true) : String(value), 26);
    surface.text(left, top - 5, title, { color: paint.of(of[0]), size: 11.5, bold: true });
    if (n < columns) charts.joint.spans.push(x);
  });
  return hits;
}

const rowsOf = (all: Line[], width: number) => Math.ceil(split(all).length / columnsOf(width));
const rowHeight = (all: Line[], width: number) => (rowsOf(all, width) === 1 ? 220 : PANEL);
const jointHeight = (width: number) => {
  const all = shownLines();
  return all.length > LEGIBLE ? rowsOf(all, width) * rowHeight(all, width) + 20 : 240;
};

function together(surface: Surface, width: number, height: number, all: Line[]): Hit<Ref>[] {
  const right = all.length > 1 ? LABELS : 20;
  const y = scaleLinear().domain([0, 1.02]);
  const x = frame(surface, width, height, y, "joint accuracy", { right });
  const paint = coloring();
  const color = ink();
  charts.joint.spans = [x];
  surface.line(
    [
      [x(0), y(threshold())],
      [x.range()[1], y(threshold())],
    ],
    { color: color.quiet, dash: [4, 3], width: 1 },
  );
  const hits = bands(surface, all, x, y, "joint", 0, paint.of, dashOf);
  if (all.length > 1)
    endLabels(
      surface,
      all.map((line) => ({
        y: y(line.joint.at(-1) ?? Number.NaN),
        text: cut(nameOf(line, all)),
        color: paint.of(line),
      })),
      { x: x.range()[1], top: 22, bottom: height - 38 },
    );
  for (const line of all) {
    const turn = line.protocol === "naive" ? turnOf(line) : null;
    if (turn?.detected)
      surface.dots([[x(turn.step), y(line.joint[line.index(turn.step)])]], 4, {
        color: color.band,
        stroke: color.ink,
        width: 1,
      });
  }
  return hits;
}

function concepts(surface: Surface, width: number, height: number): Hit<Ref>[] {
  const y = scaleLinear().domain([0, 1.02]);
  const x = frame(surface, width, height, y, "accuracy", { right: LABELS });
  const hits: Hit<Ref>[] = [];
  const ends: EndLabel[] = [];
  charts.concepts.spans = [x];
  const names = protocolNames().filter((name) => state.protocols.has(name));
  space().concepts.forEach((concept, c) => {
    hits.push(
      ...bands(
        surface,
        lines(names, [comparedClass()]),
        x,
        y,
        "accuracy",
        c,
        () => apart(c),
        (line) => DASHES[names.indexOf(line.protocol) % DASHES.length],
      ),
    );
    const drawn = lines(names, [comparedClass()]);
    for (const line of drawn.length * space().concepts.length <= LEGIBLE ? drawn : drawn.slice(0, 1)) {
      const which = drawn.length > 1 ? ` ${nameOf(line, drawn)}` : "";
      ends.push({ y: y(line.accuracy[c].at(-1) ?? Number.NaN), text: cut(concept.name + which), color: apart(c) });
    }
  });
  endLabels(surface, ends, { x: x.range()[1], top: 22, bottom: height - 38 });
  return hits;
}

function entry(line: Line, kind: Kind, c: number, step: number, name: string, color: string): Entry {
  const i = line.steps.indexOf(step);
  if (i < 0) return { name, color, value: Number.NaN, low: Number.NaN, high: Number.NaN };
  const [low, high] = line.interval(kind, c, i);
  return { name, color, value: line.value(kind, c, i), low, high };
}

export function startCurves() {
  const hover = (ref: Ref, event: PointerEvent) => {
    if (event.type === "pointerdown") change({ step: ref.line.steps[ref.i], playing: false });
    lookAt(ref.line, event.type === "pointerdown" ? null : ref.line.steps[ref.i]);
  };
  const at = () => `at step ${thousands(state.step ?? 0)}`;
  const accuraciesNow = (of: Line[], read: (line: Line, i: number) => number) =>
    of
      .slice(0, 8)
      .map((line) => `${line.protocol} ${line.name} ${digits(read(line, line.index(state.step ?? 0)))}`)
      .join(", ");
  charts.joint = new Chart(byId("curve-joint"), {
    name: "joint-accuracy",
    draw: joint,
    height: jointHeight,
    hover,
    over: (surface, width, height) => {
      cursor(surface, width, height, charts.joint.spans);
      values.joint?.draw(surface, 20, height - 38);
    },
    label: () => `Joint accuracy against steps, ${at()}: ${accuraciesNow(shownLines(), (line, i) => line.joint[i])}`,
  });
  charts.concepts = new Chart(byId("curve-concepts"), {
    name: "concept-accuracy",
    draw: concepts,
    hover,
    over: (surface, width, height) => {
      cursor(surface, width, height, charts.concepts.spans);
      values.concepts?.draw(surface, 22, height - 38);
    },
    label: () =>
      `Accuracy of each concept against steps, ${at()}: ${space()
        .concepts.map(
          (concept, c) =>
            `${concept.name} ${accuraciesNow(lines(["naive"], [comparedClass()]), (line, i) => line.accuracy[c][i])}`,
        )
        .join("; ")}`,
  });
  values.joint = new Readout(charts.joint, (step) => {
    const all = shownLines();
    const paint = coloring();
    return all.map((line) => entry(line, "joint", 0, step, nameOf(line, all), paint.of(line)));
  });
  values.concepts = new Readout(charts.concepts, (step) =>
    space().concepts.flatMap((concept, c) => {
      const all = lines(
        protocolNames().filter((name) => state.protocols.has(name)),
        [comparedClass()],
      );
      return all.map((line) =>
        entry(
          line,
          "accuracy",
          c,
          step,
          all.length > 1 ? `${concept.name}, ${nameOf(line, all)}` : concept.name,
          apart(c),
        ),
      );
    }),
  );
  subscribe([...CHOICE, "data", "index", "turns", "step", "theme", "compareClass"], (keys) => {
    if (!settled()) return;
    byId("concept-title").textContent = `Accuracy of each concept${ofClass(comparedClass(), ", ")}`;
    Object.values(charts).forEach((chart) =>
      keys.size === 1 && keys.has("step") ? chart.refreshTop() : chart.refresh(),
    );
  });
}
