// Contact sheet: a class over all checkpoints, two protocols side by side.

import { byId, context, counted, digits, messageOf, options, save, select, thousands } from "./dom";
import { chosenRuns, load, protocolsOf, settingAt, settled, space, trajectoryOf } from "./model";
import { ink } from "./palette";
import { arranged, failures, type Order, scoresOf } from "./scores";
import { change, state, subscribe } from "./store";
import { cutNote, type Strip, strip } from "./tiles";
import type { Details, RowScores, Run } from "./types";
import { type Cell, Walker } from "./walker";

const LABEL = 64;
const HEAD = 22;
const GAP = 26;
const TILE = 32;
interface Side {
  strip: Strip;
  setting: string;
  scores: RowScores | null;
  order: number[];
}

interface Row {
  step: number;
  parts: (Side | null)[];
}

interface Shown {
  of: Run;
  name: string;
  sides: string[];
  rows: Row[];
  widest: number[];
  tile: number;
}

let sheet: Shown | null = null;
let walker: Walker;
let ticket = 0;
let seen = false;

const ORDERS = ["made", "worst", "best", "failures"];

// What was chosen, or else a run that has images: of many kept runs few have.
const run = (): Run | undefined =>
  chosenRuns().find((r) => r.token === byId("sheet-run").dataset.chosen) ??
  chosenRuns().find((r) => r.images) ??
  chosenRuns()[0];

function choices() {
  select("sheet-order").value = ORDERS.includes(state.order) ? state.order : "made";
  const of = run();
  const names = of ? protocolsOf([of]) : [];
  const picked = (id: string, otherwise?: string) => byId(id).dataset.chosen ?? otherwise ?? "";
  options(
    select("sheet-run"),
    chosenRuns().map((r): [string, string] => [r.token, r.name]),
    of?.token ?? "",
  );
  options(
    select("sheet-class"),
    space().classes.map((c): [string, string] => [c.name, `${c.name} ${c.words}`]),
    picked("sheet-class", space().classes.find((c) => c.ood)?.name),
  );
  options(
    select("sheet-left"),
    names.map((n): [string, string] => [n, n]),
    picked("sheet-left", names[0]),
  );
  options(
    select("sheet-right"),
    [["", "nothing"], ...names.map((n): [string, string] => [n, n])],
    picked("sheet-right", names[1]).replace(/^-$/, ""),
  );
}

// The images of a row in the chosen order; scores are fetched only where the order needs them.
async function part(of: Run, side: string, name: string, step: number): Promise<Side | null> {
  const setting = settingAt(of, side, name, step);
  const found = await strip(of, side, name, setting, step);
  if (!found) return null;
  const scores = state.order === "made" ? null : await scoresOf(of, side, step, found.at);
  return { strip: found, setting, scores, order: arranged(found.columns, scores, state.order as Order) };
}

async function collect(): Promise<null> {
  if (!settled()) return null;
  choices();
  if (!seen) return null;
  const of = run();
  const name = select("sheet-class").value;
  const mine = ++ticket;
  const sides = [select("sheet-left").value, select("sheet-right").value].filter(Boolean);
  if (!of || !trajectoryOf(of.token)) return note("No run is chosen.");
  let details: Details;
  try {
    details = await load("details", of);
  } catch (error) {
    return note(messageOf(error));
  }
  const steps = [...new Set(sides.flatMap((side) => Object.keys(details.sheets?.[side] ?? {}).map(Number)))].sort(
    (a, b) => a - b,
  );
  const rows = await Promise.all(
    steps.map(
      async (step): Promise<Row> => ({
        step,
        parts: await Promise.all(sides.map((side) => part(of, side, name, step).catch(() => null))),
      }),
    ),
  );
  if (mine !== ticket) return null;
  const full = rows.filter((row) => row.parts.some(Boolean));
  if (!full.length)
    return note(
      details.notes?.find((text) => text.includes("images")) ??
        `There are no images of class ${name} under ${sides.join(" and ")}.`,
    );
  const widest = sides.map((_, k) => Math.max(0, ...full.map((row) => row.parts[k]?.order.length ?? 0)));
  sheet = {
    of,
    name,
    sides,
    rows: full,
    widest,
    tile: Math.max(...full.flatMap((row) => row.parts.map((one) => one?.strip.tile ?? 0))),
  };
  paint(sheet);
  walker.set(cells(sheet));
  note(
    `${counted(full.length, "checkpoint")} of ${of.name}; a row is a checkpoint, the setting is the one chosen above. ${orderNote(full)}${cutNote()}`,
    true,
  );
  return null;
}

function note(text: string, there = false): null {
  byId("sheet-note").textContent = text;
  byId("sheet").hidden = !there;
  byId<HTMLButtonElement>("sheet-save").disabled = !there;
  if (!there) {
    sheet = null;
    walker.set([]);
  }
  return null;
}

function paint(sheet_: Shown, marked = true, canvas = byId<HTMLCanvasElement>("sheet")): HTMLCanvasElement {
  const { name, sides, rows, widest, tile } = sheet_;
  const color = ink();
  const zoom = Math.max(1, Math.round(TILE / tile));
  const cell = tile * zoom + 1;
  const starts = startsOf(sheet_);
  const width = Math.max(starts[starts.length - 1] + widest[widest.length - 1] * cell + 4, LABEL + 220 * sides.length);
  const height = HEAD + rows.length * cell + 2;
  [canvas.width, canvas.height] = [width, height];
  canvas.style.width = `${width}px`;
  const c = context(canvas);
  c.fillStyle = color.paper;
  c.fillRect(0, 0, width, height);
  c.imageSmoothingEnabled = false;
  c.fillStyle = color.ink;
  c.font = "600 12px system-ui, sans-serif";
  sides.forEach((side, k) => c.fillText(`${side}, class ${name}`, starts[k], 14));
  c.font = "11px system-ui, sans-serif";
  const now = rows.reduce((best, row, n) => (row.step <= (state.step ?? Infinity) ? n : best), 0);
  rows.forEach((row, n) => {
    const y = HEAD + n * cell;
    if (marked && n === now) {
      c.fillStyle = color.band;
      c.fillRect(0, y, 5, cell - 1);
    }
    c.fillStyle = color.ink;
    c.fillText(thousands(row.step), 9, y + cell / 2 + (row.parts[0]?.scores ? 0 : 4));
    row.parts.forEach((one, k) => {
      one?.order.forEach((column, i) =>
        c.drawImage(
          one.strip.image,
          column * one.strip.tile,
          one.strip.row * one.strip.tile,
          one.strip.tile,
          one.strip.tile,
          starts[k] + i * cell,
          y,
          tile * zoom,
          tile * zoom,
        ),
      );
      const fail = failures(one?.scores ?? null);
      if (fail !== null && k === 0) c.fillText(`${fail} fail`, 9, y + cell / 2 + 14);
    });
  });
  canvas.dataset.rows = String(rows.length);
  canvas.setAttribute(
    "aria-label",
    `Images of class ${name} at ${rows.length} checkpoints under ${sides.join(" and ")}`,
  );
  return canvas;
}

function startsOf({ sides, widest, tile }: Shown): number[] {
  const cell = cellOf(tile);
  return sides.map((_, k) => LABEL + widest.slice(0, k).reduce((sum, columns) => sum + columns * cell + GAP, 0));
}

// Every image of the sheet, to be opened.
function cells(of: Shown): Cell[] {
  const starts = startsOf(of);
  const cell = cellOf(of.tile);
  return of.rows.flatMap(({ step, parts }, n) =>
    parts.flatMap((one, k) =>
      (one?.order ?? []).map((column, i) => ({
        x: starts[k] + i * cell,
        y: HEAD + n * cell,
        side: cell - 1,
        label: () => {
          const joint = one?.scores?.joint[column];
          return `image ${column + 1}, ${of.sides[k]}, step ${thousands(step)}${typeof joint === "number" ? `, joint accuracy ${digits(joint)}` : ""}`;
        },
        open: () => {
          const look = {
            token: of.of.token,
            protocol: of.sides[k],
            setting: one?.setting ?? "",
            name: of.name,
            step,
            column,
          };
          change({ look, step, playing: false });
        },
      })),
    ),
  );
}

function orderNote(rows: Row[]): string {
  if (state.order === "made") return "";
  const scored = rows.some((row) => row.parts.some((one) => one?.scores));
  if (!scored) return "Scores of single images are not kept in this run, so they stand as they were made. ";
  return "Ordered by the joint accuracy of each image; one fails below 0.5. ";
}

const cellOf = (tile: number) => tile * Math.max(1, Math.round(TILE / tile)) + 1;
const stepAt = ({ rows, tile }: Shown, y: number) =>
  rows[Math.max(0, Math.min(rows.length - 1, Math.floor((y - HEAD) / cellOf(tile))))].step;

export function startSheets() {
  for (const id of ["sheet-run", "sheet-class", "sheet-left", "sheet-right"])
    select(id).onchange = () => {
      byId(id).dataset.chosen = select(id).value || "-";
      collect();
    };
  walker = new Walker(byId<HTMLCanvasElement>("sheet"));
  select("sheet-order").onchange = () => change({ order: select("sheet-order").value });
  byId("sheet").addEventListener("click", (event) => {
    if (sheet && event.offsetX < LABEL) change({ step: stepAt(sheet, event.offsetY), playing: false });
  });
  byId("sheet-save").onclick = () => {
    const of = sheet;
    if (of)
      paint(of, false, document.createElement("canvas")).toBlob(
        (blob) => save(`${of.of.name}-${of.name}-${of.sides.join("-")}.png`, blob),
        "image/png",
      );
  };
  new IntersectionObserver(
    (entries) => {
      if (entries.some((e) => e.isIntersecting) && !seen) {
        seen = true;
        collect();
      }
    },
    { rootMargin: "300px" },
  ).observe(byId("sheet-box"));
  subscribe(["data", "chosen", "hiddenSeeds", "knobs", "only", "space", "order"], collect);
  subscribe(["step", "theme"], () => {
    if (sheet) paint(sheet);
  });
}
