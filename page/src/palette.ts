// Colors that stay apart under every common color-vision deficiency, in both themes.

import { interpolateCividis } from "d3-scale-chromatic";
import type { Space } from "./types";

const TRAIN = {
  light: ["#0b3c6b", "#1f6fb4", "#3e8e9e", "#7a8fd0", "#5fa3dc", "#164a5c"],
  dark: ["#a9d3fa", "#6db3ee", "#63c3d2", "#a7b6f5", "#8cc3f0", "#4f8fd0"],
};
const OOD = {
  light: ["#c4146f", "#8e0d57", "#e0559b", "#a8458f", "#e8467c", "#7d3a6b"],
  dark: ["#ff7cbc", "#d9589b", "#ffb3d9", "#e19ad2", "#ff9bb5", "#c987bb"],
};
const APART = {
  light: ["#0072b2", "#d55e00", "#007d5c", "#a04a86", "#8a6d00", "#3a7ca5", "#5b5b5b", "#b0342a"],
  dark: ["#56b4e9", "#ff9248", "#2fd0a5", "#e79acb", "#f0d543", "#8ec8ff", "#c4c4c4", "#ff8f85"],
};
export const DASHES: number[][] = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [12, 4], [1, 2], [6, 2, 2, 2]];

export const dark = () => document.documentElement.dataset.theme === "dark";
const shade = () => (dark() ? "dark" : "light");

export function ink() {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: read("paper"),
    ink: read("ink"),
    quiet: read("quiet"),
    line: read("line"),
    edge: read("edge"),
    turn: read("turn"),
    band: read("turn-band"),
    panel: read("panel"),
    bad: read("bad"),
    good: read("good"),
  };
}

export function classColor(space: Space, name: string): string {
  const kind = space.classes.find((c) => c.name === name);
  if (!kind) return apart(0);
  const same = space.classes.filter((c) => c.ood === kind.ood);
  const shades = (kind.ood ? OOD : TRAIN)[shade()];
  return shades[same.indexOf(kind) % shades.length];
}

export const apart = (index: number): string => APART[shade()][index % APART[shade()].length];

// Rising values of a setting, from cividis without its end that vanishes in the theme's background.
export function ramp(share: number): string {
  const [low, high] = dark() ? [0.38, 1] : [0, 0.86];
  return interpolateCividis(low + share * (high - low));
}

// A color for each value: a ramp if all are numbers, else hues.
export function scale(values: string[]): (value: string) => string {
  const numbers = values.map(Number);
  if (values.length > 1 && numbers.every((n) => Number.isFinite(n))) {
    const sorted = [...numbers].sort((a, b) => a - b);
    return (value) => ramp(sorted.indexOf(Number(value)) / (sorted.length - 1));
  }
  return (value) => apart(values.indexOf(value));
}
