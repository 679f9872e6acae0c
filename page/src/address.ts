// The whole view in the address, after #: what is chosen is there again after a reload, going back,
// or in a link that is sent. Only what differs from how the page opens is written.

import { positions } from "./clock";
import { byId, input } from "./dom";
import { enter } from "./filters";
import { turn } from "./knobs";
import { model, runOf, runsHere, settled, space } from "./model";
import { CHOICE, change, type Look, state, subscribe } from "./store";

const SHEET: Record<string, string> = {
  "sheet-run": "images",
  "sheet-class": "of",
  "sheet-left": "left",
  "sheet-right": "right",
};
const LOOK: (keyof Look)[] = ["token", "protocol", "setting", "name", "step", "column"];
let opened: Record<string, string> | null = null;
let still = false;

const list = (values: Iterable<string>) => [...values].sort().join();
const split = (text: string) => (text ? text.split(",") : []);
const everyRun = () =>
  runsHere()
    .filter((run) => !run.apart)
    .map((run) => run.token);

const pairsText = (of: Record<string, string>) =>
  Object.entries(of)
    .map(([name, value]) => `${name}~${value}`)
    .join(";");
const record = (text: string): Record<string, string> =>
  Object.fromEntries(text.split(";").flatMap((part) => (part.includes("~") ? [part.split("~")] : [])));
const point = (text: string): number[] => {
  const numbers = split(text).map(Number);
  return numbers.length === space().concepts.length && numbers.every(Number.isFinite) ? numbers : [];
};
const lookOf = (text: string): Look | null => {
  const parts = text.split("~");
  const of = Object.fromEntries(LOOK.map((name, k) => [name, parts[k]]));
  return parts.length === LOOK.length && runOf(of.token)
    ? ({ ...of, step: Number(of.step), column: Number(of.column) } as unknown as Look)
    : null;
};

// Every part of a view as text, in the order in which it has to be set.
function view(): Record<string, string> {
  return {
    space: String(state.space),
    runs:
      list(state.chosen) === list(everyRun())
        ? "all"
        : list([...state.chosen].filter((token) => runsHere().some((run) => run.token === token))),
    classes: list(state.classes),
    ways: list(state.protocols),
    without: list(state.hiddenSeeds),
    lines: state.mode,
    color: state.color,
    dims: String(state.dims),
    axes: state.axes.join(),
    ends: Object.entries(state.ends)
      .map(([c, ends]) => `${c}:${ends.join("-")}`)
      .join(),
    knobs: pairsText(state.knobs),
    only: pairsText(state.only),
    brushes: pairsText(
      Object.fromEntries(Object.entries(state.brushes).map(([name, values]) => [name, values.join("|")])),
    ),
    order: state.order,
    ask: state.ask.join(),
    look: state.look ? LOOK.map((name) => String(state.look?.[name])).join("~") : "",
    step: state.step === null || state.step === positions().at(-1) ? "last" : String(state.step),
    panels: state.facet,
    class: state.compareClass,
    evidence: state.group,
    filter: input("filter").value,
    ...Object.fromEntries(Object.entries(SHEET).map(([id, name]) => [name, byId(id).dataset.chosen ?? ""])),
  };
}

function write(push: boolean): void {
  if (!opened || still || state.playing) return;
  const before = opened;
  const now = view();
  const changed = new URLSearchParams(Object.entries(now).filter(([name, value]) => value !== before[name]));
  const hash = changed.size ? `#${changed.toString().replaceAll("%2C", ",")}` : "";
  if (hash === location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", hash || location.pathname + location.search);
}

// What an address says, over how the page opens; what it does not know is left as it is.
function read(): void {
  if (!opened || !settled() || (location.hash && !location.hash.includes("="))) return;
  const asked: Record<string, string> = {
    ...opened,
    ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
  };
  still = true;
  const number = Number(asked.space);
  if (model.index.spaces[number] && number !== state.space) enter(number);
  const known = (names: string[], text: string) => new Set(split(text).filter((name) => names.includes(name)));
  const axes = split(asked.axes).map(Number);
  const axis = (a: number) => Number.isInteger(a) && a >= -1 && a < space().concepts.length;
  const step = Number(asked.step);
  const labels = (c: number) => space().concepts[c]?.labels?.length ?? 0;
  const ends = split(asked.ends).flatMap((text): [number, [number, number]][] => {
    const [c, from, to] =
      text
        .match(/^(\d+):(\d+)-(\d+)$/)
        ?.slice(1)
        .map(Number) ?? [];
    return c !== undefined && from !== to && Math.max(from, to) < labels(c) ? [[c, [from, to]]] : [];
  });
  input("filter").value = asked.filter;
  byId("filter").dispatchEvent(new Event("input"));
  change({
    chosen:
      asked.runs === "all"
        ? new Set(everyRun())
        : known(
            runsHere().map((run) => run.token),
            asked.runs,
          ),
    classes: known(
      space().classes.map((c) => c.name),
      asked.classes,
    ),
    protocols: new Set(split(asked.ways)),
    hiddenSeeds: new Set(split(asked.without)),
    mode: asked.lines === "runs" ? "runs" : "mean",
    color: asked.color,
    dims: asked.dims === "3" ? 3 : 2,
    axes: axes.length === 3 && axes.every(axis) ? axes : state.axes,
    ends: Object.fromEntries(ends),
    step: Number.isFinite(step) ? step : (positions().at(-1) ?? null),
    facet: asked.panels,
    compareClass: space().classes.some((c) => c.name === asked.class) ? asked.class : opened.class,
    group: asked.evidence,
    focus: null,
    only: record(asked.only),
    brushes: Object.fromEntries(Object.entries(record(asked.brushes)).map(([name, text]) => [name, text.split("|")])),
    order: asked.order,
    ask: point(asked.ask),
    look: lookOf(asked.look),
    last: positions().at(-1) ?? 0, // so that the clock does not take the asked step for one to follow
  });
  for (const [id, name] of Object.entries(SHEET)) {
    if (asked[name]) byId(id).dataset.chosen = asked[name];
    else delete byId(id).dataset.chosen;
  }
  turn(record(asked.knobs)).finally(() => {
    still = false;
  });
}

async function copy() {
  write(false);
  let note = "copied";
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    note = "the address above is the link";
  }
  byId("copied").textContent = note;
  setTimeout(() => {
    byId("copied").textContent = "";
  }, 4000);
}

// Links to sections scroll there and leave the address alone, which holds the view.
function jump(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest('a[href^="#"]') : null;
  const target = document.getElementById(link?.getAttribute("href")?.slice(1) ?? "");
  if (!target) return;
  event.preventDefault();
  target.scrollIntoView();
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

export function startAddress() {
  byId("copy-link").onclick = copy;
  document.addEventListener("click", jump);
  window.addEventListener("popstate", read);
  byId("filter").addEventListener("change", () => write(true));
  for (const id of Object.keys(SHEET)) byId(id).addEventListener("change", () => setTimeout(write, 0, true));
  subscribe(["loaded"], () => {
    if (opened) return;
    opened = view();
    read();
  });
  subscribe(
    [...CHOICE, "dims", "axes", "ends", "brushes", "order", "ask", "look", "facet", "compareClass", "group"],
    () => write(true),
  );
  subscribe(["step", "playing"], () => write(false));
}
