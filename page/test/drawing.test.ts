import assert from "node:assert/strict";
import { test } from "node:test";
import { brief, endLabels } from "../src/labels";
import { CORNERS, EDGES, Projection } from "../src/projection";
import type { Surface } from "../src/surface";

test("a cube has twelve edges, each along one axis", () => {
  assert.equal(EDGES.length, 12);
  for (const [a, b] of EDGES) assert.equal(CORNERS[a].filter((v, k) => v !== CORNERS[b][k]).length, 1);
});

test("the middle of the cube stays where it is, z points upwards, what is near is larger", () => {
  const seen = new Projection();
  const before = seen.place([0.5, 0.5, 0.5], 400, 300);
  seen.turn(1, 0.2);
  assert.deepEqual(seen.place([0.5, 0.5, 0.5], 400, 300), before);
  assert.ok(seen.place([0.5, 0.5, 1], 400, 300)[1] < before[1]);
  seen.turn(0, 9);
  assert.equal(seen.pitch, 1.5);
});

test("names at the ends of lines stay apart, within their bounds and in their order", () => {
  const written: [number, string][] = [];
  const surface = { text: (_x: number, y: number, words: string) => written.push([y, words]) } as unknown as Surface;
  const items = [99, 50, 50.5, Number.NaN, 98].map((y, k) => ({ y, text: String(k), color: "#000" }));
  endLabels(surface, items, { x: 0, top: 0, bottom: 100 });
  assert.deepEqual(
    written.map(([, words]) => words),
    ["1", "2", "4", "0"],
  );
  for (let k = 1; k < written.length; k++) assert.ok(written[k][0] - written[k - 1][0] >= 12.5);
  assert.ok(written.every(([y]) => y <= 104));
});

test("short names of protocols stay clear", () => {
  assert.equal(brief("latent-control-random"), "control: random");
  assert.equal(brief("naive"), "naive");
  assert.equal(brief("latent-intervention"), "intervention");
  assert.equal(brief("a-protocol-of-ones-own", 10).length, 10);
});
