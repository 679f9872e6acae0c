import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, mean, wilson } from "../src/stats";
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

test("a mean is that of the Python function, its resampled interval nearly so", () => {
  for (const of of vectors.means) {
    near(mean(of.values), of.mean, 1e-12);
    const [low, high] = bootstrap(of.values);
    const spread = Math.max(...of.values) - Math.min(...of.values);
    near(low, of.low, 0.04 * spread);
    near(high, of.high, 0.04 * spread);
  }
});

test("the same values give the same interval, however often they are asked", () => {
  assert.deepEqual(bootstrap([0.1, 0.7, 0.4]), bootstrap([0.1, 0.7, 0.4]));
  assert.deepEqual(
    bootstrap([0.3, 0.3, 0.3]).map((v) => v.toFixed(12)),
    ["0.300000000000", "0.300000000000"],
  );
});
