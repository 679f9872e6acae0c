// Names of settings as numbers to turn: "2.5", or "alpha=1,beta=0.5".

export interface Dial {
  name: string;
  values: string[];
}

export function parsed(setting: string): Record<string, string> {
  const pairs = setting.split(",").map((part): [string, string] => {
    const at = part.indexOf("=");
    return at < 0 ? ["", part] : [part.slice(0, at), part.slice(at + 1)];
  });
  return Object.fromEntries(pairs);
}

const numeric = (values: string[]) => values.every((value) => value !== "" && Number.isFinite(Number(value)));

export const ordered = (values: Iterable<string>): string[] => {
  const all = [...new Set(values)];
  return numeric(all) ? all.sort((a, b) => Number(a) - Number(b)) : all;
};

// What varies among the settings of a protocol, each with its values in order.
export function dials(settings: string[]): Dial[] {
  const all = settings.map(parsed);
  const names = [...new Set(all.flatMap((of) => Object.keys(of)))];
  return names
    .map((name) => ({ name, values: ordered(all.flatMap((of) => (name in of ? [of[name]] : []))) }))
    .filter((dial) => dial.values.length > 1);
}

// The setting that is wanted, or of those that have the turned dial's value the one closest in the others.
export function closest(settings: string[], wanted: Record<string, string>, turned: string): string {
  const all = dials(settings);
  const far = (setting: string) => {
    const of = parsed(setting);
    const miss = all.map(({ name, values }) => Math.abs(values.indexOf(of[name]) - values.indexOf(wanted[name])));
    return miss.reduce((sum, by) => sum + by, 0) + (of[turned] === wanted[turned] ? 0 : 1000);
  };
  return settings.reduce((best, setting) => (far(setting) < far(best) ? setting : best));
}

const NAMED: [RegExp, string][] = [
  [/^overprompting/, "strength"],
  [/^guidance/, "weight"],
];
const LETTERS: Record<string, string> = { alpha: "α", beta: "β" };

export const dialName = (protocol: string, name: string): string =>
  LETTERS[name] ?? (name || (NAMED.find(([pattern]) => pattern.test(protocol))?.[1] ?? "setting"));
