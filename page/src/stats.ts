// Means over runs and their intervals. Runs are what is independent: images of one share its fate.

export function mean(values: Iterable<number> & { length: number }): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

// 95 % interval of a mean of numbers in [0, 1] over runs, as figures have it: Student's, cut to [0, 1];
// of two runs their range.
export function overRuns(values: number[]): [number, number] {
  if (values.length < 3) return [Math.min(...values), Math.max(...values)];
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  const error = Math.sqrt(squares / (values.length - 1) / values.length);
  const reach = studentQuantile(values.length - 1) * error;
  return [Math.max(middle - reach, 0), Math.min(middle + reach, 1)];
}

// 95 % Wilson score interval of a share, here a mean of numbers in [0, 1], of so many images.
export function wilson(share: number, samples: number): [number, number] {
  const z2 = 1.959964 ** 2;
  const scale = 1 + z2 / samples;
  const center = (share + z2 / (2 * samples)) / scale;
  const half = Math.sqrt(z2 * (Math.max(share * (1 - share), 0) / samples + z2 / (4 * samples ** 2))) / scale;
  return [Math.min(center - half, share), Math.max(center + half, share)];
}

const quantiles = new Map<number, number>();

// Within how many standard errors 95 % of Student's distribution lie, by halving.
function studentQuantile(freedom: number): number {
  const known = quantiles.get(freedom);
  if (known !== undefined) return known;
  let [low, high] = [0, 13];
  for (let halved = 0; halved < 50; halved++) {
    const middle = (low + high) / 2;
    if (shareWithin(middle, freedom) < 0.95) low = middle;
    else high = middle;
  }
  quantiles.set(freedom, high);
  return high;
}

// Which share of Student's distribution lies within so many standard errors: Abramowitz and Stegun,
// Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
function shareWithin(errors: number, freedom: number): number {
  const angle = Math.atan(errors / Math.sqrt(freedom));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2;
  let sum = 0;
  let term = odd ? cosine : 1;
  for (let power = odd; power <= freedom - 2; power += 2) {
    sum += term;
    term *= ((power + 1) / (power + 2)) * cosine ** 2;
  }
  return odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}
