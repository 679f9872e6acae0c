// Accuracies, loss and noise schedule against steps.

import { byId, digits, thousands } from "./dom.js";
import { state, change, subscribe } from "./store.js";
import { space, chosenRuns, each, groups, lines, load, ofClass, protocolNames, shownLines, turnOf, trajectoryOf, threshold } from "./model.js";
import { DASHES, apart, ink } from "./palette.js";
import { Chart, axes } from "./chart.js";
import { coloring, lookAt } from "./space.js";
import { comparedClass } from "./compare.js";
import { positions } from "./clock.js";

const BANDS = 12, MOST_LOGS = 40;
const charts = {};
let logs = new Map(), ticket = 0, kept = "";

function frame(surface, width, height, y, yLabel, options = {}) {
  const x = d3.scaleLinear([0, positions().at(-1) ?? 1], [50, width - 20]);
  y.range([height - 38, 22]);
  axes(surface, { x, y, xTicks: width < 450 ? 3 : 5, yTicks: 5, xLabel: "step", yLabel, ...options });
  return x;
}

// The present, on top: moving it redraws nothing else.
function cursor(surface, width, height) {
  if (!positions().length) return;
  const x = d3.scaleLinear([0, positions().at(-1) ?? 1], [50, width - 20])(state.step ?? 0);
  surface.line([[x, 22], [x, height - 38]], { color: ink().ink, width: 1 });
}

function bands(surface, all, x, y, kind, c, tint, dash = []) {
  const hits = [];
  for (const line of all) {
    const read = (i) => (c === null ? line[kind][i] : line[kind][c][i]);
    if (all.length <= BANDS) {
      const ends = line.steps.map((_, i) => line.interval(kind, c, i));
      surface.area([...ends.map(([low], i) => [x(line.steps[i]), y(low)]), ...ends.map(([, up], i) => [x(line.steps[i]), y(up)]).reverse()], { color: tint(line), alpha: 0.14 });
    }
    surface.line(line.steps.map((step, i) => [x(step), y(read(i))]), { color: tint(line), width: all.length > 40 ? 0.8 : 1.8, alpha: all.length > 40 ? 0.6 : 1, dash: Array.isArray(dash) ? dash : dash(line) });
    line.steps.forEach((step, i) => hits.push({ x: x(step), y: y(read(i)), ref: { line, i } }));
  }
  return hits;
}

function joint(surface, width, height) {
  const y = d3.scaleLinear().domain([0, 1.02]), all = shownLines(), x = frame(surface, width, height, y, "joint accuracy"), paint = coloring(), color = ink();
  surface.line([[x(0), y(threshold())], [x.range()[1], y(threshold())]], { color: color.quiet, dash: [4, 3], width: 1 });
  const dash = (line) => (state.protocols.size < 2 || state.color === "protocol" ? [] : DASHES[protocolNames().indexOf(line.protocol) % DASHES.length]);
  const hits = bands(surface, all, x, y, "joint", null, paint.of, dash);
  for (const line of all) {
    const turn = line.protocol === "naive" ? turnOf(line) : null;
    if (turn?.detected) surface.dots([[x(turn.step), y(line.joint[line.index(turn.step)])]], 4, { color: color.band, stroke: color.ink, width: 1 });
  }
  return hits;
}

function concepts(surface, width, height) {
  const y = d3.scaleLinear().domain([0, 1.02]), x = frame(surface, width, height, y, "accuracy"), hits = [];
  const names = protocolNames().filter((name) => state.protocols.has(name));
  space().concepts.forEach((concept, c) => {
    hits.push(...bands(surface, lines(names, [comparedClass()]), x, y, "accuracy", c, () => apart(c), (line) => DASHES[names.indexOf(line.protocol) % DASHES.length]));
    surface.text(56 + c * 90, 14, concept.name, { color: apart(c), size: 12, bold: true });
  });
  return hits;
}

const stories = () => chosenRuns().slice(0, MOST_LOGS).map((run) => [run, logs.get(run.token)]).filter(([, log]) => log?.step?.length);

function empty(surface, width, height, why = "") {
  const told = why || (!chosenRuns().length ? "No run is chosen." : kept ? "These runs keep no training log." : "Reading the training logs…");
  surface.text(width / 2, height / 2, told, { color: ink().quiet, size: 12, anchor: "middle" });
  return [];
}

function loss(surface, width, height) {
  const found = stories(), paint = coloringOfRuns();
  if (!found.length) return empty(surface, width, height);
  const kind = found.every(([, log]) => log.diffusion) ? "diffusion" : "loss";
  const values = found.flatMap(([, log]) => log[kind]).filter((v) => v !== null && v > 0);
  const y = (values.length ? d3.scaleLog().domain(d3.extent(values)) : d3.scaleLinear()).nice(), x = frame(surface, width, height, y, "bits per dimension", { yFormat: values.length ? y.tickFormat(5, "~g") : null });
  for (const [run, log] of found) surface.line(log.step.map((step, i) => [x(step), log[kind][i]]).filter(([, v]) => v > 0).map(([px, v]) => [px, y(v)]), { color: paint(run), width: found.length > 8 ? 0.8 : 1.3, alpha: 0.85 });
  surface.text(56, 14, kind === "diffusion" ? "diffusion term, mean over neighboring steps" : "loss, mean over neighboring steps", { color: ink().quiet, size: 11 });
  return [];
}

function gamma(surface, width, height) {
  const logged = stories(), found = logged.filter(([, log]) => log.gamma_0 && log.gamma_1), paint = coloringOfRuns();
  if (!found.length) return empty(surface, width, height, logged.length ? "The training log holds no γ." : "");
  const values = found.flatMap(([, log]) => [...log.gamma_0, ...log.gamma_1]).filter((v) => v !== null);
  const y = d3.scaleLinear().domain(d3.extent([...values, 0])).nice(), x = frame(surface, width, height, y, "γ");
  for (const [run, log] of found) for (const [kind, dash] of [["gamma_0", []], ["gamma_1", [5, 3]]]) surface.line(log.step.map((step, i) => [x(step), log[kind][i]]).filter(([, v]) => v !== null).map(([px, v]) => [px, y(v)]), { color: paint(run), width: 1.4, dash });
  surface.text(56, 14, "γ(0) solid, γ(1) dashed", { color: ink().quiet, size: 11 });
  return [];
}

// Runs have no class: they take the color of their setting, or one of their own.
function coloringOfRuns() {
  const runs = chosenRuns(), paint = coloring();
  if (state.color.includes(".")) return (run) => paint.of({ runs: [run], name: comparedClass(), protocol: "naive" });
  const all = groups(), at = (run) => all.findIndex((group) => group.includes(run));
  return (run) => (all.length > 1 ? apart(at(run)) : runs.length > 1 && state.mode === "runs" ? apart(runs.indexOf(run)) : apart(0));
}

async function fetchLogs() {
  const runs = chosenRuns().filter((run) => trajectoryOf(run.token)).slice(0, MOST_LOGS), key = runs.map((run) => run.token + run.version).join(), mine = ++ticket;
  if (key === kept) return;
  const found = new Map();
  await each(runs, async (run) => {
    if (mine !== ticket) return;
    try { found.set(run.token, (await load("details", run)).training); } catch { found.set(run.token, null); }
  });
  if (mine !== ticket) return;
  [kept, logs] = [key, found];
  charts.loss.refresh();
  charts.gamma.refresh();
}

function ending(kind) {
  const found = stories();
  return found.slice(0, 6).map(([run, log]) => `${run.name} ends at ${digits(log[kind]?.at(-1))}`).join(", ") || "no training log";
}

export function startCurves() {
  const hover = (ref, event) => {
    if (event.type === "pointerdown") change({ step: ref.line.steps[ref.i], playing: false });
    lookAt(ref.line, event.type === "pointerdown" ? null : ref.line.steps[ref.i]);
  };
  const at = () => `at step ${thousands(state.step ?? 0)}`;
  const told = (of, read) => of.slice(0, 8).map((line) => `${line.protocol} ${line.name} ${digits(read(line, line.index(state.step)))}`).join(", ");
  charts.joint = new Chart(byId("curve-joint"), { name: "joint-accuracy", draw: joint, over: cursor, hover, label: () => `Joint accuracy against steps, ${at()}: ${told(shownLines(), (line, i) => line.joint[i])}` });
  charts.concepts = new Chart(byId("curve-concepts"), { name: "concept-accuracy", draw: concepts, over: cursor, hover, label: () => `Accuracy of each concept against steps, ${at()}: ${space().concepts.map((concept, c) => `${concept.name} ${told(lines(["naive"], [comparedClass()]), (line, i) => line.accuracy[c][i])}`).join("; ")}` });
  charts.loss = new Chart(byId("curve-loss"), { name: "loss", draw: loss, over: (...at) => stories().length && cursor(...at), label: () => `Training loss against steps: ${ending("diffusion")}` });
  charts.gamma = new Chart(byId("curve-gamma"), { name: "gamma", draw: gamma, over: (...at) => stories().length && cursor(...at), label: () => `Noise schedule against steps, gamma(0): ${ending("gamma_0")}` });
  const near = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) fetchLogs(); }, { rootMargin: "400px" });
  near.observe(byId("curve-loss"));
  subscribe(["data", "index", "turns", "step", "chosen", "classes", "protocols", "hiddenSeeds", "mode", "color", "setting", "space", "theme", "compareClass"], (keys) => {
    if (!space()) return;
    byId("concept-title").textContent = `Accuracy of each concept${ofClass(comparedClass(), ", ")}`;
    Object.values(charts).forEach((chart) => (keys.size === 1 && keys.has("step") ? chart.refreshTop() : chart.refresh()));
    const box = byId("curve-loss").getBoundingClientRect();
    if (!(keys.size === 1 && keys.has("step")) && box.top < innerHeight + 400) fetchLogs();
  });
}
