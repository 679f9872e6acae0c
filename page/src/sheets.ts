// Contact sheet: a class over all checkpoints, two protocols side by side.

import { byId, context, counted, options, save, select, thousands, told } from "./dom";
import { chosenRuns, load, protocolNames, series, settled, space, trajectoryOf } from "./model";
import { ink } from "./palette";
import { change, state, subscribe } from "./store";
import { cutNote, type Strip, strip } from "./tiles";
import type { Details, Run } from "./types";

const LABEL = 64;
const HEAD = 22;
const GAP = 26;
const TILE = 32;
interface Row {
  step: number;
  parts: (Strip | null)[];
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
let ticket = 0;
let seen = false;

// What was chosen, or else a run that has images: of many kept runs few have.
const run = (): Run | undefined =>
  chosenRuns().find((r) => r.token === byId("sheet-run").dataset.chosen) ??
  chosenRuns().find((r) => r.images) ??
  chosenRuns()[0];

function setting(of: Run, protocol: string, name: string, step: number): string {
  const part = series(of.token, protocol, name);
  const known = trajectoryOf(of.token)?.protocols.find((p) => p.name === protocol);
  const at = part ? part.steps.indexOf(step) : -1;
  return !part || !known || at < 0 ? "" : (known.settings[part.best[at]] ?? "");
}

function choices() {
  const of = run();
  const names = of ? protocolNames([of]) : [];
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
    return note(told(error));
  }
  const steps = [...new Set(sides.flatMap((side) => Object.keys(details.sheets?.[side] ?? {}).map(Number)))].sort(
    (a, b) => a - b,
  );
  const rows = await Promise.all(
    steps.map(
      async (step): Promise<Row> => ({
        step,
        parts: await Promise.all(
          sides.map((side) => strip(of, side, name, setting(of, side, name, step), step).catch(() => null)),
        ),
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
  const widest = sides.map((_, k) => Math.max(0, ...full.map((row) => row.parts[k]?.columns ?? 0)));
  sheet = {
    of,
    name,
    sides,
    rows: full,
    widest,
    tile: Math.max(...full.flatMap((row) => row.parts.map((part) => part?.tile ?? 0))),
  };
  paint(sheet);
  note(
    `${counted(full.length, "checkpoint")} of ${of.name}; a row is a checkpoint, the setting is the one chosen above. ${cutNote()}`,
    true,
  );
  return null;
}

function note(text: string, there = false): null {
  byId("sheet-note").textContent = text;
  byId("sheet").hidden = !there;
  byId<HTMLButtonElement>("sheet-save").disabled = !there;
  if (!there) sheet = null;
  return null;
}

function paint(
  { name, sides, rows, widest, tile }: Shown,
  marked = true,
  canvas = byId<HTMLCanvasElement>("sheet"),
): HTMLCanvasElement {
  const color = ink();
  const zoom = Math.max(1, Math.round(TILE / tile));
  const cell = tile * zoom + 1;
  const starts = sides.map(
    (_, k) => LABEL + widest.slice(0, k).reduce((sum, columns) => sum + columns * cell + GAP, 0),
  );
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
    c.fillText(thousands(row.step), 9, y + cell / 2 + 4);
    row.parts.forEach((part, k) => {
      if (part)
        for (let i = 0; i < part.columns; i++)
          c.drawImage(
            part.image,
            i * part.tile,
            part.row * part.tile,
            part.tile,
            part.tile,
            starts[k] + i * cell,
            y,
            tile * zoom,
            tile * zoom,
          );
    });
  });
  canvas.dataset.rows = String(rows.length);
  canvas.setAttribute(
    "aria-label",
    `Images of class ${name} at ${rows.length} checkpoints under ${sides.join(" and ")}`,
  );
  return canvas;
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
  byId("sheet").addEventListener("click", (event) => {
    if (sheet) change({ step: stepAt(sheet, event.offsetY), playing: false });
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
  subscribe(["data", "chosen", "hiddenSeeds", "setting", "space"], collect);
  subscribe(["step", "theme"], () => {
    if (sheet) paint(sheet);
  });
}
