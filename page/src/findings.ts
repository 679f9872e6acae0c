// The verdict, the ledgers of claims, saved figures and configs. See evidence.ts for the findings
// between verdict and ledgers.

import { groups as groupBy, rollups } from "d3-array";
import { carrier, payload } from "./carrier";
import { byId, make, messageOf } from "./dom";
import { chosenRuns, groupsOf, keyOf, load, model, settled, tabular } from "./model";
import { change, state, subscribe } from "./store";
import { explained } from "./terms";
import type { Claim, Details, Finding, Findings, Run } from "./types";

const AT_ONCE = 60;
const EACH = 0.5; // seconds that the server takes for a run with scores, about
const SOON = 12;
const MOST_CONFIGS = 40;
const MOST_HELD = 4; // verdicts for which room is held
let kept = "";
let ticket = 0;

let reading = true;
// Whether findings are being read; those of many runs are read only on request.
export const isReading = (): boolean => reading;

const long = (runs: number) =>
  runs * EACH < 90 ? `${Math.ceil((runs * EACH) / 5) * 5} seconds` : `${Math.ceil((runs * EACH) / 60)} minutes`;

// Read the findings of the chosen runs; of many only on request, because that keeps the server busy.
async function findings(asked = false): Promise<void> {
  const runs = chosenRuns();
  const key = keyOf(runs);
  const mine = ++ticket;
  if (!runs.length) {
    kept = "";
    take({ findings: [], groups: [] });
    return verdict([], "No run is chosen.");
  }
  if (key === kept) return;
  if (carrier.live && runs.length > AT_ONCE && !asked) {
    kept = "";
    reading = false;
    take(null);
    notes();
    verdict(
      [],
      `The findings of ${runs.length} runs take about ${long(runs.length)}, so they are computed on request.`,
    );
    const button = make("button", { type: "button", click: () => findings(true) }, "Compute the findings");
    byId("verdict-text").append(button);
    return;
  }
  reading = true;
  if (asked || (carrier.live && runs.length > SOON)) {
    verdict([], `Reading ${runs.length} runs, about ${long(runs.length)}; the rest of the page is there meanwhile.`);
    change({ findings: "" });
  }
  let found: Findings | null;
  try {
    found = await carrier.together(
      "findings",
      runs.map((run) => run.token),
    );
  } catch (error) {
    found = { problems: [messageOf(error)], findings: [], groups: [] };
  }
  if (mine !== ticket) return;
  kept = key;
  take(found);
  verdict((found?.findings ?? []).filter((finding) => finding.topic === "verdict"));
  const all = model.index.runs.length;
  const whole = !carrier.live && all > 1 ? [make("p", { class: "quiet" }, `Of all ${all} runs of this file.`)] : [];
  return notes(...(found?.problems ?? []).map((text) => make("p", { class: "problem" }, text)), ...whole);
}

function take(found: Findings | null): void {
  model.findings = found;
  change({ findings: found ? kept : "" });
}

const notes = (...nodes: Node[]) => byId("evidence-notes").replaceChildren(...nodes);

// The answer to the main question, above everything else: its first sentence large.
function verdict(
  found: Finding[],
  none = `No other way of asking ${tabular() ? "is in the table" : "was tried in these runs"}, so there is no verdict.`,
): void {
  found = onceIfTheSame(found);
  const groups = [...new Set(found.map((finding) => finding.group))];
  const seen = new Set<string>();
  const parts = groups.flatMap((group) => {
    const [first, ...rest] = found.filter((finding) => finding.group === group).map((finding) => finding.text);
    const more = make("p", {}, ...explained(rest.join(" "), seen));
    return [
      group ? make("h3", {}, group[0].toUpperCase() + group.slice(1)) : "",
      make("p", { class: "answer" }, ...explained(first, seen)),
      rest.length === 1
        ? more
        : rest.length
          ? make(
              "details",
              { class: "why", open: !state.narrow && groups.length < 2 },
              make("summary", {}, "Why, and what speaks against it"),
              more,
            )
          : "",
    ];
  });
  byId("verdict-text").replaceChildren(...(found.length ? parts : [make("p", { class: "quiet" }, none)]));
}

// A verdict that is the same for every setting is written once.
function onceIfTheSame(found: Finding[]): Finding[] {
  const texts = new Set(groupBy(found, (f) => f.group).map(([, of]) => of.map((f) => f.text).join()));
  const groups = new Set(found.map((f) => f.group));
  return texts.size === 1 && groups.size > 1
    ? found.filter((f) => f.group === found[0].group).map((f) => ({ ...f, group: "" }))
    : found;
}

const VERDICTS: Record<string, string> = { held: "held", "did not hold": "not" };

// All ledgers in one table, with how many claims came to which verdict.
function ledgers() {
  const all = model.index.ledgers;
  const rows = all.flatMap((ledger) => ledger.rows.map((row) => ({ ...row, ledger: ledger.name })));
  const columns = ["claim", "figure", "effect", "interval", "criterion", "verdict"] as const;
  const verdict = (row: Claim) => [
    make("span", { class: `verdict ${VERDICTS[row.verdict] ?? ""}` }, row.verdict),
    row.reason ? `: ${row.reason}` : "",
  ];
  const body = rows.map((row) =>
    make(
      "tr",
      { title: row.ledger },
      ...columns.map((name) => make("td", {}, ...(name === "verdict" ? verdict(row) : [row[name]]))),
    ),
  );
  const counts = rollups(
    rows,
    (of) => of.length,
    (row) => row.verdict,
  )
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
  byId("ledgers").replaceChildren(
    ...all
      .filter((ledger) => ledger.problem)
      .map((ledger) => make("p", { class: "problem" }, `${ledger.name}: ${ledger.problem}`)),
    ...(rows.length
      ? [
          make("h3", {}, `Claims: ${counts}`),
          make(
            "div",
            { class: "scroll table-box", tabindex: "0", role: "region", "aria-label": "Claims" },
            make(
              "table",
              {},
              make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)))),
              make("tbody", {}, ...body),
            ),
          ),
        ]
      : []),
  );
}

function figure(id: string, name: string, source: string, width: number): HTMLElement {
  const says = (model.findings?.findings ?? [])
    .filter((finding) => finding.figure === name)
    .map((finding) => finding.text);
  const image = make("img", { src: source, alt: [name, ...says].join(". "), loading: "lazy" });
  if (width) image.style.maxWidth = `${width}px`;
  const box = make("div", { tabindex: "0", role: "region", "aria-label": `Figure: ${name}` }, image);
  return make("figure", { class: "drawn", id }, make("figcaption", {}, name), box);
}

function embeddedFigures() {
  const figures = payload.figures ?? [];
  byId("figures-section").hidden = byId("figures-link").hidden = !figures.length;
  byId("figure-list").replaceChildren(...figures.map((f, n) => figure(`figure-${n}`, f.name, f.src, f.width)));
}

async function open(run: Run, place: HTMLElement): Promise<void> {
  let details: Partial<Details>;
  try {
    details = await load("details", run);
  } catch (error) {
    details = { notes: [messageOf(error)] };
  }
  const facts = Object.entries(details.provenance ?? {}).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)),
  );
  place.replaceChildren(
    ...[...(details.problems ?? []), ...(details.notes ?? [])].map((text) => make("p", { class: "quiet" }, text)),
    ...(details.toml
      ? [make("h3", {}, "Config (TOML; enough to repeat the run)"), make("pre", { tabindex: "0" }, details.toml)]
      : []),
    ...(facts.length
      ? [
          make("h3", {}, "Provenance"),
          make(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": `Provenance of ${run.name}` },
            make("table", {}, make("tbody", {}, ...facts)),
          ),
        ]
      : []),
    ...(details.figures ?? []).map((f) => figure("", `${f.name} (${run.name})`, f.src, 0)),
  );
}

function configs() {
  const runs = chosenRuns().slice(0, MOST_CONFIGS);
  const signature = keyOf(runs);
  const place = byId("configs");
  if (place.dataset.of === signature) return;
  place.dataset.of = signature;
  const opened = new Set([...place.querySelectorAll<HTMLElement>("details[open]")].map((d) => d.dataset.token));
  place.replaceChildren(
    ...runs.map((run) => {
      const inside = make("div");
      const box = make(
        "details",
        { "data-token": run.token },
        make(
          "summary",
          {},
          `${run.name}: ${tabular() ? "source" : "config, provenance"}${carrier.live ? ", saved figures" : ""}`,
        ),
        inside,
      );
      box.addEventListener("toggle", () => {
        if (box.open) open(run, inside);
      });
      box.open = opened.has(run.token);
      return box;
    }),
    ...(chosenRuns().length > MOST_CONFIGS
      ? [make("p", { class: "quiet" }, `The first ${MOST_CONFIGS} chosen runs.`)]
      : []),
  );
}

const settingsCount = () => Math.max(1, groupsOf(chosenRuns(), "mean").length);

export function startFindings() {
  byId("verdict-text").classList.toggle("held", carrier.live); // it comes late, and must not move the plot under the cursor
  embeddedFigures();
  subscribe(["findings"], embeddedFigures);
  let wait = 0;
  subscribe(["loaded", "chosen", "hiddenSeeds", "space", "only"], () => {
    if (!settled() || !model.loaded) return;
    byId("verdict-text").style.setProperty("--verdicts", String(Math.min(MOST_HELD, settingsCount())));
    clearTimeout(wait);
    wait = window.setTimeout(findings, 150);
    configs();
  });
  subscribe(["index"], ledgers);
}
