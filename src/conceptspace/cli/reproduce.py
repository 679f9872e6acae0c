"""The command ``reproduce``: figures and claims of the paper."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from conceptspace.cli.progress import Interrupt
from conceptspace.paper.cost import covered, estimate
from conceptspace.paper.execute import Failed, Finished, Interrupted, Started, execute
from conceptspace.paper.plan import Plan, unique
from conceptspace.paper.registry import chosen

INTERRUPTED = 130


def reproduce(options: Namespace) -> int:
    """Run what is missing, then draw and check."""
    figures = chosen(options.figures)
    out = options.out or Path("runs") / f"reproduce-{options.preset}"
    plans = unique(p for figure in figures for p in figure.plans(options.preset, options.seeds))
    jobs = options.jobs or os.cpu_count() or 1
    if options.dry_run:
        return _list(plans, out, jobs)
    there = sum(covered(plan, out) for plan in plans)
    print(
        f"{len(plans)} runs, {there} exist; the others take about "
        f"{_minutes(estimate(plans, out, jobs))}, {jobs} at once",
        file=sys.stderr,
    )
    interrupt = Interrupt()
    failed = 0
    try:
        with interrupt.listening():
            for event in execute(plans, out, jobs=jobs, device=options.device, stop=interrupt):
                match event:
                    case Started(plan, resumed):
                        told = "goes on" if resumed else "begins"
                    case Finished(plan, seconds):
                        told = f"done in {_minutes(seconds)}"
                    case Failed(plan, reason):
                        failed += 1
                        told = f"failed: {reason}"
                print(f"{plan.name}: {told}", file=sys.stderr, flush=True)
    except Interrupted:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    return 1 if failed else 0


def _list(plans: list[Plan], out: Path, jobs: int) -> int:
    width = max((len(plan.name) for plan in plans), default=0)
    for plan in plans:
        there = "exists" if covered(plan, out) else "missing"
        if there == "missing" and plan.folder(out).exists():
            there = "unfinished"
        asked = ", ".join(("naive", *plan.config.evaluate.protocols))
        print(f"{plan.name:{width}}  {there:10}  {plan.config.train.steps} steps  {asked}")
    print(f"about {_minutes(estimate(plans, out, jobs))} with {jobs} at once")
    return 0


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 120 else f"{minutes:.0f} minutes"
