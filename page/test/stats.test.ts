import assert from "node:assert/strict";
import { test } from "node:test";
import { mean, overRuns, wilson } from "../src/stats";
import vectors from "./vectors.json";

const near = (value: number, wanted: number, within: number) =>
  assert.ok(Math.abs(value - wanted) <= within, `${value} is not within ${within} of ${wanted}`);

test("Wilson's interval is that of the Python function", () => {
  for (const [share, samples, low, high] of vectors.wilson) {
    const found = wilson(share, samples);
    near(found[0], low, 1e-12);
    near(found[1], high, 1e-12);
  }
});

test("means over runs and their intervals are those of the figures", () => {
  for (const of of vectors.means) {
    near(mean(of.values), of.mean, 1e-12);
    const found = overRuns(of.values);
    near(found[0], of.low, 1e-9);
    near(found[1], of.high, 1e-9);
  }
});
