// Choices above the concept space: classes, protocols, seeds, axes, color.

import { axisName } from "./axis";
import { colorWords } from "./coloring";
import { byId, make, options, select, words } from "./dom";
import { endsOf, lone, model, protocolsOf, runsHere, settled, space, variedHere } from "./model";
import { CHOICE, change, state, subscribe, touch } from "./store";

const MOST_SEEDS = 16;
const NAMES = new Set(["class", "protocol", "run", "seed"]);

type Entry = [string | number, string];
type Chip = [value: string, text: string, css?: string, hint?: string];

function chips(
  id: string,
  title: string,
  entries: Chip[],
  isOn: (value: string) => boolean,
  set: (value: string, on: boolean) => void,
): void {
  const place = byId(id);
  const signature = JSON.stringify(entries);
  if (place.dataset.entries !== signature) {
    place.dataset.entries = signature;
    place.replaceChildren(
      make("span", { class: "name" }, title),
      ...entries.map(([value, text, css, hint]) => {
        const box: HTMLInputElement = make("input", { type: "checkbox", value, change: () => set(value, box.checked) });
        return make("label", { class: css ?? "", title: hint ?? null }, box, text);
      }),
    );
  }
  for (const box of place.querySelectorAll<HTMLInputElement>("input")) box.checked = isOn(box.value);
}

function toggled(set: Set<string>, value: string, on: boolean): Set<string> {
  const next = new Set(set);
  if (on) next.add(value);
  else next.delete(value);
  return next;
}

function draw() {
  if (!settled()) return;
  const here = space();
  chips(
    "classes",
    "Classes",
    here.classes.map(
      (c): Chip => [c.name, c.name, c.ood ? "ood" : "train", `${c.words}${c.ood ? ", held out" : ", trained"}`],
    ),
    (v) => state.classes.has(v),
    (v, on) => change({ classes: toggled(state.classes, v, on) }),
  );
  byId("classes").hidden = lone();
  const names = protocolsOf(runsHere().filter((run) => state.chosen.has(run.token)));
  chips(
    "protocols",
    "Protocols",
    names.map((name): Chip => [name, name]),
    (v) => state.protocols.has(v),
    (v, on) => change({ protocols: toggled(state.protocols, v, on) }),
  );
  byId("protocols").hidden = names.length < 2;
  const seeds = [...new Set(runsHere().map((run) => String(run.seed)))].sort((a, b) => Number(a) - Number(b));
  byId("seeds").hidden = seeds.length < 2 || seeds.length > MOST_SEEDS;
  chips(
    "seeds",
    "Seeds",
    seeds.map((seed): Chip => [seed, seed]),
    (v) => !state.hiddenSeeds.has(v),
    (v, on) => change({ hiddenSeeds: toggled(state.hiddenSeeds, v, !on) }),
  );
  options(
    select("color"),
    [
      ["auto", `by what varies (${colorWords()})`],
      ["class", "by class"],
      ["protocol", "by protocol"],
      ["run", "by run"],
      ["seed", "by seed"],
      ...variedHere().map((name): Entry => [name, `by ${words(name)}`]),
    ],
    NAMES.has(state.color) || variedHere().includes(state.color) ? state.color : "auto",
  );
  select("mode").value = state.mode;
  select("dims").value = String(state.dims);
  const axes: Entry[] = [...here.concepts.map((_, c): Entry => [c, axisName(c)]), [-1, "step"]];
  ["x", "y", "z"].forEach((name, k) => options(select(`axis-${name}`), axes, state.axes[k]));
  byId("axis-z-box").hidden = state.dims < 3;
  ["x", "y", "z"].forEach((name, k) => drawEnds(name, state.axes[k], k < state.dims));
  options(
    select("space-choice"),
    model.index.spaces.map((s, i): Entry => [i, s.concepts.map((c) => c.name).join(", ")]),
    state.space,
  );
  byId("space-box").hidden = model.index.spaces.length < 2;
}

// Menus for the two values between which the axis of a concept with more than two values runs.
function drawEnds(name: string, axis: number, used: boolean): void {
  const labels = axis < 0 ? [] : space().concepts[axis].labels;
  const many = used && labels.length > 2;
  byId(`ends-${name}`).hidden = !many;
  if (many)
    ["from", "to"].forEach((end, e) =>
      options(
        select(`${end}-${name}`),
        labels.map((label, value): Entry => [value, label]),
        endsOf(axis)[e],
      ),
    );
}

// The ends of an axis are two values: choosing the one at the other end swaps them.
function setEnd(k: number, end: number, value: number): void {
  const axis = state.axes[k];
  const ends: [number, number] = [...endsOf(axis)];
  if (ends[1 - end] === value) ends[1 - end] = ends[end];
  ends[end] = value;
  change({ ends: { ...state.ends, [axis]: ends } });
}

// No two axes show the same concept: choosing one that another axis has swaps the two.
function setAxis(k: number, axis: number): void {
  const axes = [...state.axes];
  const other = axes.indexOf(axis);
  if (other >= 0) axes[other] = axes[k];
  axes[k] = axis;
  change({ axes });
}

// Another concept space: its classes, its axes, its runs.
export function enter(number: number): void {
  const here = model.index.spaces[number];
  const axes = [0, 1, 2].map((k) => (k < here.concepts.length ? k : -1));
  if (here.concepts.length === 1) axes.splice(0, 3, -1, 0, -1);
  const ood = here.classes.find((c) => c.ood) ?? here.classes[here.classes.length - 1];
  change({
    space: number,
    classes: new Set(here.classes.map((c) => c.name)),
    axes,
    ends: {},
    focus: null,
    knobs: {},
    only: {},
    look: null,
    ask: [],
    compareClass: ood.name,
    facet: "",
  });
}

export function startFilters() {
  select("mode").onchange = () => change({ mode: select("mode").value });
  select("color").onchange = () => change({ color: select("color").value });
  select("dims").onchange = () => change({ dims: Number(select("dims").value) });
  select("space-choice").onchange = () => {
    enter(Number(select("space-choice").value));
    touch("data");
  };
  ["x", "y", "z"].forEach((name, k) => {
    select(`axis-${name}`).onchange = () => setAxis(k, Number(select(`axis-${name}`).value));
  });
  ["x", "y", "z"].forEach((name, k) =>
    ["from", "to"].forEach((end, e) => {
      select(`${end}-${name}`).onchange = () => setEnd(k, e, Number(select(`${end}-${name}`).value));
    }),
  );
  subscribe([...CHOICE, "data", "index", "dims", "axes", "ends"], draw);
}
