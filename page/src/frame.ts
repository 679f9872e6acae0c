// What charts against steps share: axes, and the line at the present step.

import { scaleLinear } from "d3-scale";
import { axes, type Scale } from "./chart";
import { positions } from "./clock";
import { ink } from "./palette";
import { state } from "./store";
import type { Surface } from "./surface";

export function frame(
  surface: Surface,
  width: number,
  height: number,
  y: Scale,
  yLabel: string,
  { right = 20, yFormat = null as ((value: number) => string) | null } = {},
): Scale {
  const x = scaleLinear([0, positions().at(-1) ?? 1], [50, width - right]);
  y.range([height - 38, 22]);
  axes(surface, { x, y, xTicks: width < 450 ? 3 : 5, yTicks: 5, xLabel: "step", yLabel, yFormat });
  return x;
}

// The present, on top: moving it redraws nothing else.
export function cursor(
  surface: Surface,
  width: number,
  height: number,
  spans: Scale[] = [scaleLinear([0, positions().at(-1) ?? 1], [50, width - 20])],
) {
  if (!positions().length) return;
  for (const x of spans)
    surface.line(
      [
        [x(state.step ?? 0), 22],
        [x(state.step ?? 0), height - 38],
      ],
      { color: ink().ink, width: 1 },
    );
}
