// What is chosen. Views subscribe; several changes in one frame are told once.

export const state = {
  space: 0, chosen: new Set(), known: new Set(), classes: new Set(), protocols: new Set(["naive"]), hiddenSeeds: new Set(),
  mode: "mean", color: "auto", dims: 2, axes: [0, 1, -1], ends: {}, setting: "", step: null, playing: false,
  last: null, focus: null, facet: "", compareClass: "", told: "", group: "", narrow: matchMedia("(max-width: 900px)").matches,
};

// These do not change which lines there are.
const FLEETING = new Set(["focus", "step", "playing", "turns", "theme", "told", "group", "narrow"]);
const listeners = [];
let waiting = null, choices = 0;

export const choiceNumber = () => choices;

export function subscribe(keys, listener) {
  listeners.push([new Set(keys), listener]);
}

export function change(patch) {
  Object.assign(state, patch);
  touch(...Object.keys(patch));
}

export function touch(...keys) {
  if (keys.some((key) => !FLEETING.has(key))) choices++;
  if (waiting) {
    keys.forEach((key) => waiting.add(key));
    return;
  }
  waiting = new Set(keys);
  requestAnimationFrame(flush);
}

export function flush() {
  if (!waiting) return;
  const keys = waiting;
  waiting = null;
  for (const [wanted, listener] of listeners) {
    if ([...keys].some((key) => wanted.has(key))) listener(keys);
  }
}
