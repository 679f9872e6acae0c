// The trajectory as an animated GIF: one frame for each checkpoint.

import { byId, make, save, thousands } from "./dom.js";
import { state, change, flush } from "./store.js";
import { positions, play } from "./clock.js";
import { ink } from "./palette.js";
import { plot } from "./space.js";

const PACE = 160, LAST = 1500, MOST = 90;

export async function gif(told = () => {}) {
  const steps = positions(), stride = Math.ceil(steps.length / MOST), before = state.step;
  const chosen = steps.filter((_, i) => i % stride === 0 || i === steps.length - 1), encoder = gifenc.GIFEncoder();
  let palette = null;
  play(false);
  for (const step of [steps.at(-1), ...chosen]) {
    change({ step });
    flush();
    const canvas = plot().canvas(1), context = canvas.getContext("2d");
    context.fillStyle = ink().ink;
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "right";
    context.fillText(`step ${thousands(step)}`, canvas.width - 10, canvas.height - 8);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    if (!palette) {
      palette = gifenc.quantize(data, 128);
      continue;
    }
    encoder.writeFrame(gifenc.applyPalette(data, palette), width, height, { palette, delay: step === chosen.at(-1) ? LAST : PACE });
    told(chosen.indexOf(step) + 1, chosen.length);
    await new Promise((next) => setTimeout(next));
  }
  encoder.finish();
  change({ step: before });
  return new Blob([encoder.bytes()], { type: "image/gif" });
}

export function startAnimation() {
  const button = make("button", { type: "button", "aria-label": "Save the animation as GIF" }, "GIF");
  button.onclick = async () => {
    button.disabled = true;
    try { save("concept-space.gif", await gif((n, of) => { button.textContent = `${n}/${of}`; })); } finally { Object.assign(button, { disabled: false, textContent: "GIF" }); }
  };
  byId("plot").querySelector(".tools").append(button);
}
