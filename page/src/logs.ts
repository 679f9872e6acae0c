// Loss and noise schedule against steps, from the training logs.

import { extent } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { Chart, type Scale } from "./chart";
import { coloring, colorKey } from "./coloring";
import { byId, digits } from "./dom";
import { cursor, frame } from "./frame";
import { chosenRuns, each, groups, keyOf, load, settled, trajectoryOf } from "./model";
import { apart, ink } from "./palette";
import { CHOICE, state, subscribe } from "./store";
import type { Surface } from "./surface";
import type { Log, Maybe, Run } from "./types";

const MOST_LOGS = 40;
const charts = {} as { loss: Chart; gamma: Chart };
let logs = new Map<string, Log | null>();
let ticket = 0;
let kept = "";

function runsWithLogs(): [Run, Log][] {
  return chosenRuns()
    .slice(0, MOST_LOGS)
    .flatMap((run): [Run, Log][] => {
      const log = logs.get(run.token);
      return log?.step?.length ? [[run, log]] : [];
    });
}

function empty(surface: Surface, width: number, height: number, why = ""): null {
  const message =
    why ||
    (!chosenRuns().length
      ? "No run is chosen."
      : kept
        ? "These runs keep no training log."
        : "Reading the training logs…");
  surface.text(width / 2, height / 2, message, { color: ink().quiet, size: 12, anchor: "middle" });
  return null;
}

// The points of a column of a log, where it has values.
function points(log: Log, kind: string, x: Scale, y: Scale, wanted = (_: number) => true): [number, number][] {
  return log.step.flatMap((step, i): [number, number][] => {
    const value: Maybe = log[kind][i];
    return value !== null && wanted(value) ? [[x(step), y(value)]] : [];
  });
}

function loss(surface: Surface, width: number, height: number): null {
  const found = runsWithLogs();
  const paint = coloringOfRuns();
  if (!found.length) return empty(surface, width, height);
  const kind = found.every(([, log]) => log.diffusion) ? "diffusion" : "loss";
  const values = found.flatMap(([, log]) => log[kind]).filter((v): v is number => v !== null);
  // A loss of one's own, as of a GAN, may be 0 or less, where a logarithm has no place for it.
  const logarithmic = values.length > 0 && values.every((v) => v > 0);
  const y = (logarithmic ? scaleLog() : scaleLinear())
    .domain(values.length ? (extent(values) as [number, number]) : [0, 1])
    .nice();
  const x = frame(surface, width, height, y, kind === "diffusion" ? "bits per dimension" : "loss", {
    yFormat: logarithmic ? y.tickFormat(5, "~g") : null,
  });
  for (const [run, log] of found)
    surface.line(points(log, kind, x, y), {
      color: paint(run),
      width: found.length > 8 ? 0.8 : 1.3,
      alpha: 0.85,
    });
  surface.text(
    56,
    14,
    kind === "diffusion" ? "diffusion term, mean over neighboring steps" : "loss, mean over neighboring steps",
    { color: ink().quiet, size: 11 },
  );
  return null;
}

function gamma(surface: Surface, width: number, height: number): null {
  const logged = runsWithLogs();
  const found = logged.filter(([, log]) => log.gamma_0 && log.gamma_1);
  const paint = coloringOfRuns();
  if (!found.length) return empty(surface, width, height, logged.length ? "The training log holds no γ." : "");
  const values = found.flatMap(([, log]) => [...log.gamma_0, ...log.gamma_1]).filter((v): v is number => v !== null);
  const y = scaleLinear()
    .domain(extent([...values, 0]) as [number, number])
    .nice();
  const x = frame(surface, width, height, y, "γ");
  for (const [run, log] of found)
    for (const [kind, dash] of [
      ["gamma_0", []],
      ["gamma_1", [5, 3]],
    ] as [string, number[]][])
      surface.line(points(log, kind, x, y), { color: paint(run), width: 1.4, dash });
  surface.text(56, 14, "γ(0) solid, γ(1) dashed", { color: ink().quiet, size: 11 });
  return null;
}

// Runs have no class: they take the color of their setting, or one of their own.
function coloringOfRuns(): (run: Run) => string {
  const runs = chosenRuns();
  const paint = coloring();
  if (colorKey().includes(".")) return paint.ofRun;
  const all = groups();
  const at = (run: Run) => all.findIndex((group) => group.includes(run));
  return (run) =>
    all.length > 1 ? apart(at(run)) : runs.length > 1 && state.mode === "runs" ? apart(runs.indexOf(run)) : apart(0);
}

async function fetchLogs() {
  const runs = chosenRuns()
    .filter((run) => trajectoryOf(run.token))
    .slice(0, MOST_LOGS);
  const key = keyOf(runs);
  const mine = ++ticket;
  if (key === kept) return;
  const found = new Map<string, Log | null>();
  await each(runs, async (run) => {
    if (mine !== ticket) return;
    try {
      found.set(run.token, (await load("details", run)).training as Log);
    } catch {
      found.set(run.token, null);
    }
  });
  if (mine !== ticket) return;
  [kept, logs] = [key, found];
  charts.loss.refresh();
  charts.gamma.refresh();
}

function ending(kind: string): string {
  const found = runsWithLogs();
  return (
    found
      .slice(0, 6)
      .map(([run, log]) => `${run.name} ends at ${digits(log[kind]?.at(-1))}`)
      .join(", ") || "no training log"
  );
}

export function startLogs() {
  charts.loss = new Chart(byId("curve-loss"), {
    name: "loss",
    draw: loss,
    over: (...where) => {
      if (runsWithLogs().length) cursor(...where);
    },
    label: () => `Training loss against steps: ${ending("diffusion")}`,
  });
  charts.gamma = new Chart(byId("curve-gamma"), {
    name: "gamma",
    draw: gamma,
    over: (...where) => {
      if (runsWithLogs().some(([, log]) => log.gamma_0 && log.gamma_1)) cursor(...where);
    },
    label: () => `Noise schedule against steps, gamma(0): ${ending("gamma_0")}`,
  });
  let inSight = false;
  const near = new IntersectionObserver(
    (seen) => {
      inSight = seen.at(-1)?.isIntersecting ?? false;
      if (inSight) fetchLogs();
    },
    { rootMargin: "400px" },
  );
  near.observe(byId("curve-loss"));
  subscribe([...CHOICE, "data", "index", "turns", "step", "theme", "compareClass"], (keys) => {
    if (!settled()) return;
    const present = keys.size === 1 && keys.has("step");
    for (const chart of Object.values(charts)) present ? chart.refreshTop() : chart.refresh();
    if (inSight && !present) fetchLogs();
  });
}
