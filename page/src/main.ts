// Starts the page, and keeps it up to date.

import { startAddress } from "./address";
import { startAnimation } from "./animation";
import { startAsk } from "./ask";
import { carrier } from "./carrier";
import { startClock } from "./clock";
import { startCompare } from "./compare";
import { startCurves } from "./curves";
import { startDetail } from "./detail";
import { byId, counted, messageOf } from "./dom";
import { startEvidence } from "./evidence";
import { startExports } from "./exports";
import { enter, startFilters } from "./filters";
import { startFindings } from "./findings";
import { startKnobs } from "./knobs";
import { startLayout } from "./layout";
import { startLogs } from "./logs";
import { startLook } from "./look";
import {
  chosenRuns,
  forget,
  groupsOf,
  loadTrajectories,
  loadTurns,
  many,
  model,
  protocolNames,
  runsHere,
  settled,
  space,
  trajectoryOf,
} from "./model";
import { startNear } from "./near";
import { startParallel } from "./parallel";
import { startSheets } from "./sheets";
import { startSpace } from "./space";
import { change, flush, state, subscribe, touch } from "./store";
import { startTable } from "./table";
import { startTerms } from "./terms";
import { startTheme } from "./theme";
import { startTimeline } from "./timeline";
import type { Index, Run } from "./types";

function facts() {
  const { runs } = model.index;
  const count = (status: string) => runs.filter((run) => run.status === status).length;
  const states = ["running", "silent", "stopped", "failed", "diverged"]
    .map((status): [number, string] => [count(status), status])
    .filter(([n]) => n)
    .map(([n, status]) => `${n} ${status}`);
  byId("facts").textContent = [
    counted(runs.length, "run"),
    ...states,
    settled()
      ? space()
          .concepts.map((c) => c.name)
          .join(" × ")
      : "",
    protocolNames().length > 3 ? counted(protocolNames().length, "protocol") : protocolNames().join(", "),
  ]
    .filter(Boolean)
    .join(" · ");
}

function take(index: Index): void {
  const before = model.index;
  model.index = index;
  forget();
  const fresh = index.runs.filter((run) => run.space !== null && !state.known.has(run.token));
  if (fresh.length)
    change({
      known: new Set([...state.known, ...fresh.map((run) => run.token)]),
      chosen: new Set([...state.chosen, ...firstOf(fresh).map((run) => run.token)]),
    });
  if (index.spaces.length && (!before.spaces.length || !index.spaces[state.space] || !state.classes.size))
    enter(Math.min(state.space, index.spaces.length - 1));
  if (!before.spaces.length && index.protocols) change({ protocols: new Set(index.protocols) });
  if (!before.runs.length) change({ mode: groupsOf(runsHere()).length < runsHere().length ? "mean" : "runs" });
  trouble(index.runs.length ? "" : "There is no run here yet. A run appears as soon as its folder does.");
  touch("index");
  loadRuns();
}

// Of many runs a few, if none is chosen yet.
const FEW = 12;
function firstOf(fresh: Run[]): Run[] {
  const sound = fresh.filter((run) => !run.apart);
  return many() ? sound.slice(0, state.chosen.size ? 0 : FEW) : sound;
}

function loadRuns(): void {
  const wanted = model.index.runs.filter((run) => run.space !== null && (!many() || state.chosen.has(run.token)));
  loadTrajectories(wanted)
    .then(() => {
      model.loaded = true;
      touch("data", "loaded");
      loadTurns();
    })
    .catch((error) => trouble(messageOf(error)));
}

function trouble(text: string): void {
  byId("trouble").hidden = !text;
  byId("trouble").textContent = text;
}

function live() {
  const connected = () => {
    byId("live").textContent = "live";
  };
  connected();
  carrier.watch(
    (index) => {
      connected();
      trouble(model.index.runs.length ? "" : byId("trouble").textContent);
      if (index) take(index);
    },
    () => {
      byId("live").textContent = "not connected";
      trouble(
        "The server does not answer. What is shown may be out of date; the page goes on by itself once the server is back.",
      );
    },
  );
}

async function start() {
  [
    startTheme,
    startLayout,
    startAddress,
    startTable,
    startClock,
    startSpace,
    startFilters,
    startDetail,
    startCompare,
    startTimeline,
    startCurves,
    startLogs,
    startKnobs,
    startNear,
    startParallel,
    startLook,
    startAsk,
    startSheets,
    startFindings,
    startEvidence,
    startTerms,
    startExports,
    startAnimation,
  ].forEach((begin) => begin());
  subscribe(["data", "index", "space"], facts);
  subscribe(["loaded"], () => {
    document.documentElement.dataset.ready = String(chosenRuns().length);
  });
  subscribe(["chosen"], () => {
    if (many() && chosenRuns().some((run) => !trajectoryOf(run.token))) {
      model.loaded = false;
      delete document.documentElement.dataset.ready;
      loadRuns();
    }
  });
  subscribe(["chosen", "mode", "hiddenSeeds", "space", "only"], () => {
    if (model.loaded) loadTurns();
  });
  try {
    take(await carrier.index());
    flush();
  } catch (error) {
    trouble(`The runs cannot be listed: ${messageOf(error)}`);
  }
  if (carrier.live) live();
}

start();
