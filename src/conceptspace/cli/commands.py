"""What the commands do that train, score, measure, report and serve."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import torch

from conceptspace import events
from conceptspace.analysis.verdict import UNDECIDED
from conceptspace.cache import probe_cache
from conceptspace.cli import dry_run
from conceptspace.cli.configured import configured
from conceptspace.cli.flags import assignments, choices
from conceptspace.cli.parser import INTERRUPTED
from conceptspace.cli.progress import Interrupt, show
from conceptspace.cli.protocols import named, protocol_flags
from conceptspace.config import merged, nested
from conceptspace.engine.precision import Precision
from conceptspace.errors import UserError
from conceptspace.experiment import needs, parts
from conceptspace.experiment.completeness import has_last_checkpoint, require_checkpoints
from conceptspace.experiment.extension import extension
from conceptspace.experiment.own_code import require_permission
from conceptspace.experiment.session import Session
from conceptspace.hints import command
from conceptspace.presentation.explorer.left_out import LeftOut
from conceptspace.protocols import registry
from conceptspace.store import Run, open_or_create
from conceptspace.tables import PATCHING

SWEEPS = ("strengths", "alphas", "betas", "guidance")
"""Sweeps of protocols that `evaluate` can replace."""


def quickstart(options: Namespace) -> int:
    """Train the quick preset and write its report."""
    options.preset, options.config = "quick", None
    if options.processes is None and parts.device(options.device).type == "cpu":
        options.processes = min(2, os.cpu_count() or 1)
    return run(options)


def run(options: Namespace) -> int:
    """Train, score, find and report."""
    folder: Path | None = options.out
    config = configured(options, folder)
    if options.print_config:
        print(config.text(), end="")
        return 0
    if folder is None:
        raise UserError("say where the run goes: --out DIR")
    longer = extension(folder, config)
    if longer is not None:
        config = longer.config
    parts.validate(config)
    device = parts.device(options.device)
    beside = _beside(options, device)
    if options.dry_run:
        return dry_run.of_run(folder, config, longer, device, 1 + beside)
    needs.require(config, folder, device, 1 + beside)
    if longer is not None:
        longer.carry_out()
    opened, existed = open_or_create(folder, config)
    if existed:
        print(longer or f"continuing the run in {folder}", file=sys.stderr)
    if beside:
        torch.set_num_threads(1)
    session = Session(opened, device, probe_cache(), _precision(options), beside=beside)
    interrupt = Interrupt()
    try:
        with interrupt.listening():
            show(session.execute(interrupt))
    except events.Stopped as stopped:
        again = command("run", "--out", folder)
        print(f"stopped at step {stopped.step}; go on with: {again}", file=sys.stderr)
        return INTERRUPTED
    _report([opened], opened.folder.report, "verdict")
    return 0


def evaluate(options: Namespace) -> int:
    """Score saved checkpoints under protocols."""
    opened = Run(options.run)
    require_permission(opened, (), options.trust)
    config = opened.config
    require_checkpoints(opened)
    usual = not options.protocol
    protocols = (
        registry.names(parts.context(config), usual=True)
        if usual
        else named(options.protocol, config)
    )
    if usual and PATCHING in protocols and not has_last_checkpoint(opened):
        protocols.remove(PATCHING)
        print("patching is left out: it needs the run's last checkpoint", file=sys.stderr)
    sweeps = {name: getattr(options, name) for name in SWEEPS if getattr(options, name)}
    device = parts.device(options.device)
    own, steps = protocol_flags(options), options.steps
    if options.dry_run:
        return dry_run.of_evaluation(opened, protocols, sweeps, own, steps)
    session = Session(opened, device, probe_cache(), _precision(options))
    interrupt = Interrupt()
    try:
        with interrupt.listening():
            show(session.evaluate(protocols, interrupt, sweeps, own, steps))
    except events.Stopped:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    return 0


def signal(options: Namespace) -> int:
    """Measure and draw the concept signal."""
    from conceptspace.presentation.signal import write_signal

    config = configured(options, None)
    if options.print_config:
        print(config.text(), end="")
        return 0
    settings = {"this config": parts.rendered(config.data)}
    if options.versus:
        other = merged(config, nested(assignments(options.versus, **options.kinds)), "--versus")
        settings["\n".join(options.versus)] = parts.rendered(other.data)
    table, local = write_signal(settings, options.out, config.seed)
    print(table.to_string(index=False, float_format="%.5f"))
    print()
    print(local.to_string(index=False, float_format="%.3f"))
    print(f"tables and figure in {options.out}", file=sys.stderr)
    return 0


def report(options: Namespace) -> int:
    """Write the page of one or several runs."""
    from conceptspace.presentation.explorer.collected import unpacked
    from conceptspace.presentation.explorer.discover import runs_in
    from conceptspace.presentation.explorer.note import read_note

    note = read_note(options.note) if options.note else ""
    with unpacked(options.runs, choices(options.where)) as folders:
        runs, left_out = runs_in(folders)
        if options.out is None and (len(runs) > 1 or folders != options.runs):
            raise UserError("several runs need a file for their common page: add -o FILE")
        _report(runs, options.out or runs[0].folder.report, "", left_out, note)
    return 0


def serve(options: Namespace) -> int:
    """Show runs in the browser until Ctrl-C."""
    from conceptspace.cli.standing import Standing
    from conceptspace.presentation.explorer import server
    from conceptspace.presentation.explorer.ask import PointAsker
    from conceptspace.presentation.explorer.collected import open_library

    token = options.token or os.environ.get("CONCEPTSPACE_TOKEN", "")
    asked = PointAsker() if options.ask else None
    shown = open_library(options.runs, asked, Standing(options.runs))
    opened = server.listen(options.bind, options.port, token)
    print(server.address(opened, options.bind, token), flush=True)
    asking = "; models may be asked for images" if options.ask else ""
    print(f"read only{asking}; Ctrl-C ends it", file=sys.stderr)
    Thread(target=shown.warm, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.server(shown, opened, token).run(sockets=[opened])
    return 0


def _beside(options: Namespace, device: torch.device) -> bool:
    """Whether training gets a process of its own."""
    if options.processes == 2 and device.type != "cpu":
        raise UserError("--processes 2 is for the CPU; leave it out, or add --device cpu")
    return bool(options.processes == 2)


def _precision(options: Namespace) -> Precision | None:
    """The precision asked for; None for the fastest."""
    return None if options.precision == "auto" else options.precision


def _report(
    runs: list[Run],
    path: Path,
    topic: str = "",
    left_out: Sequence[LeftOut] = (),
    note: str = "",
) -> None:
    """Write the page, and print its findings: the verdict, then the others.

    With a topic only those that have it; where none has, or the verdict cannot be decided, all.
    """
    from conceptspace.presentation.page import write_page

    found = write_page(runs, path, left_out, note)
    chosen = [finding for finding in found if finding.topic == topic]
    answered = chosen and not any(UNDECIDED in finding.text for finding in chosen)
    for finding in chosen if answered else found:
        print(finding.text if finding.topic == "verdict" else f"- {finding.text}")
    print(f"page: {path}", file=sys.stderr)
