// The chain of evidence in order, one card a link: a question, its picture, the sentence that answers
// it; the other sentences fold. Cards are there before the sentences are, so that nothing moves.

import { byId, make, options } from "./dom.js";
import { carrier, payload } from "./carrier.js";
import { change, state, subscribe } from "./store.js";
import { model, chosenRuns, groups, space, trajectoryOf } from "./model.js";
import { Chart } from "./chart.js";
import { explained } from "./terms.js";
import { strip } from "./tiles.js";
import { concepts, frames, naive, spread, told, way, ways, windowOf } from "./pictures.js";

const MOST_FRAMES = 7, HEIGHT = 190;

const LINKS = [
  { name: "learned", question: "What was learned first?", topics: ["order", "in-distribution"], draw: concepts, shows: "accuracy of each concept of the held-out class against steps, asked plainly" },
  { name: "mistaken", question: "What was it mistaken for?", topics: ["memorization"], draw: (surface, w, h, of) => (of.shown.length ? frames(surface, w, h, of) : way(surface, w, h, of)), shows: "images of the held-out class over training, or its way through concept space" },
  { name: "turned", question: "When did it turn?", topics: ["turn", "loss"], draw: way, shows: "way of the held-out class through concept space, with its turn" },
  { name: "could", question: "When could it?", topics: ["elicitation"], draw: (surface, w, h, of) => ways(surface, w, h, of, "could"), judged: true, shows: "joint accuracy under every other way of asking" },
  { name: "did", question: "When did it?", topics: ["emergence"], draw: naive, shows: "joint accuracy when asked plainly, a line a seed" },
  { name: "controls", question: "What do controls make?", topics: ["control"], draw: (surface, w, h, of) => ways(surface, w, h, of, "controls"), judged: true, shows: "joint accuracy under the controls" },
];
const LINKED = new Set([...LINKS.flatMap((link) => link.topics), "verdict"]);

const charts = [];
let of = { runs: [], ood: "", judged: null, shown: [] }, ticket = 0;

const findings = () => model.told?.findings ?? [];
const every = () => model.told?.groups ?? [];
const group = () => every().find((g) => g.name === state.group) ?? every()[0] ?? null;
const heldOut = () => space()?.classes.find((c) => c.ood)?.name ?? space()?.classes.at(-1)?.name;

// What the pictures are of: the setting whose evidence is told; before that, the first that is drawn.
function gather() {
  const told = group(), names = new Set(told?.runs ?? []);
  const runs = told ? model.index.runs.filter((run) => names.has(run.name)) : groups(chosenRuns(), "mean")[0] ?? [];
  of = { runs, ood: told?.judged[0]?.class ?? heldOut(), judged: told?.judged[0] ?? null, shown: of.runs === runs ? of.shown : [] };
}

// Images of the held-out class at some checkpoints of the first run that keeps some.
async function images() {
  const mine = ++ticket, run = of.runs.find((r) => r.images), here = of;
  const steps = trajectoryOf(run?.token)?.protocols.find((p) => p.name === "naive")?.steps ?? [];
  const found = run ? await Promise.all(spread(steps, MOST_FRAMES).map(async (step) => ({ step, found: await strip(run, "naive", here.ood, "", step).catch(() => null) }))) : [];
  if (mine !== ticket) return;
  here.shown = found.filter((frame) => frame.found);
  charts.forEach((chart) => chart.refresh());
}

function figureLink(finding) {
  const at = (payload.figures ?? []).findIndex((f) => f.name === finding.figure);
  return finding.figure ? [" ", make("a", { href: `#figure-${at}` }, finding.figure)] : [];
}

const sentence = (tag, finding, seen) => make(tag, { class: tag === "p" ? "lead" : null }, ...explained(finding.text, seen), ...figureLink(finding));

function fill(link, seen) {
  const mine = findings().filter((f) => f.group === (group()?.name ?? "") && link.topics.includes(f.topic));
  const [first, ...rest] = mine, card = byId(`link-${link.name}`), open = card.querySelector("details")?.open;
  const none = model.told ? "Nothing is told of it: these runs do not hold what it takes." : "Reading the runs…";
  card.querySelector(".said").replaceChildren(
    first ? sentence("p", first, seen) : make("p", { class: "lead quiet" }, none),
    ...(rest.length ? [make("details", { open: Boolean(open) }, make("summary", {}, `${rest.length} more`), make("ul", {}, ...rest.map((f) => sentence("li", f, seen))))] : []));
  card.querySelector(".chart").hidden = link.judged && model.told && !of.judged;
  card.hidden = Boolean(model.index.of_table && !mine.length);
}

// What is no link of the chain: comparisons of settings, how far the judge can be trusted, the data.
function beside(seen) {
  const mine = findings().filter((f) => !LINKED.has(f.topic) && (!f.group || f.group === group()?.name));
  byId("beside").replaceChildren(...(mine.length ? [make("ul", {}, ...mine.map((f) => sentence("li", f, seen)))] : []));
}

function draw() {
  if (!space()) return;
  options(byId("group"), every().map((g) => [g.name, g.name ? g.name[0].toUpperCase() + g.name.slice(1) : "all runs"]), group()?.name ?? "");
  byId("group-box").classList.toggle("away", every().length < 2);
  gather();
  const seen = new Set(); // a word is explained where it comes first
  LINKS.forEach((link) => fill(link, seen));
  beside(seen);
  byId("verdict-picture").hidden = Boolean(model.told && !of.judged && !carrier.live);
  charts.forEach((chart) => chart.refresh());
  images();
}

function card(link) {
  const chart = make("div", { class: "chart" });
  byId("chain").append(make("li", { class: "link", id: `link-${link.name}` }, make("h3", {}, link.question), chart, make("div", { class: "said", tabindex: carrier.live ? "0" : null, role: carrier.live ? "region" : null, "aria-label": carrier.live ? link.question : null })));
  charts.push(new Chart(chart, {
    name: link.name, height: () => HEIGHT,
    draw: (surface, width, height) => { if (of.judged || !link.judged) link.draw(surface, width, height, of); },
    label: () => `${link.question} Drawn is the ${link.shows}${link.judged && of.judged ? `: ${told(of.judged, link.name)}` : ""}.`,
  }));
}

export function startEvidence() {
  byId("told").classList.toggle("held", carrier.live);
  LINKS.forEach(card);
  charts.push(new Chart(byId("verdict-picture"), {
    name: "verdict", height: () => HEIGHT,
    draw: (surface, width, height) => { if (of.judged) ways(surface, width, height, of, "verdict"); },
    label: () => (of.judged ? `Joint accuracy of class ${of.ood} against steps, ${Object.keys(of.judged.ways[0].seeds).length} seeds, ${of.judged.images} images each: ${told(of.judged, "verdict")}${windowOf(of.judged) ? `; hidden from step ${windowOf(of.judged).join(" to ")}` : ""}.` : "No picture of the verdict."),
  }));
  byId("group").onchange = () => change({ group: byId("group").value });
  subscribe(["told", "group", "chosen", "data", "loaded", "space", "hiddenSeeds"], draw);
  subscribe(["theme", "turns"], () => charts.forEach((chart) => chart.refresh()));
}
