import assert from "node:assert/strict";
import { test } from "node:test";
import { arranged, failures } from "../src/scores";
import { closest, dialName, dials, parsed } from "../src/settings";
import { beside, type Cell } from "../src/walker";

const GRID = ["alpha=1,beta=0.5", "alpha=2,beta=0.5", "alpha=10,beta=0.5", "alpha=1,beta=1"];

test("settings are numbers to turn, in order", () => {
  assert.deepEqual(parsed("alpha=1,beta=0.5"), { alpha: "1", beta: "0.5" });
  assert.deepEqual(dials(["4.5", "10", "2.5"]), [{ name: "", values: ["2.5", "4.5", "10"] }]);
  assert.deepEqual(
    dials(GRID).map((dial) => dial.values),
    [
      ["1", "2", "10"],
      ["0.5", "1"],
    ],
  );
  assert.deepEqual(dials(["alpha=1,beta=1", "alpha=2,beta=1"]), [{ name: "alpha", values: ["1", "2"] }]);
  assert.deepEqual(dials([""]), []);
});

test("a turned dial keeps its value where the grid has gaps", () => {
  assert.equal(closest(GRID, { alpha: "2", beta: "0.5" }, "alpha"), "alpha=2,beta=0.5");
  assert.equal(closest(GRID, { alpha: "10", beta: "1" }, "beta"), "alpha=1,beta=1");
  assert.equal(closest(GRID, { alpha: "10", beta: "1" }, "alpha"), "alpha=10,beta=0.5");
});

test("dials have the names of the field", () => {
  assert.equal(dialName("overprompting-color", ""), "strength");
  assert.equal(dialName("guidance", ""), "weight");
  assert.equal(dialName("latent-intervention", "alpha"), "α");
  assert.equal(dialName("mine", "noise"), "noise");
});

test("images in the order of their scores, and the failures among them", () => {
  const scores = { joint: [0.9, 0.1, null, 0.4], accuracy: [] };
  assert.deepEqual(arranged(4, scores, "made"), [0, 1, 2, 3]);
  assert.deepEqual(arranged(4, scores, "worst"), [1, 3, 0]);
  assert.deepEqual(arranged(4, scores, "best"), [0, 3, 1]);
  assert.deepEqual(arranged(4, scores, "failures"), [1, 3]);
  assert.deepEqual(arranged(2, null, "worst"), [0, 1]);
  assert.equal(failures(scores), 2);
  assert.equal(failures(null), null);
});

test("arrow keys go to the image below, also where rows are of different length", () => {
  const cell = (x: number, y: number): Cell => ({ x, y, side: 8, label: () => "", open: () => undefined });
  const cells = [cell(0, 0), cell(10, 0), cell(20, 0), cell(0, 10)];
  assert.equal(beside(cells, 2, 1), 3);
  assert.equal(beside(cells, 3, -1), 0);
  assert.equal(beside(cells, 0, -1), 0);
});
