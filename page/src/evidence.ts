// The chain of evidence in order, one card a link: a question, its picture, the sentence that answers
// it; the other sentences fold. Cards are there before the sentences are, so that nothing moves.

import { carrier, payload } from "./carrier";
import { Chart } from "./chart";
import { byId, make, options, select } from "./dom";
import { isReading } from "./findings";
import { chosenRuns, groupsOf, model, settled, space, trajectoryOf } from "./model";
import {
  amongClasses,
  concepts,
  finalAccuracies,
  frames,
  naive,
  type Subject,
  spread,
  way,
  ways,
  windowOf,
} from "./pictures";
import { change, state, subscribe } from "./store";
import type { Surface } from "./surface";
import { explained } from "./terms";
import { strip } from "./tiles";
import type { Finding } from "./types";

const MOST_FRAMES = 7;
const HEIGHT = 190;

interface Link {
  name: string;
  question: string;
  topics: string[];
  draw: (surface: Surface, width: number, height: number, of: Subject) => void;
  judged?: boolean;
  shows: string;
}

const drawWays =
  (kind: string): Link["draw"] =>
  (surface, w, h, { judged }) => {
    if (judged) ways(surface, w, h, judged, kind);
  };

const LINKS: Link[] = [
  {
    name: "learned",
    question: "What was learned first?",
    topics: ["order", "in-distribution"],
    draw: concepts,
    shows: "accuracy of each concept of the held-out class against steps, asked plainly",
  },
  {
    name: "mistaken",
    question: "What was it mistaken for?",
    topics: ["memorization"],
    draw: (surface, w, h, of) => (of.shown.length > 1 ? frames(surface, w, h, of) : amongClasses(surface, w, h, of)),
    shows: "images of the held-out class over training, or the ways of all classes through concept space",
  },
  {
    name: "turned",
    question: "When did it turn?",
    topics: ["turn", "loss"],
    draw: way,
    shows: "way of the held-out class through concept space, with its turn",
  },
  {
    name: "could",
    question: "When could it?",
    topics: ["elicitation"],
    draw: drawWays("could"),
    judged: true,
    shows: "joint accuracy under every other way of asking",
  },
  {
    name: "did",
    question: "When did it?",
    topics: ["emergence"],
    draw: naive,
    shows: "joint accuracy when asked plainly, a line a seed",
  },
  {
    name: "controls",
    question: "What do controls make?",
    topics: ["control"],
    draw: drawWays("controls"),
    judged: true,
    shows: "joint accuracy under the controls",
  },
];
const LINKED = new Set([...LINKS.flatMap((link) => link.topics), "verdict"]);

const charts: Chart[] = [];
let subject: Subject = { runs: [], ood: "", judged: null, shown: [] };
let ticket = 0;

const findings = () => model.findings?.findings ?? [];
const every = () => model.findings?.groups ?? [];
const group = () => every().find((g) => g.name === state.group) ?? every()[0] ?? null;
const heldOut = () => space().classes.find((c) => c.ood)?.name ?? space().classes.at(-1)?.name ?? "";

// What the pictures are of: the setting whose evidence is shown; before findings are there, the first
// that is drawn.
function gather() {
  const setting = group();
  const names = new Set(setting?.runs ?? []);
  const runs = setting
    ? model.index.runs.filter((run) => names.has(run.name))
    : (groupsOf(chosenRuns(), "mean")[0] ?? []);
  subject = {
    runs,
    ood: setting?.judged[0]?.class ?? heldOut(),
    judged: setting?.judged[0] ?? null,
    shown: subject.runs === runs ? subject.shown : [],
  };
}

// Images of the held-out class at some checkpoints of the first run that keeps some.
async function images() {
  const mine = ++ticket;
  const run = subject.runs.find((r) => r.images);
  const here = subject;
  const steps = (run ? trajectoryOf(run.token)?.protocols.find((p) => p.name === "naive")?.steps : null) ?? [];
  const found = run
    ? await Promise.all(
        spread(steps, MOST_FRAMES).map(async (step) => ({
          step,
          found: await strip(run, "naive", here.ood, "", step).catch(() => null),
        })),
      )
    : [];
  if (mine !== ticket) return;
  here.shown = found.flatMap(({ step, found: strip }) => (strip ? [{ step, found: strip }] : []));
  for (const chart of charts) chart.refresh();
}

function figureLink(finding: Finding): (string | Node)[] {
  const at = (payload.figures ?? []).findIndex((f) => f.name === finding.figure);
  return finding.figure ? [" ", make("a", { href: `#figure-${at}` }, finding.figure)] : [];
}

const sentence = (tag: "p" | "li", finding: Finding, seen: Set<string>) =>
  make(tag, { class: tag === "p" ? "lead" : null }, ...explained(finding.text, seen), ...figureLink(finding));

const byPlace = (within: HTMLElement, query: string) => within.querySelector(query) as HTMLElement;

function fill(link: Link, seen: Set<string>): void {
  const mine = findings().filter((f) => f.group === (group()?.name ?? "") && link.topics.includes(f.topic));
  const [first, ...rest] = mine;
  const card = byId(`link-${link.name}`);
  const open = card.querySelector("details")?.open;
  const none = model.findings
    ? "No finding: these runs do not hold the data for it."
    : isReading()
      ? "Reading the runs…"
      : "Shown with the findings.";
  byPlace(card, ".said").replaceChildren(
    first ? sentence("p", first, seen) : make("p", { class: "lead quiet" }, none),
    ...(rest.length
      ? [
          make(
            "details",
            { open: Boolean(open) },
            make("summary", {}, `${rest.length} more`),
            make("ul", {}, ...rest.map((f) => sentence("li", f, seen))),
          ),
        ]
      : []),
  );
  byPlace(card, ".chart").hidden = Boolean(link.judged && model.findings && !subject.judged);
  card.hidden = Boolean(model.index.of_table && !mine.length);
}

// Findings that are no link of the chain: comparisons of settings, how far the judge can be trusted, the data.
function beside(seen: Set<string>): void {
  const mine = findings().filter((f) => !LINKED.has(f.topic) && (!f.group || f.group === group()?.name));
  byId("beside").replaceChildren(...(mine.length ? [make("ul", {}, ...mine.map((f) => sentence("li", f, seen)))] : []));
}

function draw() {
  if (!settled()) return;
  options(
    select("group"),
    every().map((g): [string, string] => [g.name, g.name ? g.name[0].toUpperCase() + g.name.slice(1) : "all runs"]),
    group()?.name ?? "",
  );
  byId("group-box").classList.toggle("away", every().length < 2);
  gather();
  const seen = new Set<string>(); // a word is explained where it comes first
  LINKS.forEach((link) => fill(link, seen));
  beside(seen);
  byId("verdict-picture").hidden = Boolean(model.findings && !subject.judged && !carrier.live);
  for (const chart of charts) chart.refresh();
  images();
}

function card(link: Link): void {
  const chart = make("div", { class: "chart" });
  byId("chain").append(
    make(
      "li",
      { class: "link", id: `link-${link.name}` },
      make("h3", {}, link.question),
      chart,
      make("div", {
        class: "said",
        tabindex: carrier.live ? "0" : null,
        role: carrier.live ? "region" : null,
        "aria-label": carrier.live ? link.question : null,
      }),
    ),
  );
  charts.push(
    new Chart(chart, {
      name: link.name,
      height: () => HEIGHT,
      draw: (surface, width, height) => {
        link.draw(surface, width, height, subject);
        return null;
      },
      label: () =>
        `${link.question} Drawn is the ${link.shows}${link.judged && subject.judged ? `: ${finalAccuracies(subject.judged, link.name)}` : ""}.`,
    }),
  );
}

export function startEvidence() {
  byId("evidence").classList.toggle("held", carrier.live);
  LINKS.forEach(card);
  charts.push(
    new Chart(byId("verdict-picture"), {
      name: "verdict",
      height: () => HEIGHT,
      draw: (surface, width, height) => {
        if (subject.judged) ways(surface, width, height, subject.judged, "verdict");
        return null;
      },
      label: () =>
        subject.judged
          ? `Joint accuracy of class ${subject.ood} against steps, ${Object.keys(subject.judged.ways[0].seeds).length} seeds, ${subject.judged.images} images each: ${finalAccuracies(subject.judged, "verdict")}${windowOf(subject.judged) ? `; hidden from step ${windowOf(subject.judged)?.join(" to ")}` : ""}.`
          : "No picture of the verdict.",
    }),
  );
  select("group").onchange = () => change({ group: select("group").value });
  subscribe(["findings", "group", "chosen", "data", "loaded", "space", "hiddenSeeds", "only"], draw);
  subscribe(["theme", "turns"], () => {
    for (const chart of charts) chart.refresh();
  });
}
