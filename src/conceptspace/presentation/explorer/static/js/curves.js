// Accuracies, loss and noise schedule against steps.

import { byId, digits, thousands, words } from "./dom.js";
import { state, change, subscribe } from "./store.js";
import { space, chosenRuns, each, groups, label, lines, load, settingName, ofClass, protocolNames, shownLines, turnOf, trajectoryOf, threshold } from "./model.js";
import { DASHES, apart, ink } from "./palette.js";
import { Chart, axes } from "./chart.js";
import { lookAt } from "./space.js";
import { colorKey, coloring } from "./coloring.js";
import { brief, endLabels } from "./labels.js";
import { Readout } from "./readout.js";
import { comparedClass } from "./compare.js";
import { positions } from "./clock.js";

const LEGIBLE = 8, MOST_LOGS = 40, PANEL = 128, LABELS = 104;
const charts = {}, values = {};
let logs = new Map(), ticket = 0, kept = "";

function frame(surface, width, height, y, yLabel, { right = 20, ...options } = {}) {
  const x = d3.scaleLinear([0, positions().at(-1) ?? 1], [50, width - right]);
  y.range([height - 38, 22]);
  axes(surface, { x, y, xTicks: width < 450 ? 3 : 5, yTicks: 5, xLabel: "step", yLabel, ...options });
  return x;
}

// The present, on top: moving it redraws nothing else.
function cursor(surface, width, height, spans = [d3.scaleLinear([0, positions().at(-1) ?? 1], [50, width - 20])]) {
  if (!positions().length) return;
  for (const x of spans) surface.line([[x(state.step ?? 0), 22], [x(state.step ?? 0), height - 38]], { color: ink().ink, width: 1 });
}

// What tells a line from the others, in few words.
function nameOf(line, all) {
  const several = (read) => new Set(all.map(read)).size > 1;
  const of = (one) => one.runs.map((run) => run.token).join();
  const parts = [several((one) => one.name) && line.name, several((one) => one.protocol) && brief(line.protocol), several(of) && (settingName(line.runs[0]) || line.runs[0].name)];
  return parts.filter(Boolean).join(", ") || line.protocol;
}

const cut = (text, most = 18) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function bands(surface, all, x, y, kind, c, tint, dash = []) {
  const hits = [];
  for (const line of all) {
    const read = (i) => (c === null ? line[kind][i] : line[kind][c][i]);
    if (all.length <= LEGIBLE) {
      const ends = line.steps.map((_, i) => line.interval(kind, c, i));
      surface.area([...ends.map(([low], i) => [x(line.steps[i]), y(low)]), ...ends.map(([, up], i) => [x(line.steps[i]), y(up)]).reverse()], { color: tint(line), alpha: 0.14 });
    }
    surface.line(line.steps.map((step, i) => [x(step), y(read(i))]), { color: tint(line), width: all.length > 40 ? 0.8 : 1.8, alpha: all.length > 40 ? 0.6 : 1, dash: Array.isArray(dash) ? dash : dash(line) });
    line.steps.forEach((step, i) => hits.push({ x: x(step), y: y(read(i)), ref: { line, i } }));
  }
  return hits;
}

// Up to eight lines stand in one frame with their names; more get a panel for each color.
function joint(surface, width, height) {
  const all = shownLines();
  return all.length > LEGIBLE ? panels(surface, width, all) : together(surface, width, height, all);
}

const split = (all) => d3.groups(all, coloring().read);
const columnsOf = (width) => Math.max(1, Math.min(3, Math.floor(width / 170)));
const dashOf = (line) => (state.protocols.size < 2 || colorKey() === "protocol" ? [] : DASHES[protocolNames().indexOf(line.protocol) % DASHES.length]);

function panels(surface, width, all) {
  const columns = columnsOf(width), cell = width / columns, high = rowHeight(all, width), paint = coloring(), color = ink(), hits = [];
  charts.joint.spans = [];
  split(all).forEach(([value, of], n) => {
    const left = (n % columns) * cell + 30, top = Math.floor(n / columns) * high + 20;
    const x = d3.scaleLinear([0, positions().at(-1) ?? 1], [left, left + cell - 46]), y = d3.scaleLinear([0, 1.02], [top + high - 44, top]);
    axes(surface, { x, y, xTicks: 2, yTicks: 2 });
    surface.line([[left, y(threshold())], [x.range()[1], y(threshold())]], { color: color.quiet, dash: [4, 3], width: 1 });
    for (const line of all) if (!of.includes(line) && all.length <= 60) surface.line(line.steps.map((step, i) => [x(step), y(line.joint[i])]), { color: color.line, width: 0.7 });
    hits.push(...bands(surface, of, x, y, "joint", null, paint.of, dashOf));
    const told = colorKey().includes(".") ? `${words(colorKey())} ${value}` : colorKey() === "class" ? `class ${value}` : cut(label(of[0], true).length < 30 && colorKey() === "run" ? label(of[0], true) : String(value), 26);
    surface.text(left, top - 5, told, { color: paint.of(of[0]), size: 11.5, bold: true });
    if (n < columns) charts.joint.spans.push(x);
  });
  return hits;
}

const rowsOf = (all, width) => Math.ceil(split(all).length / columnsOf(width));
const rowHeight = (all, width) => (rowsOf(all, width) === 1 ? 220 : PANEL);
const jointHeight = (width) => { const all = shownLines(); return all.length > LEGIBLE ? rowsOf(all, width) * rowHeight(all, width) + 20 : 240; };

function together(surface, width, height, all) {
  const right = all.length > 1 ? LABELS : 20, y = d3.scaleLinear().domain([0, 1.02]), x = frame(surface, width, height, y, "joint accuracy", { right }), paint = coloring(), color = ink();
  charts.joint.spans = [x];
  surface.line([[x(0), y(threshold())], [x.range()[1], y(threshold())]], { color: color.quiet, dash: [4, 3], width: 1 });
  const hits = bands(surface, all, x, y, "joint", null, paint.of, dashOf);
  if (all.length > 1) endLabels(surface, all.map((line) => ({ y: y(line.joint.at(-1)), text: cut(nameOf(line, all)), color: paint.of(line) })), { x: x.range()[1], top: 22, bottom: height - 38 });
  for (const line of all) {
    const turn = line.protocol === "naive" ? turnOf(line) : null;
    if (turn?.detected) surface.dots([[x(turn.step), y(line.joint[line.index(turn.step)])]], 4, { color: color.band, stroke: color.ink, width: 1 });
  }
  return hits;
}

function concepts(surface, width, height) {
  const y = d3.scaleLinear().domain([0, 1.02]), x = frame(surface, width, height, y, "accuracy", { right: LABELS }), hits = [], ends = [];
  charts.concepts.spans = [x];
  const names = protocolNames().filter((name) => state.protocols.has(name));
  space().concepts.forEach((concept, c) => {
    hits.push(...bands(surface, lines(names, [comparedClass()]), x, y, "accuracy", c, () => apart(c), (line) => DASHES[names.indexOf(line.protocol) % DASHES.length]));
    const [line] = lines(names, [comparedClass()]);
    if (line) ends.push({ y: y(line.accuracy[c].at(-1)), text: cut(concept.name), color: apart(c) });
  });
  endLabels(surface, ends, { x: x.range()[1], top: 22, bottom: height - 38 });
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
  if (colorKey().includes(".")) return (run) => paint.of({ runs: [run], name: comparedClass(), protocol: "naive" });
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

function entry(line, kind, c, step, name, color) {
  const i = line.steps.indexOf(step);
  if (i < 0) return { name, color, value: NaN };
  const [low, high] = line.interval(kind, c, i);
  return { name, color, value: c === null ? line[kind][i] : line[kind][c][i], low, high };
}

export function startCurves() {
  const hover = (ref, event) => {
    if (event.type === "pointerdown") change({ step: ref.line.steps[ref.i], playing: false });
    lookAt(ref.line, event.type === "pointerdown" ? null : ref.line.steps[ref.i]);
  };
  const at = () => `at step ${thousands(state.step ?? 0)}`;
  const told = (of, read) => of.slice(0, 8).map((line) => `${line.protocol} ${line.name} ${digits(read(line, line.index(state.step)))}`).join(", ");
  charts.joint = new Chart(byId("curve-joint"), { name: "joint-accuracy", draw: joint, height: jointHeight, hover,
    over: (surface, width, height) => { cursor(surface, width, height, charts.joint.spans); values.joint?.draw(surface, 20, height - 38); }, label: () => `Joint accuracy against steps, ${at()}: ${told(shownLines(), (line, i) => line.joint[i])}` });
  charts.concepts = new Chart(byId("curve-concepts"), { name: "concept-accuracy", draw: concepts, hover,
    over: (surface, width, height) => { cursor(surface, width, height, charts.concepts.spans); values.concepts?.draw(surface, 22, height - 38); }, label: () => `Accuracy of each concept against steps, ${at()}: ${space().concepts.map((concept, c) => `${concept.name} ${told(lines(["naive"], [comparedClass()]), (line, i) => line.accuracy[c][i])}`).join("; ")}` });
  values.joint = new Readout(charts.joint, (step) => { const all = shownLines(), paint = coloring(); return all.map((line) => entry(line, "joint", null, step, nameOf(line, all), paint.of(line))); });
  values.concepts = new Readout(charts.concepts, (step) => space().concepts.flatMap((concept, c) => { const all = lines(protocolNames().filter((name) => state.protocols.has(name)), [comparedClass()]); return all.map((line) => entry(line, "accuracy", c, step, all.length > 1 ? `${concept.name}, ${nameOf(line, all)}` : concept.name, apart(c))); }));
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
