// One time for all views: the slider, the play button, the arrow keys.

import { byId, input, make, thousands } from "./dom";
import { chosenRuns, groups, keyOf, model, trajectoryOf } from "./model";
import { change, perChoice, state, subscribe } from "./store";

const PACE = 280;
let timer = 0;

// Every step at which a chosen run was measured.
export const positions = perChoice((): number[] => {
  const steps = new Set<number>();
  for (const run of chosenRuns())
    for (const protocol of trajectoryOf(run.token)?.protocols ?? []) protocol.steps.forEach((step) => steps.add(step));
  return [...steps].sort((a, b) => a - b);
});

export function place(): number {
  const steps = positions();
  let at = 0;
  while (at + 1 < steps.length && steps[at + 1] <= (state.step ?? Infinity)) at++;
  return at;
}

export function move(by: number): void {
  const steps = positions();
  if (!steps.length) return;
  const at = Math.max(0, Math.min(steps.length - 1, place() + by));
  change({ step: steps[at], focus: state.focus && { ...state.focus, step: null } });
}

export function play(on: boolean): void {
  clearInterval(timer);
  if (on && place() >= positions().length - 1) move(-Infinity);
  change({ playing: on });
  if (on) timer = window.setInterval(() => (place() < positions().length - 1 ? move(1) : play(false)), PACE);
}

export function byArrow(event: KeyboardEvent): boolean {
  const acts: Record<string, () => void> = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    Home: () => move(-Infinity),
    End: () => move(Infinity),
    " ": () => play(!state.playing),
  };
  const act = acts[event.key];
  if (!act) return false;
  if (event.key !== " ") play(false);
  act();
  return true;
}

function draw() {
  const steps = positions();
  const slider = input("time");
  const last = steps.at(-1) ?? 0;
  const follows = state.step === null || (state.last !== null && state.step >= state.last && last > state.last);
  if (follows && steps.length) change({ step: last });
  state.last = last;
  Object.assign(slider, {
    max: String(Math.max(0, steps.length - 1)),
    value: String(place()),
    disabled: !steps.length,
  });
  const text = steps.length ? `step ${thousands(steps[place()])}` : "no checkpoint";
  slider.setAttribute("aria-valuetext", text);
  byId("now").textContent = text;
  byId("play").textContent = state.playing ? "❚❚" : "▶";
  byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  const turned = groups()
    .map((group) => model.turns.get(keyOf(group)))
    .flatMap((turns) => Object.values(turns ?? {}))
    .filter((turn) => turn?.detected);
  byId("turn-marks").replaceChildren(
    ...turned.slice(0, 40).map((turn) => {
      const mark = make("i");
      const at = steps.findIndex((step) => step >= turn.step);
      mark.style.left = `${(100 * at) / Math.max(1, steps.length - 1)}%`;
      return mark;
    }),
  );
}

export function startClock() {
  byId("time").addEventListener("input", () => {
    play(false);
    change({ step: positions()[Number(input("time").value)], focus: state.focus && { ...state.focus, step: null } });
  });
  byId("play").addEventListener("click", () => play(!state.playing));
  subscribe(["data", "step", "chosen", "hiddenSeeds", "playing", "turns", "mode", "space", "only"], draw);
}
