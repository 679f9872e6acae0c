// A model asked live: a point in concept space, inside or outside the classes, and a few images of it by a
// checkpoint that was kept. Only where the server was started with --ask; see presentation/explorer/ask.py.

import { groups, mean } from "d3-array";
import { scaleLinear } from "d3-scale";
import { axisLabel, axisName } from "./axis";
import { askModel, payload } from "./carrier";
import { axes, Chart, type Scale } from "./chart";
import { byId, counted, digits, make, messageOf, options, select, thousands } from "./dom";
import { chosenRuns, runOf, settled, space } from "./model";
import { classColor, ink } from "./palette";
import { thumbnail } from "./space";
import { change, state, subscribe } from "./store";
import type { Surface } from "./surface";
import { picture, tileCanvas } from "./tiles";
import type { Answer, Run } from "./types";

const FROM = -1;
const TO = 2;
const FINE = 0.05;
const REST = 350;

let chart: Chart;
let answer: Answer | null = null;
let askedCheckpoint = "";
let wait = 0;
let ticket = 0;
let held = false;

const asked = (): Run[] => chosenRuns().filter((run) => run.checkpoints?.length);
const run = (): Run | undefined => asked().find((one) => one.token === byId("ask-run").dataset.chosen) ?? asked()[0];
const at = (): number[] => (state.ask.length ? state.ask : space().concepts.map(() => 0.5));
const rounded = (value: number) => Math.min(TO, Math.max(FROM, Math.round(value / FINE) * FINE));

// The concepts of the two axes of the pad; the others have sliders alone.
function pair(): [number, number] | null {
  const found = state.axes.filter((axis) => axis >= 0);
  return found.length > 1 ? [found[0], found[1]] : null;
}

// The last kept checkpoint up to the present step.
function step(one: Run): number {
  const kept = one.checkpoints ?? [];
  return kept.findLast((each) => each <= (state.step ?? Infinity)) ?? kept[0];
}

function set(point: number[], soon = true): void {
  change({ ask: point.map((value) => Number(rounded(value).toFixed(2))) });
  if (soon) later();
}

function later(): void {
  clearTimeout(wait);
  wait = window.setTimeout(ask, REST);
}

async function ask(): Promise<void> {
  const one = run();
  if (!one || !settled()) return;
  const mine = ++ticket;
  const where = at();
  say(`Asking ${one.name}…`);
  try {
    const found = await askModel(one.token, step(one), where);
    const image = await picture(found.src);
    if (mine !== ticket) return;
    answer = found;
    askedCheckpoint = `step ${thousands(step(one))} of ${one.name}`;
    const what = `${found.columns} images of ${words(where)} by ${askedCheckpoint}`;
    const strip = { image, row: 0, at: 0, tile: found.tile, columns: found.columns };
    byId("ask-tiles").replaceChildren(tileCanvas(strip, 4, found.columns, what));
    say(sentence(found, where));
  } catch (error) {
    if (mine === ticket) say(messageOf(error));
  }
  chart.refresh();
}

const say = (text: string) => {
  byId("ask-said").textContent = text;
};
const words = (point: number[]) => point.map((value, c) => `${axisName(c)} ${digits(value)}`).join(", ");

function sentence(found: Answer, where: number[]): string {
  const cut = found.asked.some((value, c) => Math.abs(value - where[c]) > 0.01);
  const limits = cut ? `; its limits cut the prompt to ${words(found.asked)}` : "";
  const valid = found.valid?.filter(Boolean).length;
  const judged = valid === undefined ? "" : ` The judge sees one valid object in ${valid} of ${found.columns}.`;
  return `${words(where)}${limits}. By ${askedCheckpoint}, ${counted(found.columns, "image")} in ${found.seconds.toFixed(1)} s.${judged}`;
}

function scales(width: number, height: number): { x: Scale; y: Scale } {
  const side = Math.min(width - 70, height - 60);
  return { x: scaleLinear([FROM, TO], [56, 56 + side]), y: scaleLinear([FROM, TO], [14 + side, 14]) };
}

function draw(surface: Surface, width: number, height: number): null {
  const axes_ = pair();
  if (!axes_) return null;
  const [ax, ay] = axes_;
  const { x, y } = scales(width, height);
  const color = ink();
  axes(surface, { x, y, xTicks: 4, yTicks: 4, xLabel: axisLabel(ax), yLabel: axisLabel(ay) });
  surface.rect(x(0), y(1), x(1) - x(0), y(0) - y(1), { stroke: color.edge });
  for (const { name } of space().classes) {
    const [cx, cy] = [x(Number(name[ax])), y(Number(name[ay]))];
    surface.image(thumbnail(name), cx - 13, cy - 13, 26, 26);
    surface.rect(cx - 13, cy - 13, 26, 26, { stroke: classColor(space(), name), line: 2 });
  }
  const point = at();
  const valid = answer?.valid;
  const landed = (answer?.landed ?? []).map((spot, i) => ({ spot, fine: !valid || valid[i] }));
  for (const [, together] of groups(landed, ({ spot, fine }) => `${spot.map((v) => Math.round(v * 10))} ${fine}`)) {
    const [cx, cy] = [x(mean(together, ({ spot }) => spot[ax]) ?? 0), y(mean(together, ({ spot }) => spot[ay]) ?? 0)];
    const { fine } = together[0];
    surface.dots([[cx, cy]], 5.5, { color: fine ? color.band : color.paper, stroke: color.ink, width: 1.2 });
    if (together.length > 1)
      surface.text(cx + 16, cy - 9, `×${together.length}`, {
        color: color.ink,
        size: 12,
        bold: true,
        halo: color.paper,
      });
  }
  surface.dots([[x(point[ax]), y(point[ay])]], 9, { color: null, stroke: color.ink, width: 2.5 });
  surface.dots([[x(point[ax]), y(point[ay])]], 2.5, { color: color.ink });
  return null;
}

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-FINE, 0],
  ArrowRight: [FINE, 0],
  ArrowUp: [0, FINE],
  ArrowDown: [0, -FINE],
};

function keys(event: KeyboardEvent): boolean {
  const axes_ = pair();
  if (event.key === "Enter") {
    ask();
    return true;
  }
  const by = ARROWS[event.key];
  if (!by || !axes_) return false;
  set(at().map((value, c) => value + (c === axes_[0] ? by[0] : c === axes_[1] ? by[1] : 0)));
  return true;
}

function drag(event: PointerEvent): void {
  const axes_ = pair();
  if (!axes_) return;
  const [width, height] = chart.size();
  const { x, y } = scales(width, height);
  const box = chart.pad.getBoundingClientRect();
  const [px, py] = [x.invert(event.clientX - box.left), y.invert(event.clientY - box.top)];
  set(
    at().map((value, c) => (c === axes_[0] ? px : c === axes_[1] ? py : value)),
    false,
  );
}

function sliders(): void {
  const place = byId("ask-sliders");
  const names = space().concepts.map((concept) => concept.name);
  if (place.dataset.of !== JSON.stringify(names)) {
    place.dataset.of = JSON.stringify(names);
    place.replaceChildren(
      ...names.map((name, c) => {
        const knob = make("input", { type: "range", id: `ask-${c}`, min: FROM, max: TO, step: FINE });
        knob.addEventListener("input", () => set(at().map((value, k) => (k === c ? Number(knob.value) : value))));
        return make("label", { class: "knob" }, name, knob, make("output", { id: `ask-${c}-now`, for: knob.id }));
      }),
    );
  }
  at().forEach((value, c) => {
    byId<HTMLInputElement>(`ask-${c}`).value = String(value);
    byId(`ask-${c}-now`).textContent = digits(value);
  });
}

function show(): void {
  if (!settled()) return;
  const one = run();
  byId("ask-section").hidden = byId("ask-link").hidden = !payload.ask;
  byId("ask-pad").hidden = !pair();
  options(
    select("ask-run"),
    asked().map((each): [string, string] => [each.token, each.name]),
    one?.token ?? "",
  );
  byId<HTMLButtonElement>("ask-go").disabled = !one;
  byId("ask-go").textContent = one ? `Ask step ${thousands(step(one))}` : "Ask";
  if (!one) say("No chosen run keeps a checkpoint that can be asked.");
  sliders();
  chart.refresh();
}

export function startAsk(): void {
  chart = new Chart(byId("ask-pad"), {
    name: "asked-point",
    draw,
    keys,
    height: (width) => Math.min(width - 10, 380),
    label: () =>
      `A point in concept space to ask for: ${words(at())}. Arrow keys move it, Enter asks. ${byId("ask-said").textContent}`,
  });
  if (!payload.ask) return;
  const { pad } = chart;
  pad.style.touchAction = "none";
  pad.addEventListener("pointerdown", (event) => {
    held = true;
    pad.setPointerCapture(event.pointerId);
    drag(event);
  });
  pad.addEventListener("pointermove", (event) => {
    if (held) drag(event);
  });
  pad.addEventListener("pointerup", () => {
    if (held) later();
    held = false;
  });
  byId("ask-go").onclick = () => ask();
  select("ask-run").onchange = () => {
    byId("ask-run").dataset.chosen = select("ask-run").value;
    if (runOf(select("ask-run").value) && answer) later();
    show();
  };
  subscribe(["data", "index", "chosen", "only", "hiddenSeeds", "space", "axes", "ask", "theme", "step"], (keys) => {
    show();
    if (keys.has("step") && answer && !state.playing) later(); // the same point and noise, at another checkpoint
  });
}
