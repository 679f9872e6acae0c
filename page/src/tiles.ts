// Generated images, cut from the contact sheets of the checkpoints; fetched when they are looked at.

import { carrier, payload } from "./carrier";
import { context, make } from "./dom";
import { load } from "./model";
import type { Run } from "./types";

const pictures = new Map<string, Promise<HTMLImageElement>>();
const MOST = 400;

export function picture(source: string): Promise<HTMLImageElement> {
  let found = pictures.get(source);
  if (!found) {
    const [oldest] = pictures.keys();
    if (pictures.size > MOST) pictures.delete(oldest);
    const image = new Image();
    found = new Promise((resolve, reject) => {
      image.onload = () => resolve(image);
      image.onerror = () => {
        pictures.delete(source);
        reject(new Error("the images of this checkpoint cannot be read"));
      };
    });
    pictures.set(source, found);
    image.src = source;
  }
  return found;
}

// The images of one class and setting: their row in the loaded picture, and at: their row in the sheet.
export interface Strip {
  image: HTMLImageElement;
  row: number;
  at: number;
  tile: number;
  columns: number;
}

// The images of a class at a checkpoint; null if there are none.
export async function strip(
  run: Run,
  protocol: string,
  name: string,
  setting: string,
  step: number,
): Promise<Strip | null> {
  const sheet = (await load("details", run)).sheets?.[protocol]?.[step];
  const row = sheet ? sheet.rows.findIndex((r) => r[0] === setting && r[1] === name) : -1;
  if (!sheet || row < 0) return null;
  return { image: await picture(carrier.source(sheet.src)), row, at: row, tile: sheet.tile, columns: sheet.columns };
}

export function tileCanvas(found: Strip, perRow: number, most: number, label: string): HTMLCanvasElement {
  const count = Math.min(found.columns, most);
  const columns = Math.min(perRow, count);
  const lines = Math.ceil(count / columns);
  const side = found.tile + 1;
  const canvas = make("canvas", { role: "img", "aria-label": label });
  Object.assign(canvas, { width: columns * side - 1, height: lines * side - 1 });
  const paper = context(canvas);
  for (let i = 0; i < count; i++) {
    paper.drawImage(
      found.image,
      i * found.tile,
      found.row * found.tile,
      found.tile,
      found.tile,
      (i % columns) * side,
      Math.floor(i / columns) * side,
      found.tile,
      found.tile,
    );
  }
  return canvas;
}

// What to say where there are fewer images than were generated.
export function cutNote(): string {
  const { images_shown: shown = 0, images_generated: all = 0 } = payload;
  return shown < all ? `This file holds ${shown} of the ${all} images of a row.` : "";
}
