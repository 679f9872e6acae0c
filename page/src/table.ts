// All runs: sorted, filtered, chosen; what is wrong with one stands in its row.

import { byId, counted, input, make, thousands, words } from "./dom";
import { chosenRuns, MANY, many, model, runsHere, settled, space, tabular, trajectoryOf, variedInAll } from "./model";
import { within } from "./parallel";
import { change, state, subscribe } from "./store";
import type { Maybe, Run } from "./types";

const order = { by: "name", down: false };
const ROWS = 100;
let most = ROWS;
const compare = new Intl.Collator("en", { numeric: true }).compare;

const heldOut = () => (settled() ? space().classes.find((c) => c.ood)?.name : undefined);
const reached = (run: Run): Maybe =>
  trajectoryOf(run.token)
    ?.protocols.find((p) => p.name === "naive")
    ?.steps.at(-1) ?? null;

function emerged(run: Run, protocol = "naive"): Maybe {
  const row = trajectoryOf(run.token)?.emergence?.find(
    (e) => e.protocol === protocol && e.class === heldOut() && e.concept === "joint",
  );
  return row ? (row.upper ?? Infinity) : null;
}

type Cell = string | number | null;

interface Column {
  id: string;
  title: string;
  read: (run: Run) => Cell;
  text?: (value: Cell) => string;
  number?: boolean;
  hint?: string;
  css?: string;
}

function columns(): Column[] {
  const asText = (value: Cell) => (value === null || value === undefined ? "–" : String(value));
  return [
    { id: "name", title: "run", read: (run) => run.name, css: "run" },
    ...(tabular() ? [] : [{ id: "status", title: "status", read: (run: Run) => run.status }]),
    { id: "seed", title: "seed", read: (run) => run.seed, number: true, text: asText },
    {
      id: "steps",
      title: "scored to step",
      read: reached,
      number: true,
      text: (value: Cell) => (value === null ? "–" : thousands(Number(value))),
    },
    ...(tabular()
      ? []
      : [
          {
            id: "emerged",
            title: `${heldOut() ?? "OOD"} emerges`,
            hint: "first of three checkpoints in a row with a joint accuracy of 0.8, naive prompting",
            read: (run: Run) => emerged(run),
            number: true,
            text: (value: Cell) =>
              value === null ? "–" : value === Infinity ? "not reached" : thousands(Number(value)),
          },
        ]),
    ...(settled() ? variedInAll() : []).map((name) => ({
      id: name,
      title: words(name),
      hint: name,
      read: (run: Run) => run.values[name] ?? null,
      text: asText,
    })),
  ];
}

const rowText = (run: Run): string =>
  [run.name, run.status, run.preset, ...Object.entries(run.values).map(([k, v]) => `${k}=${v}`), ...run.problems]
    .join(" ")
    .toLowerCase();

// "seed=1 mask" finds runs whose seed is 1 and in whose row "mask" stands.
function matching(query: string): (run: Run) => boolean {
  const terms = query
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((term) => {
      const [, name, wanted] = term.match(/^([\w.]+)=(.*)$/) ?? [];
      return { term, name, wanted };
    });
  return (run) =>
    terms.every(({ term, name, wanted }) => {
      if (name === "seed" || name === "status" || name === "preset") return String(run[name]) === wanted;
      const key = name && Object.keys(run.values).find((k) => k === name || k.endsWith(`.${name}`));
      return key ? String(run.values[key]) === wanted : rowText(run).includes(term);
    });
}

// Texts in their order, each compared with others once and not in every sort of thousands of runs.
const inOrder = (texts: Iterable<string>): Map<string, number> =>
  new Map([...new Set(texts)].sort(compare).map((text, at) => [text, at]));
let names = { of: model.index.runs, at: new Map<string, number>() };

function nameAt(run: Run): number {
  if (names.of !== model.index.runs)
    names = { of: model.index.runs, at: inOrder(model.index.runs.map((each) => each.name)) };
  return names.at.get(run.name) ?? 0;
}

function listed(): Run[] {
  const column = columns().find((c) => c.id === order.by) ?? columns()[0];
  const matches = matching(input("filter").value);
  const runs = model.index.runs.filter((run) => matches(run) && within(run, state.brushes));
  const cells = runs.map(column.id === "name" ? nameAt : column.read);
  const texts = inOrder(cells.filter((cell) => typeof cell === "string"));
  const keyed = runs.map((run, n) => {
    const cell = cells[n];
    return { run, key: typeof cell === "string" ? (texts.get(cell) ?? 0) : cell };
  });
  keyed.sort(({ run: a, key: x }, { run: b, key: y }) => {
    if (x === null || y === null) return Number(x === null) - Number(y === null) || nameAt(a) - nameAt(b);
    return (order.down ? y - x : x - y) || nameAt(a) - nameAt(b);
  });
  return keyed.map(({ run }) => run);
}

function ago(since: number): string {
  const minutes = Math.round((Date.now() / 1000 - since) / 60);
  return minutes < 120
    ? counted(minutes, "minute")
    : minutes < 2880
      ? counted(Math.round(minutes / 60), "hour")
      : counted(Math.round(minutes / 1440), "day");
}

function status(run: Run): HTMLElement {
  const text = run.status === "silent" ? `silent for ${ago(run.since)}` : run.status;
  return make(
    "span",
    {
      class: `status ${run.status}`,
      title: run.status === "silent" ? "its run.json says running, but nothing has been written since" : null,
    },
    text,
  );
}

function row(run: Run, shown: Column[]): HTMLElement {
  const here = run.space === state.space;
  const on = state.chosen.has(run.token);
  const box = make("input", {
    type: "checkbox",
    "aria-label": `Choose ${run.name}`,
    disabled: !here,
    change: () => choose([run], box.checked),
  });
  box.checked = on && here;
  const problems = [
    ...run.problems,
    ...(trajectoryOf(run.token)?.problems ?? []),
    ...(trajectoryOf(run.token)?.notes ?? []),
  ];
  const cells = shown.map((column) => {
    const value = column.id === "status" ? status(run) : (column.text ?? String)(column.read(run));
    return make(
      "td",
      { class: column.number ? "number" : (column.css ?? null) },
      value,
      column.id === "name" && problems.length ? make("div", { class: "problem" }, problems.join(" ")) : null,
    );
  });
  return make("tr", { class: on && here ? "chosen" : null }, make("td", {}, box), ...cells);
}

export function choose(runs: Run[], on: boolean): void {
  const chosen = new Set(state.chosen);
  for (const run of runs) chosen[on ? "add" : "delete"](run.token);
  change({ chosen });
}

// A button for the rows that are not shown yet.
function further(count: number, columns: number): HTMLElement {
  const more = () => {
    most += ROWS;
    draw();
  };
  const text = `Show ${counted(Math.min(ROWS, count - most), "more run")} of ${counted(count - most, "run")} below`;
  const button = make("button", { type: "button", "data-by": "more", click: more }, text);
  return make("tfoot", {}, make("tr", {}, make("td", { colspan: columns }, button)));
}

function draw() {
  const shown = columns();
  const runs = listed();
  const table = byId("run-table");
  const active = document.activeElement as HTMLElement | null;
  const again = active && table.contains(active) ? (active.getAttribute("aria-label") ?? active.dataset.by) : null;
  const head = shown.map((column) =>
    make(
      "th",
      {
        scope: "col",
        class: column.number ? "number" : null,
        "aria-sort": order.by === column.id ? (order.down ? "descending" : "ascending") : null,
      },
      make(
        "button",
        {
          type: "button",
          "data-by": column.id,
          title: column.hint ?? null,
          click: () => {
            order.down = order.by === column.id && !order.down;
            order.by = column.id;
            draw();
          },
        },
        column.title,
        order.by === column.id ? (order.down ? " ▼" : " ▲") : "",
      ),
    ),
  );
  table.replaceChildren(
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "sr" }, "chosen")), ...head)),
    make("tbody", {}, ...runs.slice(0, most).map((run) => row(run, shown))),
  );
  if (runs.length > most) table.append(further(runs.length, shown.length + 1));
  if (again)
    [...table.querySelectorAll<HTMLElement>("input, button")]
      .find((e) => e.getAttribute("aria-label") === again || e.dataset.by === again)
      ?.focus();
  const bad = model.index.runs.filter((run) => run.space === null).length;
  byId("chosen").textContent =
    `${chosenRuns().length} of ${counted(runsHere().length, "run")} chosen${runs.length < model.index.runs.length ? `, ${runs.length} listed` : ""}${bad ? `, ${bad} cannot be read` : ""}`;
}

function leftOut() {
  byId("left-out").hidden = !model.index.left_out.length;
  byId("left-out").textContent = model.index.left_out.join(" ");
}

// How sweeps stand; their runs that are under way or failed unfold.
function sweeps() {
  const all = model.index.sweeps ?? [];
  const box = byId("sweeps");
  const unfolded = new Set([...box.querySelectorAll("details[open]")].map((e) => (e as HTMLElement).dataset.name));
  box.hidden = !all.length;
  box.replaceChildren(
    ...all.map((sweep) =>
      sweep.runs.length
        ? make(
            "details",
            { "data-name": sweep.name, open: unfolded.has(sweep.name) },
            make("summary", {}, `Sweep ${sweep.name}: ${sweep.summary}`),
            make("ul", {}, ...sweep.runs.map((line) => make("li", {}, line))),
          )
        : make("p", {}, `Sweep ${sweep.name}: ${sweep.summary}`),
    ),
  );
}

export function startTable() {
  let wait = 0;
  input("filter").oninput = () => {
    clearTimeout(wait);
    most = ROWS;
    wait = window.setTimeout(draw, 60);
  };
  byId("choose-shown").onclick = () => {
    change({
      chosen: new Set(
        listed()
          .filter((run) => run.space === state.space)
          .slice(0, many() ? MANY : undefined)
          .map((run) => run.token),
      ),
    });
  };
  byId("choose-none").onclick = () => change({ chosen: new Set() });
  subscribe(["data", "index", "chosen", "space", "hiddenSeeds", "only", "brushes"], draw);
  subscribe(["index"], leftOut);
  subscribe(["index"], sweeps);
}
