// One image, looked at: its scores, what the same noise gave at other checkpoints, and under other protocols.

import { byId, context, digits, make, thousands } from "./dom";
import { load, protocolsOf, runOf, settingAt, settled, space, trajectoryOf } from "./model";
import { ink } from "./palette";
import { spread } from "./pictures";
import { scoresOf } from "./scores";
import { change, type Look, state, subscribe } from "./store";
import { type Strip, strip, tileCanvas } from "./tiles";
import type { Run } from "./types";
import { Walker } from "./walker";

const LARGE = 192;
const SMALL = 48;
const MOST = 9;
let ticket = 0;

const box = () => byId<HTMLDialogElement>("look");

// Images in rows, each of which can be opened.
export function toLookAt(found: Strip, run: Run, at: Omit<Look, "token" | "column">, most: number): HTMLElement {
  const { protocol, name, step } = at;
  const columns = Math.min(8, most, found.columns);
  const label = `${found.columns} images of class ${name} at step ${step}, ${protocol}, ${run.name}`;
  const canvas = tileCanvas(found, columns, most, label);
  const place = make("div", { class: "walk" }, canvas);
  const side = found.tile + 1;
  const walker = new Walker(canvas);
  const focused = document.activeElement as HTMLElement | null; // images that are drawn anew keep their place
  walker.set(
    Array.from({ length: Math.min(found.columns, most) }, (_, i) => ({
      x: (i % columns) * side,
      y: Math.floor(i / columns) * side,
      side: found.tile,
      label: () => `image ${i + 1} of ${found.columns}`,
      open: () => change({ look: { token: run.token, column: i, ...at } }),
    })),
    Number(focused?.dataset.at ?? 0),
  );
  return place;
}

function single(found: Strip, column: number, size: number, label: string): HTMLCanvasElement {
  const canvas = make("canvas", { role: "img", "aria-label": label, width: found.tile, height: found.tile });
  canvas.style.width = canvas.style.height = `${size}px`;
  context(canvas).drawImage(
    found.image,
    column * found.tile,
    found.row * found.tile,
    found.tile,
    found.tile,
    0,
    0,
    found.tile,
    found.tile,
  );
  return canvas;
}

interface Seen {
  found: Strip;
  joint: number | null;
}

async function seen(run: Run, of: Look): Promise<Seen | null> {
  const found = await strip(run, of.protocol, of.name, of.setting, of.step).catch(() => null);
  if (!found || of.column >= found.columns) return null;
  const scores = await scoresOf(run, of.protocol, of.step, found.at);
  return { found, joint: scores?.joint[of.column] ?? null };
}

// A neighbor: the image, what it is, and its score; a click goes there.
async function neighbor(run: Run, of: Look, title: string): Promise<HTMLElement | null> {
  const one = await seen(run, of);
  if (!one) return null;
  const here = state.look && JSON.stringify(of) === JSON.stringify(state.look);
  const picture = single(one.found, of.column, SMALL, "");
  picture.setAttribute("aria-hidden", "true");
  picture.style.outlineColor = one.joint === null ? ink().line : one.joint < 0.5 ? ink().bad : ink().good;
  const label = `${title}${one.joint === null ? "" : `, joint accuracy ${digits(one.joint)}`}`;
  return make(
    "button",
    {
      type: "button",
      class: "neighbor",
      "aria-label": label,
      "aria-current": here ? "true" : null,
      click: () => change({ look: of }),
    },
    picture,
    make("span", {}, title),
    make("span", {}, digits(one.joint)),
  );
}

async function scoreTable(run: Run, of: Look, found: Strip): Promise<HTMLElement> {
  const scores = await scoresOf(run, of.protocol, of.step, found.at);
  if (!scores) return make("p", { class: "quiet" }, "Scores of single images are not kept in this run.");
  const row = (name: string, value: string) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value));
  const valid = scores.valid?.[of.column];
  return make(
    "table",
    {},
    make("caption", { class: "quiet" }, "accuracy of this image, by the judge"),
    make(
      "tbody",
      {},
      ...space().concepts.map((concept, c) => row(concept.name, digits(scores.accuracy[c][of.column]))),
      row("joint", digits(scores.joint[of.column])),
      ...(valid === undefined || valid === null ? [] : [row("one valid object", valid > 0.5 ? "yes" : "no")]),
    ),
  );
}

const there = <T>(all: (T | null)[]): T[] => all.filter((one): one is Awaited<T> & T => one !== null);

async function draw(): Promise<void> {
  const of = state.look;
  const run = of ? runOf(of.token) : undefined;
  const mine = ++ticket;
  if (!of || !run || !settled() || !trajectoryOf(run.token)) {
    if (box().open) box().close();
    return;
  }
  const one = await seen(run, of);
  if (mine !== ticket) return;
  if (!one) return change({ look: null });
  const kind = space().classes.find((c) => c.name === of.name);
  const sheets = (await load("details", run)).sheets ?? {};
  const steps = Object.keys(sheets[of.protocol] ?? {})
    .map(Number)
    .sort((a, b) => a - b);
  const shown = [...new Set([...spread(steps, MOST), of.step])].sort((a, b) => a - b);
  const times = shown.map((step) =>
    neighbor(run, { ...of, step, setting: followed(run, of, step) }, `step ${thousands(step)}`),
  );
  const ways = protocolsOf([run]).map((protocol) =>
    neighbor(
      run,
      {
        ...of,
        protocol,
        setting: protocol === of.protocol ? of.setting : settingAt(run, protocol, of.name, of.step),
      },
      protocol,
    ),
  );
  const [table, overTime, byWay] = await Promise.all([
    scoreTable(run, of, one.found),
    Promise.all(times),
    Promise.all(ways),
  ]);
  if (mine !== ticket) return;
  const focus = box().open ? document.activeElement?.getAttribute("aria-label") : null;
  byId("look-what").textContent =
    `Image ${of.column + 1} of class ${of.name}${kind?.words ? `, ${kind.words}` : ""}: ${of.protocol}${of.setting ? ` ${of.setting}` : ""}, step ${thousands(of.step)}, ${run.name}`;
  byId("look-image").replaceChildren(single(one.found, of.column, LARGE, byId("look-what").textContent ?? ""), table);
  byId("look-steps").replaceChildren(...there(overTime));
  byId("look-ways").replaceChildren(...there(byWay));
  if (!box().open) box().showModal();
  const again = [...box().querySelectorAll("button")].find((b) => focus && b.getAttribute("aria-label") === focus);
  again?.focus();
}

// At another step: the same setting where that is fixed, else the best one of that step.
function followed(run: Run, of: Look, step: number): string {
  return step === of.step || state.knobs[of.protocol] !== undefined
    ? of.setting
    : settingAt(run, of.protocol, of.name, step);
}

// To the image of the same class before or after this one.
function along(by: number): void {
  const of = state.look;
  if (of && of.column + by >= 0) change({ look: { ...of, column: of.column + by } });
}

export function startLook(): void {
  box().addEventListener("close", () => {
    if (state.look) change({ look: null });
  });
  byId("look-close").onclick = () => box().close();
  byId("look-before").onclick = () => along(-1);
  byId("look-after").onclick = () => along(1);
  subscribe(["look", "loaded", "theme"], () => {
    draw();
  });
}
