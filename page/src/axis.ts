// The axes of concept space: concepts, or the step.

import { positions } from "./clock";
import { endsOf, type Line, lone, space } from "./model";
import { state } from "./store";

export const axisName = (axis: number): string => (axis < 0 ? "step" : space().concepts[axis].name);
const axisEnds = (c: number) =>
  endsOf(c)
    .map((value) => space().concepts[c].labels[value])
    .join(" → ");
export const axisLabel = (axis: number): string =>
  axis < 0 ? "step" : lone() ? `accuracy of ${axisName(axis)}` : `${axisName(axis)}: ${axisEnds(axis)}`;
export const lastStep = () => positions().at(-1) || 1;

// Whether a line's class has one of the two values between which each axis runs.
export const onAxes = (line: Line) =>
  state.axes
    .slice(0, state.dims)
    .every((axis) => axis < 0 || space().concepts[axis].asked || endsOf(axis).includes(Number(line.name[axis])));

export function valueAt(line: Line, i: number, axis: number): number {
  return axis < 0 ? line.steps[i] / lastStep() : line.coordinate[axis][i];
}
