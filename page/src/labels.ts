// Names at the ends of lines, in place of a legend; moved apart where they would overlap.

import type { Surface } from "./surface";

const GAP = 12.5;

export interface EndLabel {
  y: number;
  text: string;
  color: string;
}

export interface Ends {
  x: number;
  top: number;
  bottom: number;
  size?: number;
}

// items: [{ y, text, color }]; x is where the lines end, top and bottom what the names stay within.
export function endLabels(surface: Surface, items: EndLabel[], { x, top, bottom, size = 11 }: Ends): void {
  const placed = items
    .filter((item) => Number.isFinite(item.y))
    .sort((a, b) => a.y - b.y)
    .map((item) => ({ ...item, at: item.y }));
  placed.forEach((item, k) => {
    item.at = Math.max(item.at, k ? placed[k - 1].at + GAP : top);
  });
  for (let k = placed.length - 1; k >= 0; k--)
    placed[k].at = Math.min(placed[k].at, k < placed.length - 1 ? placed[k + 1].at - GAP : bottom);
  for (const item of placed) surface.text(x + 6, item.at + 4, item.text, { color: item.color, size });
}

export const cut = (text: string, most = 18): string =>
  text.length > most ? `${text.slice(0, Math.max(0, most - 1))}…` : text;

// A protocol's name as short as it stays clear: ways that differ in their beginning keep that.
export const brief = (protocol: string, most = 17): string =>
  cut(
    protocol
      .replace("latent-control-", "control: ")
      .replace("latent-intervention", "intervention")
      .replace("overprompting-", "over-prompt ")
      .replace("embedding-steering-control-", "control: steer ")
      .replace("embedding-steering-", "steering ")
      .replace("embedding-", ""),
    most,
  );
