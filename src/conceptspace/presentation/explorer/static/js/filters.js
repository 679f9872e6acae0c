// Choices above the concept space: classes, protocols, seeds, axes, color.

import { byId, make, options, words } from "./dom.js";
import { state, change, subscribe, touch } from "./store.js";
import { model, space, endsOf, runsHere, chosenRuns, lone, protocolNames, trajectoryOf, variedHere, each, load, forget } from "./model.js";
import { axisName } from "./space.js";
import { colorWords } from "./coloring.js";

const MOST_SEEDS = 16, NAMES = new Set(["class", "protocol", "run", "seed"]);

function chips(id, title, entries, isOn, set) {
  const place = byId(id), signature = JSON.stringify(entries);
  if (place.dataset.entries !== signature) {
    place.dataset.entries = signature;
    place.replaceChildren(make("span", { class: "name" }, title), ...entries.map(([value, text, css, hint]) => {
      const box = make("input", { type: "checkbox", value, change: () => set(value, box.checked) });
      return make("label", { class: css ?? "", title: hint ?? null }, box, text);
    }));
  }
  for (const box of place.querySelectorAll("input")) box.checked = isOn(box.value);
}

function toggled(set, value, on) {
  const next = new Set(set);
  if (on) next.add(value);
  else next.delete(value);
  return next;
}

// The settings that are swept anywhere in the chosen protocols: a fixed one may be looked at.
function sweptSettings() {
  const found = new Set();
  for (const run of chosenRuns()) for (const protocol of trajectoryOf(run.token)?.protocols ?? []) if (state.protocols.has(protocol.name) && protocol.settings.length > 1) protocol.settings.forEach((name) => found.add(name));
  return [...found];
}

export async function fix(setting) {
  if (setting) await each(chosenRuns(), async (run) => {
    const told = await load("settings", run);
    model.settings.get(run.token).ready = told;
  });
  forget();
  change({ setting });
}

function draw() {
  const here = space();
  if (!here) return;
  chips("classes", "Classes", here.classes.map((c) => [c.name, c.name, c.ood ? "ood" : "train", `${c.words}${c.ood ? ", held out" : ", trained"}`]), (v) => state.classes.has(v), (v, on) => change({ classes: toggled(state.classes, v, on) }));
  byId("classes").hidden = lone();
  const names = protocolNames(runsHere().filter((run) => state.chosen.has(run.token)));
  chips("protocols", "Protocols", names.map((name) => [name, name]), (v) => state.protocols.has(v), (v, on) => change({ protocols: toggled(state.protocols, v, on) }));
  byId("protocols").hidden = names.length < 2;
  const seeds = [...new Set(runsHere().map((run) => String(run.seed)))].sort((a, b) => a - b);
  byId("seeds").hidden = seeds.length < 2 || seeds.length > MOST_SEEDS;
  chips("seeds", "Seeds", seeds.map((seed) => [seed, seed]), (v) => !state.hiddenSeeds.has(v), (v, on) => change({ hiddenSeeds: toggled(state.hiddenSeeds, v, !on) }));
  options(byId("color"), [["auto", `by what varies (${colorWords()})`], ["class", "by class"], ["protocol", "by protocol"], ["run", "by run"], ["seed", "by seed"], ...variedHere().map((name) => [name, `by ${words(name)}`])], NAMES.has(state.color) || variedHere().includes(state.color) ? state.color : "auto");
  byId("mode").value = state.mode;
  byId("dims").value = String(state.dims);
  const axes = [...here.concepts.map((_, c) => [c, axisName(c)]), [-1, "step"]];
  ["x", "y", "z"].forEach((name, k) => options(byId(`axis-${name}`), axes, state.axes[k]));
  byId("axis-z-box").hidden = state.dims < 3;
  ["x", "y", "z"].forEach((name, k) => drawEnds(name, state.axes[k], k < state.dims));
  const swept = sweptSettings();
  byId("setting-box").hidden = !swept.length;
  options(byId("setting"), [["", "best of each step"], ...swept.map((name) => [name, name])], state.setting);
  options(byId("space-choice"), model.index.spaces.map((s, i) => [i, s.concepts.map((c) => c.name).join(", ")]), state.space);
  byId("space-box").hidden = model.index.spaces.length < 2;
}

// Of more than two values, between which two an axis runs.
function drawEnds(name, axis, used) {
  const labels = axis < 0 ? [] : space().concepts[axis].labels, many = used && labels.length > 2;
  byId(`ends-${name}`).hidden = !many;
  if (many) ["from", "to"].forEach((end, e) => options(byId(`${end}-${name}`), labels.map((label, value) => [value, label]), endsOf(axis)[e]));
}

// The ends are different, as axes are.
function setEnd(k, end, value) {
  const axis = state.axes[k], ends = [...endsOf(axis)];
  if (ends[1 - end] === value) ends[1 - end] = ends[end];
  ends[end] = value;
  change({ ends: { ...state.ends, [axis]: ends } });
}

// Axes are different: the one that is taken is given in exchange.
function setAxis(k, axis) {
  const axes = [...state.axes], other = axes.indexOf(axis);
  if (other >= 0) axes[other] = axes[k];
  axes[k] = axis;
  change({ axes });
}

// Another concept space: its classes, its axes, its runs.
export function enter(number) {
  const here = model.index.spaces[number];
  const axes = [0, 1, 2].map((k) => (k < here.concepts.length ? k : -1));
  if (here.concepts.length === 1) axes.splice(0, 3, -1, 0, -1);
  const ood = here.classes.find((c) => c.ood) ?? here.classes.at(-1);
  change({ space: number, classes: new Set(here.classes.map((c) => c.name)), axes, ends: {}, focus: null, setting: "", compareClass: ood.name, facet: "" });
}

export function startFilters() {
  byId("mode").onchange = () => change({ mode: byId("mode").value });
  byId("color").onchange = () => change({ color: byId("color").value });
  byId("dims").onchange = () => change({ dims: Number(byId("dims").value) });
  byId("setting").onchange = () => fix(byId("setting").value);
  byId("space-choice").onchange = () => { enter(Number(byId("space-choice").value)); touch("data"); };
  ["x", "y", "z"].forEach((name, k) => { byId(`axis-${name}`).onchange = () => setAxis(k, Number(byId(`axis-${name}`).value)); });
  ["x", "y", "z"].forEach((name, k) => ["from", "to"].forEach((end, e) => { byId(`${end}-${name}`).onchange = () => setEnd(k, e, Number(byId(`${end}-${name}`).value)); }));
  subscribe(["data", "index", "chosen", "classes", "protocols", "hiddenSeeds", "mode", "color", "dims", "axes", "ends", "setting", "space"], draw);
}
