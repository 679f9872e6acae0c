// Short explanations of uncommon words, on hover, focus and tap.

import { byId, make } from "./dom";

const TERMS: Record<string, string> = {
  "Hidden capability": "The model can make it when asked in another way, and does not when asked plainly.",
  "plain prompting": "Asking the model as it was trained: the class in its prompt, nothing changed.",
  "naive prompting": "Asking the model as it was trained: the class in its prompt, nothing changed.",
  "joint accuracy":
    "Share of images that show one valid object with all the concepts that were asked for, as the judge sees it; of doubtful images the probability counts.",
  "plain probe":
    "A classifier trained on the data. It says something of every image, also of one that shows no object, so it flatters; the judge does not.",
  "the judge": "What decides what an image shows: the concepts, and whether there is one valid object at all.",
  honest:
    "The setting was chosen on one half of the images and scored on the other; choosing and scoring on the same images flatters.",
  "settings chosen on one half of the images":
    "Choosing the best of many settings and scoring it on the same images would flatter it.",
  "random displacement":
    "A control: the prompt is moved as far as the intervention moves it, in a direction without a meaning.",
  "Scaling the whole embedding": "A control: the prompt is made louder, not turned towards a concept.",
  control:
    "A change of equal size without the concept in mind. If it does the same, what elicits the class is not specific.",
  "latent-control-random":
    "A control: the prompt is moved as far as the intervention moves it, in a direction without a meaning.",
  "latent-control-scaling": "A control: the prompt is made louder, not turned towards a concept.",
  "latent-intervention": "The prompt's embedding is moved along the direction of a concept.",
  "overprompting-color": "The prompt asks for more of the color than any training prompt did.",
  "overprompting-size": "The prompt asks for more of the size than any training prompt did.",
  patching: "The prompt's embedding is taken from the last checkpoint: what the rest of the model can do with it.",
  "held out": "No training image has this combination of concepts.",
  turns: "Learning first moves towards a training class, then bends towards the class that was asked for.",
  "95 % interval":
    "Where the value lies by this much data. Over seeds where there are several (Student's), else over the images of one run.",
  medians: "Half of the seeds are below, half above.",
  checkpoints: "Moments of training at which the model was kept and asked.",
  seeds: "Trainings that differ in their random numbers alone.",
};

const NAMES = Object.keys(TERMS).sort((a, b) => b.length - a.length);
const PATTERN = new RegExp(`(?<![\\w-])(${NAMES.join("|")})(?![\\w-])`, "gi");
const meaning = new Map(NAMES.map((name) => [name.toLowerCase(), TERMS[name]]));

// A text as nodes; a word is explained where it comes first, and `seen` remembers which were.
export function explained(text: string, seen = new Set<string>()): (Node | string)[] {
  const nodes: (Node | string)[] = [];
  let from = 0;
  for (const found of text.matchAll(PATTERN)) {
    const explanation = meaning.get(found[0].toLowerCase());
    if (!explanation || seen.has(explanation)) continue;
    seen.add(explanation);
    const end = found.index + found[0].length;
    const opening = text.slice(from, found.index).match(/[("]+$/)?.[0] ?? "";
    const closing = text.slice(end).match(/^[)".,;:]+/)?.[0] ?? "";
    nodes.push(text.slice(from, found.index - opening.length), whole(opening, term(found[0], explanation), closing));
    from = end + closing.length;
  }
  return [...nodes, text.slice(from)];
}

// A word with the brackets around it and the stop after it, which stay on its line.
function whole(opening: string, word: HTMLElement, closing: string): HTMLElement {
  return opening || closing ? make("span", { class: "whole" }, opening, word, closing) : word;
}

function term(word: string, explanation: string): HTMLElement {
  const element = make("button", { type: "button", class: "term", "aria-describedby": described(explanation) }, word);
  element.addEventListener("pointerenter", () => show(element, explanation));
  element.addEventListener("pointerleave", hide);
  element.addEventListener("focus", () => show(element, explanation));
  element.addEventListener("blur", hide);
  element.addEventListener("click", () => show(element, explanation)); // a tap; Safari gives buttons no focus
  return element;
}

// What a screen reader says after the word; not part of the sentence.
function described(explanation: string): string {
  const id = `meaning-${[...meaning.values()].indexOf(explanation)}`;
  if (!document.getElementById(id)) byId("meanings").append(make("span", { id }, explanation));
  return id;
}

// One box for all words; it stays inside the window, below the word where there is room.
function show(element: HTMLElement, explanation: string): void {
  const box = byId("tip");
  const word = element.getBoundingClientRect();
  box.textContent = explanation;
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, word.left))}px`;
  box.style.top = `${word.bottom + height + 70 < innerHeight ? word.bottom + 6 : word.top - height - 6}px`;
}

const hide = () => {
  byId("tip").hidden = true;
};

export function startTerms() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  document.addEventListener("scroll", hide, { passive: true, capture: true });
}
