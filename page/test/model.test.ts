import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { digits, thousands, words } from "../src/dom";
import { forget, groups, label, lines, model, series } from "../src/model";
import { change, state } from "../src/store";
import type { Columns, Run } from "../src/types";

const columns = (joint: (number | null)[]): Columns => ({
  best: joint.map(() => 0),
  samples: joint.map(() => 8),
  joint,
  accuracy: [joint, joint],
  coordinate: [joint, joint.map((v) => (v === null ? null : 1 - v))],
});

function add(token: string, seed: number, steps: number[], joint: (number | null)[], share = "0"): void {
  const run: Run = {
    token,
    seed,
    name: `run ${token}`,
    preset: null,
    status: "finished",
    since: 0,
    version: "1",
    space: 0,
    steps: 100,
    values: { "data.masked_share": share },
    images: false,
    problems: [],
    apart: "",
  };
  model.index.runs.push(run);
  const trajectory = { protocols: [{ name: "naive", settings: [""], steps, classes: { "11": columns(joint) } }] };
  model.trajectories.set(token, { version: "1", trajectory });
  state.chosen.add(token);
  forget();
}

beforeEach(() => {
  model.index = {
    runs: [],
    varied: ["data.masked_share"],
    left_out: [],
    ledgers: [],
    spaces: [
      {
        concepts: [
          { name: "color", labels: ["red", "blue"], axis: [0, 1] },
          { name: "size", labels: ["large", "small"], axis: [0, 1] },
        ],
        classes: [{ name: "11", words: "blue small", ood: true, image: null }],
      },
    ],
  };
  model.trajectories.clear();
  change({ chosen: new Set(), ends: {}, knobs: {}, only: {}, mode: "mean" });
  forget();
});

test("a mean is over the checkpoints that all its runs share, and that were measured", () => {
  add("a", 0, [0, 10, 20, 30], [0, 0.2, null, 0.6]);
  add("b", 1, [0, 10, 20, 40], [0.2, 0.4, 0.5, 0.9]);
  const [line, ...others] = lines(["naive"], ["11"]);
  assert.equal(others.length, 0);
  assert.deepEqual(line.steps, [0, 10]);
  assert.deepEqual(
    [...line.joint].map((v) => v.toFixed(2)),
    ["0.10", "0.30"],
  );
  assert.equal(line.index(39), 1);
  const [low, high] = line.interval("joint", 0, 1);
  assert.ok(low >= 0.2 && high <= 0.4 && low < high);
});

test("runs of different settings are lines of their own, and so is what stands apart", () => {
  add("a", 0, [0], [0.1]);
  add("b", 1, [0], [0.2]);
  add("c", 0, [0], [0.3], "0.5");
  assert.deepEqual(
    groups().map((group) => group.map((run) => run.token)),
    [["a", "b"], ["c"]],
  );
  model.index.runs[1].apart = "diverged";
  forget();
  assert.equal(groups().length, 3);
  assert.equal(label(lines(["naive"], ["11"])[2]), "class 11, naive, run c");
});

test("a single run's interval is that of its images", () => {
  add("a", 0, [0], [0]);
  const [low, high] = lines(["naive"], ["11"])[0].interval("joint", 0, 0);
  assert.equal(low, 0);
  assert.ok(high > 0.3 && high < 0.35);
});

test("coordinates move to other values of a concept", () => {
  add("a", 0, [0, 1], [0, 1]);
  const part = model.trajectories.get("a")?.trajectory.protocols[0].classes["11"];
  if (part)
    part.values = {
      0: [
        [0.8, 0.1],
        [0.2, 0.1],
        [0, 0.8],
      ],
    };
  assert.deepEqual(series("a", "naive", "11")?.coordinate[0], [0, 1]);
  change({ ends: { 0: [0, 2] } });
  assert.deepEqual(
    series("a", "naive", "11")?.coordinate[0].map((v) => v?.toFixed(2)),
    ["0.10", "0.85"],
  );
});

test("numbers and names as they are written", () => {
  assert.equal(thousands(12345.6), "12,346");
  assert.equal(digits(null), "–");
  assert.equal(digits(0.005), "0.01");
  assert.equal(words("data.color_separation"), "color separation");
});
