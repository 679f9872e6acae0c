// The checkpoint that is looked at: its numbers and the images that were generated there.

import type { Ref } from "./chart";
import { byId, digits, make, messageOf, thousands } from "./dom";
import { toLookAt } from "./look";
import { type Kind, type Line, label, load, lone, settled, space, tabular, trajectoryOf, turnOf } from "./model";
import { focused } from "./space";
import { state, subscribe } from "./store";
import { cutNote, strip } from "./tiles";
import type { Run } from "./types";

const RUNS = 4;
const REST = 25;
let ticket = 0;
let wait = 0;

// The number of the setting that a run's point belongs to.
function settingAt(run: Run, line: Line, i: number): number {
  const place = line.runs.indexOf(run);
  const part = line.parts[place];
  const at = line.at[i][place];
  return part.best[at];
}

function describe({ line, i }: Ref): void {
  const kind = space().classes.find((c) => c.name === line.name);
  const [low, high] = line.interval("joint", 0, i);
  const samples = line.parts[0].samples[line.at[i][0]];
  const ends = `${digits(low)} to ${digits(high)}`;
  const interval =
    line.runs.length === 2
      ? `2 runs: ${ends}`
      : `95 % interval ${ends} ${line.runs.length > 1 ? `over ${line.runs.length} runs` : `of ${samples} ${tabular() ? "samples" : "images"}`}`;
  const known = line.runs.length > 1 || samples > 0;
  const who = lone()
    ? ""
    : `Class ${line.name}${kind?.words && `, ${kind.words}`}${tabular() ? "" : ` (${kind?.ood ? "held out" : "trained"})`}, `;
  const joint = Number.isNaN(line.joint[i])
    ? "."
    : `: joint accuracy ${digits(line.joint[i])}${known ? ` (${interval})` : ""}.`;
  const turn = line.protocol === "naive" ? turnOf(line) : null;
  byId("what").textContent =
    `${who}${line.protocol}, ${label(line, true)}, step ${thousands(line.steps[i])}${joint}${turn ? ` ${turn.text}` : ""}`;
  const body = byId<HTMLTableElement>("numbers").tBodies[0];
  const row = (name: string, ...values: string[]) =>
    make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, value)));
  const withInterval = (of: Kind, c: number) => {
    const [a, b] = line.interval(of, c, i);
    const value = digits(line.value(of, c, i));
    return known ? `${value} (${digits(a)}–${digits(b)})` : value;
  };
  body.replaceChildren(
    ...space().concepts.map((concept, c) =>
      row(concept.name, withInterval("accuracy", c), withInterval("coordinate", c)),
    ),
    row("joint", digits(line.joint[i]), "–"),
  );
}

async function images({ line, i }: Ref): Promise<void> {
  if (tabular()) return;
  const key = [
    line.protocol,
    line.name,
    line.steps[i],
    ...line.runs.map((run) => `${run.token}${run.version} ${settingAt(run, line, i)}`),
    state.knobs[line.protocol] ?? "",
  ].join();
  if (byId("tiles").dataset.of === key) return;
  const mine = ++ticket;
  const figures: HTMLElement[] = [];
  const single = line.runs.length === 1;
  const step = line.steps[i];
  const withImages = [...line.runs].sort((a, b) => Number(b.images) - Number(a.images)); // few of many kept runs have some
  const none = !single && line.runs.every((run) => !run.images);
  if (none) figures.push(make("p", { class: "quiet" }, "These runs keep no images."));
  for (const run of none ? [] : withImages.slice(0, RUNS)) {
    const number = settingAt(run, line, i);
    const known = settingsOf(run, line.protocol);
    const of = known[number] ?? "";
    const sweep = known.length > 1;
    const caption = [
      single ? null : run.name,
      sweep ? `setting ${of}${state.knobs[line.protocol] === undefined ? " (best of this step)" : ""}` : of,
    ]
      .filter(Boolean)
      .join(", ");
    try {
      const found = await strip(run, line.protocol, line.name, of, step);
      if (mine !== ticket) return;
      if (found) {
        figures.push(
          make(
            "figure",
            {},
            caption ? make("figcaption", {}, caption) : null,
            toLookAt(found, run, { protocol: line.protocol, setting: of, name: line.name, step }, single ? 32 : 8),
          ),
        );
      } else {
        const details = await load("details", run);
        const why =
          details.notes?.find(
            (note) =>
              note.includes(`samples/${line.protocol}/step-${String(step).padStart(8, "0")}.png`) ||
              note.includes("images"),
          ) ?? "No images of this checkpoint and setting.";
        figures.push(make("p", { class: "quiet" }, `${single ? "" : `${run.name}: `}${why}`));
      }
    } catch (error) {
      figures.push(make("p", { class: "quiet" }, `${run.name}: ${messageOf(error)}`));
    }
    if (mine !== ticket) return;
  }
  if (!none && line.runs.length > RUNS)
    figures.push(make("p", { class: "quiet" }, `The first ${RUNS} of ${line.runs.length} runs.`));
  if (cutNote()) figures.push(make("p", { class: "quiet" }, cutNote()));
  const within = byId("tiles").contains(document.activeElement);
  byId("tiles").replaceChildren(...figures);
  if (within) byId("tiles").querySelector<HTMLElement>(".frame")?.focus();
  byId("tiles").dataset.of = key;
  byId("tiles").dataset.shown = `${line.protocol}/${line.name}/${step}`;
}

const settingsOf = (run: Run, protocol: string) =>
  trajectoryOf(run.token)?.protocols.find((p) => p.name === protocol)?.settings ?? [""];

export function startDetail() {
  subscribe(
    [
      "focus",
      "step",
      "data",
      "chosen",
      "classes",
      "protocols",
      "mode",
      "ends",
      "knobs",
      "only",
      "space",
      "turns",
      "hiddenSeeds",
    ],
    () => {
      const now = settled() ? focused() : null;
      byId("detail").hidden = !now;
      byId("what").setAttribute("aria-live", state.playing ? "off" : "polite");
      if (!now) return;
      describe(now);
      clearTimeout(wait);
      wait = window.setTimeout(images, REST, now);
    },
  );
}
