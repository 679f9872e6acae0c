// Small multiples over a setting, and protocols against each other at the same step.

import { scaleLinear } from "d3-scale";
import { axisName, valueAt } from "./axis";
import { axes, Chart, type Hit, ofLines, type Ref } from "./chart";
import { coloring, colorKey } from "./coloring";
import { byId, digits, options, select, thousands, words } from "./dom";
import { cut } from "./labels";
import {
  chosenRuns,
  type Line,
  label,
  lines,
  lone,
  ofClass,
  protocolNames,
  settingName,
  settled,
  shownLines,
  space,
  threshold,
  turnOf,
  variedHere,
} from "./model";
import { apart, DASHES, ink } from "./palette";
import { lookAt } from "./space";
import { CHOICE, change, state, subscribe } from "./store";
import type { Spot, Surface } from "./surface";
import type { Run } from "./types";

const NARROWEST = 190;
const WIDEST = 330;
const MOST_PANELS = 48;
const SLOT = 15;
const charts = {} as { multiples: Chart<Ref>; race: Chart<Ref> };

export const comparedClass = (): string =>
  state.compareClass || space().classes.find((c) => c.ood)?.name || space().classes[0].name;

// What a panel is made for: values in order, and the lines that belong to each.
function facets(): [string, Line[]][] {
  const by = facet();
  const reads: Record<string, (line: Line) => string> = {
    protocol: (line) => line.protocol,
    class: (line) => line.name,
    seed: (line) => String(line.runs[0].seed),
    run: (line) => label(line, true),
  };
  const read = reads[by] ?? ((line: Line) => line.runs[0].values[by] ?? "no effect");
  const wanted = shownLines().filter(
    (line) => !state.compareClass || by === "class" || line.name === state.compareClass,
  );
  const all =
    by === "protocol"
      ? lines(protocolNames(), [...new Set(wanted.map((line) => line.name))])
      : by === "seed"
        ? seedLines(wanted)
        : wanted;
  const values = [...new Set(all.map(read))];
  const numeric = values.every((value) => Number.isFinite(Number(value)));
  values.sort((a, b) =>
    by === "protocol"
      ? protocolNames().indexOf(a) - protocolNames().indexOf(b)
      : numeric
        ? Number(a) - Number(b)
        : a < b
          ? -1
          : 1,
  );
  return values.map((value): [string, Line[]] => [value, all.filter((line) => read(line) === value)]);
}

function seedLines(wanted: Line[]): Line[] {
  const seeds = [...new Set(chosenRuns().map((run) => run.seed))];
  const classes = [...new Set(wanted.map((line) => line.name))];
  return seeds.flatMap((seed) =>
    lines(
      protocolNames().filter((n) => state.protocols.has(n)),
      classes,
      chosenRuns().filter((run) => run.seed === seed),
    ),
  );
}

function facetChoices(): [string, string][] {
  const several = (read: (run: Run) => unknown) => new Set(chosenRuns().map(read)).size > 1;
  const choices = variedHere()
    .filter((name) => several((run) => run.values[name]))
    .map((name): [string, string] => [name, words(name)]);
  if (protocolNames().length > 1) choices.push(["protocol", "protocol"]);
  choices.push(["class", "class"]);
  if (several((run) => run.seed)) choices.push(["seed", "seed"]);
  if (chosenRuns().length > 1 && chosenRuns().length <= MOST_PANELS) choices.push(["run", "run"]);
  return choices;
}

// What was chosen, or else the first that there is: a setting, protocols, classes.
function facet(): string {
  const choices = facetChoices();
  return (choices.find(([name]) => name === state.facet) ?? choices[0])[0];
}

const grid = (count: number, width: number) => {
  const columns = Math.max(1, Math.min(count, Math.floor(width / NARROWEST)));
  return [columns, Math.ceil(count / columns), Math.min(WIDEST, width / columns)];
};

function panels(surface: Surface, width: number): () => ReturnType<typeof ofLines> {
  const by = facet();
  const found = facets();
  const [columns, , cell] = grid(found.length, width);
  const color = ink();
  const paint = coloring();
  const drawn: [Line, Spot[]][] = [];
  const [ax, ay] = state.axes;
  const side = cell - 62;
  const steps = (value: number) => thousands(value * (state.last ?? 0));
  found.forEach(([value, of], n) => {
    const left = (n % columns) * cell + 48;
    const top = Math.floor(n / columns) * (cell + 12) + 22;
    const x = scaleLinear([-0.03, 1.03], [left, left + side]);
    const y = scaleLinear([-0.03, 1.03], [top + side, top]);
    axes(surface, {
      x,
      y,
      xTicks: 3,
      yTicks: 3,
      xLabel: axisName(ax),
      yLabel: n % columns ? "" : axisName(ay),
      xFormat: ax < 0 ? steps : null,
      yFormat: ay < 0 ? steps : null,
    });
    const name = by.includes(".")
      ? `${words(by)} ${value}`
      : by === "class" || by === "seed"
        ? `${by} ${value}`
        : value;
    surface.clip(left, top - 22, cell - 56, 20, () =>
      surface.text(left, top - 7, name, { color: color.ink, size: 12, bold: true }),
    );
    for (const line of of) {
      const spots = line.steps.map((_, i) => [x(valueAt(line, i, ax)), y(valueAt(line, i, ay))]);
      const now = line.index(state.step ?? 0);
      const tint = paint.of(line);
      const dash =
        by === "protocol" || state.protocols.size < 2
          ? []
          : DASHES[protocolNames().indexOf(line.protocol) % DASHES.length];
      surface.line(spots, { color: tint, width: 1, alpha: 0.3, dash });
      surface.line(spots.slice(0, now + 1), {
        color: tint,
        width: of.length > 30 ? 0.8 : 1.6,
        dash,
        alpha: of.length > 30 ? 0.6 : 1,
      });
      surface.dots([spots[now]], of.length > 30 ? 2 : 4, { color: tint, stroke: color.paper });
      const turn = line.protocol === "naive" ? turnOf(line) : null;
      if (turn?.detected)
        surface.dots([spots[line.index(turn.step)]], 3, { color: color.band, stroke: color.ink, width: 1 });
      drawn.push([line, spots]);
    }
  });
  return () => ofLines(drawn);
}

function racers(): [string, Line[]][] {
  return protocolNames().map((protocol): [string, Line[]] => [protocol, lines([protocol], [comparedClass()])]);
}

const slot = (count: number) => Math.max(2, Math.min(SLOT, 150 / count));

function race(surface: Surface, width: number): Hit<Ref>[] {
  const rows = racers();
  const color = ink();
  const paint = coloring();
  const hits: Hit<Ref>[] = [];
  const left = Math.min(170, width * 0.36);
  const x = scaleLinear([0, 1], [left, width - 20]);
  const bottom = rows.reduce((sum, [, of]) => sum + Math.max(1, of.length) * slot(of.length) + 12, 8);
  axes(surface, {
    x,
    y: scaleLinear([0, 1], [bottom, 4]),
    yTicks: 0,
    yFormat: () => "",
    xLabel: `joint accuracy${lone() ? "" : ` on ${comparedClass()}`} at step ${thousands(state.step ?? 0)}`,
  });
  surface.line(
    [
      [x(threshold()), 4],
      [x(threshold()), bottom],
    ],
    { color: color.quiet, width: 1, dash: [4, 3] },
  );
  let y = 12;
  rows.forEach(([protocol, of], n) => {
    const high = Math.max(1, of.length) * slot(of.length);
    surface.clip(0, y - 6, left - 4, high + 12, () =>
      surface.text(left - 8, y + high / 2 + 4, protocol, { color: color.ink, size: 12, anchor: "end" }),
    );
    of.forEach((line, k) => {
      const i = line.index(state.step ?? 0);
      const at = y + (k + 0.5) * slot(of.length);
      const tint = ["class", "protocol"].includes(colorKey()) ? apart(n) : paint.of(line);
      const [low, up] = line.interval("joint", 0, i);
      surface.line(
        [
          [x(low), at],
          [x(up), at],
        ],
        { color: tint, width: 1.6 },
      );
      surface.dots([[x(line.joint[i]), at]], Math.min(4.5, slot(of.length) / 2 + 1), { color: tint });
      if (of.length <= 8 && of.length > 1) {
        const before = x(low) - left > width - x(up); // on the side that has more room
        const room = before ? x(low) - left - 16 : width - x(up) - 16;
        const name = settingName(line.runs[0]) || label(line, true);
        surface.text(before ? x(low) - 8 : x(up) + 8, at + 4, cut(name, Math.floor(room / 6)), {
          color: color.quiet,
          size: 10.5,
          anchor: before ? "end" : "start",
          halo: color.paper,
        });
      } else if (of.length === 1)
        surface.text(x(up) + 8 < width - 60 ? x(up) + 8 : x(low) - 34, at + 4, digits(line.joint[i]), {
          color: color.quiet,
          size: 11,
        });
      hits.push({ x: x(line.joint[i]), y: at, ref: { line, i } });
    });
    y += high + 12;
  });
  return hits;
}

function draw() {
  if (!settled()) return;
  const choices = facetChoices();
  options(select("facet"), choices, facet());
  options(
    select("compare-class"),
    [["", "those chosen above"], ...space().classes.map((c): [string, string] => [c.name, `${c.name} ${c.words}`])],
    state.compareClass,
  );
  (byId("compare-class").parentElement as HTMLElement).hidden = lone();
  byId("race-title").textContent = `Protocols at the same step${ofClass(comparedClass(), ", ")}`;
  Object.values(charts).forEach((chart) => chart.refresh());
}

export function startCompare() {
  const hover = (ref: Ref, event: PointerEvent) => {
    if (event.type === "pointerdown") change({ step: ref.line.steps[ref.i], playing: false });
    lookAt(ref.line, event.type === "pointerdown" ? null : ref.line.steps[ref.i]);
  };
  charts.multiples = new Chart(byId("multiples"), {
    name: "small-multiples",
    draw: panels,
    hover,
    height: (width) => {
      const [, rows, cell] = grid(Math.max(1, facets().length), width);
      return rows * (cell + 12) + 8;
    },
    label: () => `${facets().length} panels, one for each ${words(facet())}, at step ${thousands(state.step ?? 0)}`,
  });
  charts.race = new Chart(byId("race"), {
    name: "protocols",
    draw: race,
    hover,
    height: () => racers().reduce((sum, [, of]) => sum + Math.max(1, of.length) * slot(of.length) + 12, 50),
    label: () =>
      `Joint accuracy on ${comparedClass()} at step ${thousands(state.step ?? 0)}: ${racers()
        .flatMap(([, of]) => of.slice(0, 8))
        .map((line) => `${line.protocol}, ${label(line, true)} ${digits(line.joint[line.index(state.step ?? 0)])}`)
        .join("; ")}`,
  });
  select("facet").onchange = () => change({ facet: select("facet").value });
  select("compare-class").onchange = () => change({ compareClass: select("compare-class").value });
  subscribe([...CHOICE, "data", "index", "turns", "step", "axes", "ends", "theme", "facet", "compareClass"], draw);
}
