// The trajectory as an animated GIF: one frame for each checkpoint.

import { applyPalette, GIFEncoder, quantize } from "gifenc";
import { play, positions } from "./clock";
import { byId, context, make, save, thousands } from "./dom";
import { ink } from "./palette";
import { plot } from "./space";
import { change, flush, state } from "./store";

const PACE = 160;
const LAST = 1500;
const MOST = 90;

export async function gif(progress: (done: number, of: number) => void): Promise<Blob> {
  const steps = positions();
  const stride = Math.ceil(steps.length / MOST);
  const before = state.step;
  const chosen = steps.filter((_, i) => i % stride === 0 || i === steps.length - 1);
  const encoder = GIFEncoder();
  let palette: number[][] | null = null;
  play(false);
  for (const step of [...steps.slice(-1), ...chosen]) {
    change({ step });
    flush();
    const canvas = plot().canvas(1);
    const paper = context(canvas);
    paper.fillStyle = ink().ink;
    paper.font = "600 13px system-ui, sans-serif";
    paper.textAlign = "right";
    paper.fillText(`step ${thousands(step)}`, canvas.width - 10, canvas.height - 8);
    const { data, width, height } = paper.getImageData(0, 0, canvas.width, canvas.height);
    if (!palette) {
      palette = quantize(data, 128);
      continue;
    }
    encoder.writeFrame(applyPalette(data, palette), width, height, {
      palette,
      delay: step === chosen.at(-1) ? LAST : PACE,
    });
    progress(chosen.indexOf(step) + 1, chosen.length);
    await new Promise((next) => setTimeout(next));
  }
  encoder.finish();
  change({ step: before });
  return new Blob([encoder.bytes() as BlobPart], { type: "image/gif" });
}

export function startAnimation() {
  const button = make("button", { type: "button", "aria-label": "Save the animation as GIF" }, "GIF");
  button.onclick = async () => {
    button.disabled = true;
    try {
      save(
        "concept-space.gif",
        await gif((n, of) => {
          button.textContent = `${n}/${of}`;
        }),
      );
    } finally {
      Object.assign(button, { disabled: false, textContent: "GIF" });
    }
  };
  byId("plot").querySelector(".tools")?.append(button);
}
