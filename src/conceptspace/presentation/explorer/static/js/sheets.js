// Contact sheet: a class over all checkpoints, two protocols side by side.

import { byId, counted, options, save, thousands } from "./dom.js";
import { state, change, subscribe } from "./store.js";
import { space, chosenRuns, load, protocolNames, series, trajectoryOf } from "./model.js";
import { ink } from "./palette.js";
import { cutNote, strip } from "./tiles.js";

const LABEL = 64, HEAD = 22, GAP = 26, TILE = 32;
let sheet = null, ticket = 0, seen = false;

// What was chosen, or else a run that has images: of many kept runs few have.
const run = () => chosenRuns().find((r) => r.token === byId("sheet-run").dataset.chosen) ?? chosenRuns().find((r) => r.images) ?? chosenRuns()[0];

function setting(of, protocol, name, step) {
  const part = series(of.token, protocol, name), known = trajectoryOf(of.token).protocols.find((p) => p.name === protocol);
  const at = part ? part.steps.indexOf(step) : -1;
  return at < 0 ? "" : known.settings[part.best[at]] ?? "";
}

function choices() {
  const of = run();
  const names = of ? protocolNames([of]) : [], picked = (id, otherwise) => byId(id).dataset.chosen ?? otherwise ?? "";
  options(byId("sheet-run"), chosenRuns().map((r) => [r.token, r.name]), of?.token ?? "");
  options(byId("sheet-class"), space().classes.map((c) => [c.name, `${c.name} ${c.words}`]), picked("sheet-class", space().classes.find((c) => c.ood)?.name));
  options(byId("sheet-left"), names.map((n) => [n, n]), picked("sheet-left", names[0]));
  options(byId("sheet-right"), [["", "nothing"], ...names.map((n) => [n, n])], picked("sheet-right", names[1]).replace(/^-$/, ""));
}

async function collect() {
  if (!space()) return;
  choices();
  if (!seen) return;
  const of = run(), name = byId("sheet-class").value, mine = ++ticket;
  const sides = [byId("sheet-left").value, byId("sheet-right").value].filter(Boolean);
  if (!of || !trajectoryOf(of.token)) return note("No run is chosen.");
  let details;
  try { details = await load("details", of); } catch (error) { return note(error.message); }
  const steps = [...new Set(sides.flatMap((side) => Object.keys(details.sheets?.[side] ?? {}).map(Number)))].sort((a, b) => a - b);
  const rows = await Promise.all(steps.map(async (step) => ({ step, parts: await Promise.all(sides.map((side) => strip(of, side, name, setting(of, side, name, step), step).catch(() => null))) })));
  if (mine !== ticket) return null;
  const full = rows.filter((row) => row.parts.some(Boolean));
  if (!full.length) return note(details.notes?.find((text) => text.includes("images")) ?? `There are no images of class ${name} under ${sides.join(" and ")}.`);
  const widest = sides.map((_, k) => Math.max(0, ...full.map((row) => row.parts[k]?.columns ?? 0)));
  sheet = { of, name, sides, rows: full, widest, tile: Math.max(...full.flatMap((row) => row.parts.map((part) => part?.tile ?? 0))) };
  paint();
  note(`${counted(full.length, "checkpoint")} of ${of.name}; a row is a checkpoint, the setting is the one chosen above. ${cutNote()}`, true);
  return null;
}

function note(text, there = false) {
  byId("sheet-note").textContent = text;
  byId("sheet").hidden = !there;
  byId("sheet-save").disabled = !there;
  if (!there) sheet = null;
}

function paint(marked = true, canvas = byId("sheet")) {
  const { name, sides, rows, widest, tile } = sheet, color = ink(), zoom = Math.max(1, Math.round(TILE / tile)), cell = tile * zoom + 1;
  const starts = sides.map((_, k) => LABEL + widest.slice(0, k).reduce((sum, columns) => sum + columns * cell + GAP, 0));
  const width = Math.max(starts.at(-1) + widest.at(-1) * cell + 4, LABEL + 220 * sides.length), height = HEAD + rows.length * cell + 2;
  [canvas.width, canvas.height] = [width, height];
  canvas.style.width = `${width}px`;
  const c = canvas.getContext("2d");
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
      for (let i = 0; part && i < part.columns; i++) c.drawImage(part.image, i * part.tile, part.row * part.tile, part.tile, part.tile, starts[k] + i * cell, y, tile * zoom, tile * zoom);
    });
  });
  canvas.dataset.rows = rows.length;
  canvas.setAttribute("aria-label", `Images of class ${name} at ${rows.length} checkpoints under ${sides.join(" and ")}`);
  sheet.step = (y) => rows[Math.max(0, Math.min(rows.length - 1, Math.floor((y - HEAD) / cell)))].step;
  return canvas;
}

export function startSheets() {
  for (const id of ["sheet-run", "sheet-class", "sheet-left", "sheet-right"]) byId(id).onchange = () => { byId(id).dataset.chosen = byId(id).value || "-"; collect(); };
  byId("sheet").addEventListener("click", (event) => { if (sheet) change({ step: sheet.step(event.offsetY), playing: false }); });
  byId("sheet-save").onclick = () => paint(false, document.createElement("canvas")).toBlob((blob) => save(`${sheet.of.name}-${sheet.name}-${sheet.sides.join("-")}.png`, blob), "image/png");
  new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting) && !seen) { seen = true; collect(); } }, { rootMargin: "300px" }).observe(byId("sheet-box"));
  subscribe(["data", "chosen", "hiddenSeeds", "setting", "space"], collect);
  subscribe(["step", "theme"], () => { if (sheet) paint(); });
}
