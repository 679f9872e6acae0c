// Data to take away: the trajectories of the chosen runs, with every setting.

import { carrier } from "./carrier";
import { byId, counted, messageOf, save } from "./dom";
import { chosenRuns, each, load, space, trajectoryOf } from "./model";
import type { Run, Settings } from "./types";

const COLUMNS = [
  "run",
  "seed",
  "step",
  "protocol",
  "setting",
  "concept_class",
  "concept",
  "accuracy",
  "coordinate",
  "samples",
];

const cell = (value: string | number | null | undefined) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

export async function csv(runs: Run[]): Promise<string> {
  const all = new Map<string, Settings>();
  const rows = [COLUMNS.join()];
  await each(runs, async (run) => {
    all.set(run.token, await load("settings", run));
  });
  for (const run of runs)
    for (const protocol of trajectoryOf(run.token)?.protocols ?? []) {
      for (const [name, of] of Object.entries(all.get(run.token)?.protocols[protocol.name] ?? {})) {
        protocol.settings.forEach((setting, s) =>
          protocol.steps.forEach((step, t) => {
            const key = [run.name, run.seed, step, protocol.name, setting, name];
            space().concepts.forEach((concept, c) => {
              if (of.accuracy[s][c][t] !== null)
                rows.push(
                  [...key, concept.name, of.accuracy[s][c][t], of.coordinate[s][c][t], of.samples[s][t]]
                    .map(cell)
                    .join(),
                );
            });
            if (of.joint[s][t] !== null)
              rows.push([...key, "joint", of.joint[s][t], "", of.samples[s][t]].map(cell).join());
          }),
        );
      }
    }
  return `${rows.join("\n")}\n`;
}

async function guarded(
  make: (runs: Run[]) => Promise<{ content: Blob; without: string }>,
  name: string,
): Promise<void> {
  const runs = chosenRuns().filter((run) => trajectoryOf(run.token)?.protocols?.length);
  byId("data-note").textContent = "";
  if (!runs.length) {
    byId("data-note").textContent = "No run with a trajectory is chosen.";
    return;
  }
  try {
    const { content, without } = await make(runs);
    save(name, content);
    byId("data-note").textContent = without ? `Saved. ${without}` : `${counted(runs.length, "run")} saved.`;
  } catch (error) {
    byId("data-note").textContent = `Not saved: ${messageOf(error)}`;
  }
}

export function startExports() {
  byId("save-csv").onclick = () =>
    guarded(
      async (runs) => ({ content: new Blob([await csv(runs)], { type: "text/csv" }), without: "" }),
      "trajectories.csv",
    );
  byId("save-parquet").onclick = () =>
    guarded((runs) => carrier.parquet(runs.map((run) => run.token)), "trajectories.parquet");
}
