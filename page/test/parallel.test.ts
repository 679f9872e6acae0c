// Settings side by side: which axes there are, and which runs lie within what is brushed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { axesOf, within } from "../src/parallel";
import type { Run } from "../src/types";

const run = (seed: number, values: Record<string, string | null>) => ({ seed, values }) as unknown as Run;
const runs = [
  run(0, { rate: "0.002", share: null }),
  run(1, { rate: "0.001", share: "0.5" }),
  run(10, { rate: "0.01", share: "0.5" }),
];

test("axes hold the values in their order, numbers by size", () => {
  assert.deepEqual(axesOf(runs, ["rate", "share"]), [
    { name: "rate", values: ["0.001", "0.002", "0.01"] },
    { name: "share", values: ["–", "0.5"] },
    { name: "seed", values: ["0", "1", "10"] },
  ]);
});

test("what does not vary, or has too many values, has no axis", () => {
  const many = Array.from({ length: 61 }, (_, seed) => run(seed, { rate: "1" }));
  assert.deepEqual(axesOf(many, ["rate"]), []);
});

test("runs lie within all brushes or not at all", () => {
  const found = (brushes: Record<string, string[]>) => runs.filter((r) => within(r, brushes)).map((r) => r.seed);
  assert.deepEqual(found({}), [0, 1, 10]);
  assert.deepEqual(found({ rate: ["0.001", "0.01"], seed: ["1", "0"] }), [1]);
  assert.deepEqual(found({ share: ["–"] }), [0]);
});
