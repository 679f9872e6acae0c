// Sliders over what was scored: the settings of the protocols, and those in which the runs differ. They move
// lines, images and curves together; at the left end the best setting of each step, and all runs.

import { byId, make, words } from "./dom";
import { brief } from "./labels";
import { candidates, chosenRuns, each, forget, load, model, protocolNames, settled, trajectoryOf } from "./model";
import { closest, dialName, dials, ordered, parsed } from "./settings";
import { focused } from "./space";
import { change, state, subscribe, touch } from "./store";

interface Slider {
  id: string;
  title: string;
  values: string[];
  rest: string;
  at: () => number;
  set: (place: number) => void;
}

// The settings of a protocol in the chosen runs.
function settingsOf(protocol: string): string[] {
  const found = new Set<string>();
  for (const run of chosenRuns())
    for (const of of trajectoryOf(run.token)?.protocols ?? [])
      if (of.name === protocol) for (const setting of of.settings) found.add(setting);
  return [...found];
}

// Once a slider is moved, every setting of every chosen run is fetched; of runs that come later, too.
export async function turn(knobs: Record<string, string>): Promise<void> {
  if (Object.keys(knobs).length) await ready();
  forget();
  change({ knobs });
}

async function ready(): Promise<void> {
  await each(chosenRuns(), async (run) => {
    const settings = await load("settings", run);
    const kept = model.settings.get(run.token);
    if (kept) kept.ready = settings;
  });
}

function ofProtocol(protocol: string): Slider[] {
  const settings = settingsOf(protocol);
  const all = dials(settings);
  return all.map(({ name, values }) => ({
    id: `${protocol}/${name}`,
    title: `${brief(protocol, 30)}: ${dialName(protocol, name)}`,
    values,
    rest: "best of each step",
    at: () => (state.knobs[protocol] === undefined ? 0 : 1 + values.indexOf(parsed(state.knobs[protocol])[name])),
    set: (place) => {
      const { [protocol]: now, ...others } = state.knobs;
      if (!place) return void turn(others);
      const before = parsed(now ?? settings[0]);
      const wanted = { ...before, [name]: values[place - 1] };
      look(protocol);
      return void turn({ ...others, [protocol]: closest(settings, wanted, name) });
    },
  }));
}

// A setting of the runs that is a number in all of them.
function ofRuns(): Slider[] {
  return model.index.varied.flatMap((name): Slider[] => {
    const values = ordered(candidates().flatMap((run) => run.values[name] ?? []));
    if (values.length < 2 || !values.every((value) => Number.isFinite(Number(value)))) return [];
    const others = () => Object.fromEntries(Object.entries(state.only).filter(([of]) => of !== name));
    return [
      {
        id: `runs/${name}`,
        title: `runs: ${words(name)}`,
        values,
        rest: "all",
        at: () => (state.only[name] === undefined ? 0 : 1 + values.indexOf(state.only[name])),
        set: (place) => change({ only: place ? { ...others(), [name]: values[place - 1] } : others() }),
      },
    ];
  });
}

// Moving a slider looks at its protocol: point, images and curve are those of it.
function look(protocol: string): void {
  const now = focused();
  if (now && now.line.protocol !== protocol)
    change({ focus: { token: now.line.runs[0].token, protocol, name: now.line.name, step: null } });
}

let shown: Slider[] = [];

function draw(): void {
  if (!settled()) return;
  const swept = protocolNames().filter((name) => state.protocols.has(name));
  shown = [...swept.flatMap(ofProtocol), ...ofRuns()];
  const place = byId("knobs");
  const signature = JSON.stringify(shown.map(({ id, values }) => [id, values]));
  if (place.dataset.of !== signature) {
    place.dataset.of = signature;
    place.replaceChildren(...shown.map((slider, n) => build(slider, n)));
  }
  place.hidden = !shown.length;
  shown.forEach((slider, n) => {
    const text = slider.at() ? slider.values[slider.at() - 1] : slider.rest;
    const knob = byId<HTMLInputElement>(`knob-${n}`);
    knob.value = String(slider.at());
    knob.setAttribute("aria-valuetext", text);
    byId(`knob-${n}-now`).textContent = text;
  });
}

function build(slider: Slider, n: number): HTMLElement {
  const knob = make("input", { type: "range", id: `knob-${n}`, min: 0, max: slider.values.length, step: 1, value: 0 });
  knob.addEventListener("input", () => shown[n].set(Number(knob.value)));
  return make("label", { class: "knob" }, slider.title, knob, make("output", { id: `knob-${n}-now`, for: knob.id }));
}

export function startKnobs(): void {
  subscribe(["data", "index", "chosen", "protocols", "hiddenSeeds", "only", "knobs", "space"], draw);
  subscribe(["data", "chosen", "only"], () => {
    const late = chosenRuns().some((run) => trajectoryOf(run.token) && !isReady(run.token, run.version));
    if (!Object.keys(state.knobs).length || !late) return;
    ready().then(() => {
      forget();
      touch("knobs");
    });
  });
}

function isReady(token: string, version: string): boolean {
  const kept = model.settings.get(token);
  return kept?.version === version && kept.ready !== undefined;
}
