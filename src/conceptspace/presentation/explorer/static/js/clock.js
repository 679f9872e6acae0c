// One time for all views: the slider, the play button, the arrow keys.

import { byId, make, thousands } from "./dom.js";
import { state, change, subscribe } from "./store.js";
import { model, chosenRuns, groups, trajectoryOf } from "./model.js";

const PACE = 280;
let timer = 0, kept = { key: null, steps: [] };

// Every step at which a chosen run was measured.
export function positions() {
  const runs = chosenRuns(), key = runs.map((run) => run.token + (model.trajectories.get(run.token)?.version ?? "")).join();
  if (kept.key !== key) {
    const steps = new Set();
    for (const run of runs) for (const protocol of trajectoryOf(run.token)?.protocols ?? []) protocol.steps.forEach((step) => steps.add(step));
    kept = { key, steps: [...steps].sort((a, b) => a - b) };
  }
  return kept.steps;
}

export function place() {
  const steps = positions();
  let at = 0;
  while (at + 1 < steps.length && steps[at + 1] <= state.step) at++;
  return at;
}

export function move(by) {
  const steps = positions();
  if (!steps.length) return;
  const at = Math.max(0, Math.min(steps.length - 1, place() + by));
  change({ step: steps[at], focus: state.focus && { ...state.focus, step: null } });
}

export function play(on) {
  clearInterval(timer);
  if (on && place() >= positions().length - 1) move(-Infinity);
  change({ playing: on });
  if (on) timer = setInterval(() => (place() < positions().length - 1 ? move(1) : play(false)), PACE);
}

export function byArrow(event) {
  const act = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), Home: () => move(-Infinity), End: () => move(Infinity), " ": () => play(!state.playing) }[event.key];
  if (!act) return false;
  if (event.key !== " ") play(false);
  act();
  return true;
}

function draw() {
  const steps = positions(), slider = byId("time"), last = steps.at(-1) ?? 0;
  const follows = state.step === null || (state.last !== null && state.step >= state.last && last > state.last);
  if (follows && steps.length) change({ step: last });
  state.last = last;
  Object.assign(slider, { max: Math.max(0, steps.length - 1), value: place(), disabled: !steps.length });
  const told = steps.length ? `step ${thousands(steps[place()])}` : "no checkpoint";
  slider.setAttribute("aria-valuetext", told);
  byId("now").textContent = told;
  byId("play").textContent = state.playing ? "❚❚" : "▶";
  byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  const turned = groups().map((group) => model.turns.get(group.map((run) => run.token + run.version).join())).flatMap((turns) => Object.values(turns ?? {})).filter((turn) => turn?.detected);
  byId("turn-marks").replaceChildren(...turned.slice(0, 40).map((turn) => {
    const mark = make("i"), at = steps.findIndex((step) => step >= turn.step);
    mark.style.left = `${(100 * at) / Math.max(1, steps.length - 1)}%`;
    return mark;
  }));
}

export function startClock() {
  byId("time").addEventListener("input", () => {
    play(false);
    change({ step: positions()[Number(byId("time").value)], focus: state.focus && { ...state.focus, step: null } });
  });
  byId("play").addEventListener("click", () => play(!state.playing));
  subscribe(["data", "step", "chosen", "hiddenSeeds", "playing", "turns", "mode", "space"], draw);
}
