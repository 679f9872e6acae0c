// Generated images, cut from the contact sheets of the checkpoints; fetched when they are looked at.

import { carrier, payload } from "./carrier.js";
import { load } from "./model.js";
import { make } from "./dom.js";

const pictures = new Map();
const MOST = 400;

export function picture(source) {
  if (!pictures.has(source)) {
    if (pictures.size > MOST) pictures.delete(pictures.keys().next().value);
    const image = new Image();
    pictures.set(source, new Promise((resolve, reject) => {
      image.onload = () => resolve(image);
      image.onerror = () => { pictures.delete(source); reject(new Error("the images of this checkpoint cannot be read")); };
    }));
    image.src = source;
  }
  return pictures.get(source);
}

// Where a class's images lie: { image, row, tile, columns }, or null if there are none.
export async function strip(run, protocol, name, setting, step) {
  const sheet = (await load("details", run)).sheets?.[protocol]?.[step];
  const row = sheet ? sheet.rows.findIndex((r) => r[0] === setting && r[1] === name) : -1;
  if (row < 0) return null;
  return { image: await picture(carrier.source(sheet.src)), row, tile: sheet.tile, columns: sheet.columns };
}

export function tileCanvas(found, perRow, most, label) {
  const count = Math.min(found.columns, most), columns = Math.min(perRow, count), lines = Math.ceil(count / columns), side = found.tile + 1;
  const canvas = make("canvas", { role: "img", "aria-label": label });
  Object.assign(canvas, { width: columns * side - 1, height: lines * side - 1 });
  const context = canvas.getContext("2d");
  for (let i = 0; i < count; i++) {
    context.drawImage(found.image, i * found.tile, found.row * found.tile, found.tile, found.tile, (i % columns) * side, Math.floor(i / columns) * side, found.tile, found.tile);
  }
  return canvas;
}

// What to say where there are fewer images than were generated.
export function cutNote() {
  const { images_shown: shown, images_generated: all } = payload;
  return shown < all ? `This file holds ${shown} of the ${all} images of a row.` : "";
}
