"""The command ``reproduce``: figures and claims of the paper."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch

from conceptspace.cli.carry_out import carried_out, time_in_words
from conceptspace.cli.parser import INTERRUPTED, refuse_others
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.paper.framework.figure import PaperFigure
from conceptspace.paper.framework.index import write_index
from conceptspace.paper.framework.keep import extras_of, keep
from conceptspace.paper.framework.ledger import read_ledger
from conceptspace.paper.framework.outputs import LEDGER, produce
from conceptspace.paper.framework.registry import FIGURES, chosen
from conceptspace.paper.framework.results import finished
from conceptspace.sweeps.cost import covered, time_left
from conceptspace.sweeps.local import execute
from conceptspace.sweeps.outlook import REFUSED, outlook
from conceptspace.sweeps.plan import Plan, unique
from conceptspace.sweeps.progress import Interrupted
from conceptspace.sweeps.resources import Resources


def reproduce(options: Namespace) -> int:
    """Run what is missing, keep what is asked for, then draw and check."""
    if options.index is not None:
        if options.figures:
            raise UserError("reproduce --index DIR takes no figures; it only writes DIR/README.md")
        refuse_others(options, ["reproduce", "--index", str(options.index)], "DIR")
        print(f"wrote {write_index(options.index)}", file=sys.stderr)
        return 0
    if not options.figures:
        raise UserError(f"say which figure: all, or some of {', '.join(FIGURES)}")
    figures = chosen(options.figures, options.preset)
    out = options.out or Path("runs") / f"reproduce-{options.preset}"
    plans = unique(p for figure in figures for p in figure.plans(options.preset, options.seeds))
    jobs = options.jobs or os.cpu_count() or 1
    if options.dry_run:
        return _list(plans, out, jobs, parts.device(options.device))
    failed = 0
    if not options.no_training:
        try:
            failed = _train(plans, out, jobs, options.device)
        except Interrupted:
            print("stopped; the same command goes on where it was", file=sys.stderr)
            return INTERRUPTED
    if options.keep is not None:
        _keep(figures, plans, out, options.keep, options.preset)
    home = options.keep or out
    for figure in figures:
        drawn = _produce(figure, options.preset, home, options.seeds)
        failed += not (drawn or options.no_training)
    return 1 if failed else 0


def _train(plans: Sequence[Plan], out: Path, jobs: int, device: str) -> int:
    """Run what is missing; returns how many runs failed."""
    there = sum(covered(plan, out) for plan in plans)
    print(
        f"{len(plans)} runs, {there} exist; the others take about "
        f"{time_in_words(time_left(plans, out, jobs, parts.device(device)))}",
        file=sys.stderr,
    )
    resources = Resources(device=device)
    return carried_out(
        lambda stop: execute(plans, out, jobs=jobs, resources=resources, stop=stop),
        plans,
        out,
        jobs,
    )


def _keep(
    figures: Sequence[PaperFigure], plans: Sequence[Plan], out: Path, folder: Path, preset: str
) -> None:
    for result in finished(plans, out):
        if not keep(result, folder, extras_of(figures, result.plan, preset)):
            print(
                f"{result.plan.name}: the run kept in {folder} has other numbers and stays; "
                "delete it there to keep this one",
                file=sys.stderr,
            )


def _produce(figure: PaperFigure, preset: str, home: Path, seeds: Sequence[int] | None) -> bool:
    """Draw, check and print the verdicts. False if it could not be drawn."""
    try:
        pictures = produce(figure, preset, home, figure.plans(preset, seeds))
    except UserError as error:
        print(f"{figure.name}: not drawn: {error}", file=sys.stderr)
        return False
    ledger = read_ledger(home / figure.name / LEDGER)
    for sentence in ledger["left_out"]:
        print(f"{figure.name}: {sentence}", file=sys.stderr)
    for row in ledger["rows"]:
        reason = f" ({row['reason']})" if row["reason"] else ""
        print(f"{row['name']}: {row['verdict']}{reason}")
    print(f"{figure.name}: {', '.join(map(str, pictures))}", file=sys.stderr)
    return True


def _list(plans: list[Plan], out: Path, jobs: int, device: torch.device) -> int:
    width = max((len(plan.name) for plan in plans), default=0)
    found = [outlook(plan, out, device) for plan in plans]
    for one in found:
        asked = ", ".join(("naive", *one.plan.config.evaluate.protocols))
        what = f"{one.state:10}  {one.plan.config.train.steps} steps  {asked}"
        print(f"{one.plan.name:{width}}  {one if one.reason else what}")
    possible = [one.plan for one in found if one.state != REFUSED]
    print(f"about {time_in_words(time_left(possible, out, jobs, device))}")
    return 1 if len(possible) < len(plans) else 0
