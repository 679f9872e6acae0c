// A crosshair on curves: every line's value with its interval at the step under the pointer, or at the
// present step while the drawing has the focus. Its words are in the document, so they can be read out.

import { leastIndex } from "d3-array";
import type { Chart, Ref } from "./chart";
import { byArrow, positions } from "./clock";
import { digits, make, thousands } from "./dom";
import { ink } from "./palette";
import { state } from "./store";
import type { Surface } from "./surface";

const MOST = 12;

export interface Entry {
  name: string;
  color: string;
  value: number;
  low: number;
  high: number;
}

export class Readout {
  // chart.spans holds the scales of the step that are drawn; entries(step) gives { name, color, value, low, high }.
  private step: number | null = null;
  private readonly box: HTMLElement;

  constructor(
    private readonly chart: Chart<Ref>,
    private readonly entries: (step: number) => Entry[],
  ) {
    this.box = make("div", { class: "readout", role: "status", hidden: true });
    chart.place.append(this.box);
    const { pad } = chart;
    pad.tabIndex = 0;
    pad.setAttribute("role", "application"); // it takes the arrow keys
    pad.addEventListener("pointermove", (event) => this.at(event));
    pad.addEventListener("pointerdown", (event) => this.at(event));
    pad.addEventListener("pointerleave", () => this.show(null));
    pad.addEventListener("focus", () => {
      if (pad.matches(":focus-visible")) this.show(state.step);
    });
    pad.addEventListener("blur", () => this.show(null));
    pad.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.show(null);
      else if (byArrow(event)) {
        event.preventDefault();
        this.show(state.step);
      }
    });
  }

  private at(event: PointerEvent): void {
    const box = this.chart.pad.getBoundingClientRect();
    const px = event.clientX - box.left;
    const scale = this.chart.spans.find((x) => px >= x.range()[0] - 6 && px <= x.range()[1] + 6);
    const steps = positions();
    if (!scale || !steps.length) {
      this.show(null);
      return;
    }
    const near = steps[leastIndex(steps, (step) => Math.abs(scale(step) - px)) ?? 0];
    this.box.classList.toggle("left", px > box.width / 2);
    this.show(near);
  }

  private show(step: number | null): void {
    this.step = step;
    this.box.hidden = step === null;
    if (step !== null) {
      const all = this.entries(step)
        .filter((entry) => Number.isFinite(entry.value))
        .sort((a, b) => b.value - a.value);
      const row = ({ name, color, value, low, high }: Entry) => {
        const key = make("i", { class: "key" });
        key.style.borderTopColor = color;
        return make(
          "tr",
          {},
          make("th", { scope: "row" }, key, name),
          make("td", {}, digits(value)),
          make("td", { class: "quiet" }, Number.isFinite(low) && high > low ? `${digits(low)}–${digits(high)}` : ""),
        );
      };
      this.box.replaceChildren(
        make("strong", {}, `step ${thousands(step)}`),
        make("table", {}, make("tbody", {}, ...all.slice(0, MOST).map(row))),
        all.length > MOST ? make("span", { class: "quiet" }, `and ${all.length - MOST} more`) : "",
      );
    }
    this.chart.refreshTop();
  }

  // The crosshair itself, drawn on top.
  draw(surface: Surface, top: number, bottom: number): void {
    if (this.step === null) return;
    for (const x of this.chart.spans)
      surface.line(
        [
          [x(this.step), top],
          [x(this.step), bottom],
        ],
        { color: ink().ink, width: 1, dash: [2, 2] },
      );
  }
}
