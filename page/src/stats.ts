// Means over runs and their intervals: whole runs are resampled, never images.

const RESAMPLES = 500;
const draws = new Map<number, Uint16Array>();

function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function resamples(count: number): Uint16Array {
  let drawn = draws.get(count);
  if (!drawn) {
    const next = random(count);
    drawn = Uint16Array.from({ length: RESAMPLES * count }, () => Math.floor(next() * count));
    draws.set(count, drawn);
  }
  return drawn;
}

export function mean(values: Iterable<number> & { length: number }): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

// 95 % percentile interval of the mean over runs.
export function bootstrap(values: number[]): [number, number] {
  const count = values.length;
  const chosen = resamples(count);
  const means = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i++) {
    let sum = 0;
    for (let j = i * count; j < (i + 1) * count; j++) sum += values[chosen[j]];
    means[i] = sum / count;
  }
  means.sort();
  return [quantile(means, 0.025), quantile(means, 0.975)];
}

// 95 % Wilson score interval of a share, here a mean of numbers in [0, 1], of so many images.
export function wilson(share: number, samples: number): [number, number] {
  const z2 = 1.959964 ** 2;
  const scale = 1 + z2 / samples;
  const center = (share + z2 / (2 * samples)) / scale;
  const half = Math.sqrt(z2 * (Math.max(share * (1 - share), 0) / samples + z2 / (4 * samples ** 2))) / scale;
  return [Math.min(center - half, share), Math.max(center + half, share)];
}

function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}
