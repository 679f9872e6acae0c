// What the judge said of single images; fetched when an image is looked at.

import { carrier } from "./carrier";
import { load } from "./model";
import type { Maybe, RowScores, Run } from "./types";

const kept = new Map<string, Promise<(RowScores | null)[]>>();
const MOST = 400;
export const FAILED = 0.5;

export type Order = "made" | "worst" | "best" | "failures";

// The scores of the images in a row of a sheet; null where they are not kept.
export async function scoresOf(run: Run, protocol: string, step: number, row: number): Promise<RowScores | null> {
  const sheet = (await load("details", run)).sheets?.[protocol]?.[step];
  if (!sheet) return null;
  if (sheet.scores) return sheet.scores[row] ?? null;
  if (!carrier.live) return null;
  const key = `${run.token} ${run.version} ${protocol} ${step}`;
  let found = kept.get(key);
  if (!found) {
    const [oldest] = kept.keys();
    if (kept.size > MOST) kept.delete(oldest);
    found = carrier.scores(run.token, protocol, step).catch(() => []);
    kept.set(key, found);
  }
  return (await found)[row] ?? null;
}

// The columns of a row in the order that is wanted; without scores, as they were made.
export function arranged(columns: number, scores: RowScores | null, order: Order): number[] {
  const all = Array.from({ length: columns }, (_, i) => i);
  if (!scores || order === "made") return all;
  const of = (i: number): Maybe => scores.joint[i] ?? null;
  const known = all.filter((i) => of(i) !== null && (order !== "failures" || (of(i) ?? 1) < FAILED));
  const way = order === "best" ? -1 : 1;
  return known.sort((a, b) => way * ((of(a) ?? 0) - (of(b) ?? 0)) || a - b);
}

export const failures = (scores: RowScores | null): number | null =>
  scores ? scores.joint.filter((joint) => joint !== null && joint < FAILED).length : null;
