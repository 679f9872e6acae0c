"""What each command does."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from conceptspace import events
from conceptspace.analysis.verdict import UNTOLD
from conceptspace.cache import probe_cache
from conceptspace.cli.analyze import analyze
from conceptspace.cli.bench import bench
from conceptspace.cli.flags import choices, overrides, pairs
from conceptspace.cli.parser import INTERRUPTED
from conceptspace.cli.progress import Interrupt, show
from conceptspace.cli.protocols import named, own_settings
from conceptspace.cli.reproduce import reproduce
from conceptspace.cli.sweep import sweep
from conceptspace.config import RunConfig, merged, nested, read
from conceptspace.engine.precision import Precision
from conceptspace.errors import UserError
from conceptspace.experiment import needs, parts
from conceptspace.experiment.completeness import (
    has_last_checkpoint,
    missing_checkpoints,
    require_checkpoints,
    steps_in_words,
)
from conceptspace.experiment.own_code import require_word
from conceptspace.experiment.session import Session
from conceptspace.presentation.explorer.guarded import Guarded
from conceptspace.presentation.explorer.left_out import LeftOut
from conceptspace.presentation.explorer.liveness import state
from conceptspace.presets import PRESETS
from conceptspace.protocols import registry
from conceptspace.record_config import RecordConfig
from conceptspace.run_folder import RunFolder
from conceptspace.store import Run, open_or_create
from conceptspace.tables import PATCHING

__all__ = [
    "analyze",
    "bench",
    "evaluate",
    "info",
    "quickstart",
    "report",
    "reproduce",
    "run",
    "signal",
    "sweep",
]

SWEEPS = ("strengths", "alphas", "betas", "guidance")
"""Sweeps of protocols that `evaluate` can replace."""


def quickstart(options: Namespace) -> int:
    """Train the quick preset and write its report."""
    options.preset, options.config = "quick", None
    return run(options)


def run(options: Namespace) -> int:
    """Train, score, find and report."""
    folder: Path = options.out
    config = _config(options, folder)
    parts.validate(config)
    device = parts.device(options.device)
    needs.require(config, folder, device)
    opened, existed = open_or_create(folder, config)
    if existed:
        print(f"continuing the run in {folder}", file=sys.stderr)
    session = Session(opened, device, probe_cache(), _precision(options))
    interrupt = Interrupt()
    try:
        with interrupt.listening():
            show(session.execute(interrupt))
    except events.Stopped as stopped:
        print(
            f"stopped at step {stopped.step}; go on with: conceptspace run --out {folder}",
            file=sys.stderr,
        )
        return INTERRUPTED
    _report([opened], opened.folder.report, "verdict")
    return 0


def evaluate(options: Namespace) -> int:
    """Score saved checkpoints under protocols."""
    opened = Run(options.run)
    require_word(opened, (), options.trust)
    config = opened.config
    require_checkpoints(opened)
    protocols = named(options.protocol or (), config) or registry.names(
        parts.context(config), usual=True
    )
    if not options.protocol and not has_last_checkpoint(opened):
        protocols.remove(PATCHING)
        print("patching is left out: it needs the run's last checkpoint", file=sys.stderr)
    sweeps = {name: getattr(options, name) for name in SWEEPS if getattr(options, name)}
    device = parts.device(options.device)
    session = Session(opened, device, probe_cache(), _precision(options))
    interrupt = Interrupt()
    try:
        with interrupt.listening():
            show(session.evaluate(protocols, interrupt, sweeps, own_settings(options)))
    except events.Stopped:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    return 0


def signal(options: Namespace) -> int:
    """Measure and draw the concept signal."""
    from conceptspace.presentation.signal import write_signal

    config = _config(options, None)
    settings = {"this config": parts.rendered(config.data)}
    if options.versus:
        other = merged(config, nested(pairs(options.versus, **options.kinds)), "--versus")
        settings["\n".join(options.versus)] = parts.rendered(other.data)
    table, local = write_signal(settings, options.out)
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
    from conceptspace.presentation.explorer import server
    from conceptspace.presentation.explorer.ask import Asker
    from conceptspace.presentation.explorer.collected import library

    token = options.token or os.environ.get("CONCEPTSPACE_TOKEN", "")
    shown = library(options.runs, Asker() if options.ask else None)
    opened = server.listen(options.bind, options.port, token)
    print(server.address(opened, options.bind, token), flush=True)
    asking = "; models may be asked for images" if options.ask else ""
    print(f"read only{asking}; Ctrl-C ends it", file=sys.stderr)
    Thread(target=shown.warm, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.server(shown, opened, token).run(sockets=[opened])
    return 0


def info(options: Namespace) -> int:
    """Tell about the installation or runs; of several, one that cannot be read is told so."""
    from conceptspace.presentation.explorer.discover import runs_in
    from conceptspace.presentation.explorer.left_out import sentences

    if not options.runs:
        cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
        _print_rows(
            {
                "conceptspace": version("conceptspace"),
                "torch": version("torch"),
                "python": platform.python_version(),
                "CPU threads": torch.get_num_threads(),
                "CUDA device": cuda,
                "probe cache": probe_cache(),
                "presets": ", ".join(PRESETS),
            }
        )
        return 0
    runs, left_out = runs_in(options.runs)
    if len(runs) == 1 and not left_out:
        _tell(Guarded(runs[0], runs[0].name))
        return 0
    told = 0
    for run in runs:
        try:
            _tell(Guarded(run, run.name))
            told += 1
        except (UserError, OSError) as error:
            _print_rows({"run": run.name, "problem": error})
        print()
    for sentence in sentences(left_out):
        print(sentence)
    return 0 if told else 2


def _tell(run: Run) -> None:
    """Print what is told of a run, and whether it hides a capability."""
    _print_rows(_about(run))
    print("", *_verdict(run), sep="\n")


def _about(run: Run) -> dict[str, Any]:
    """What is told of a run.

    Raises:
        UserError: its config or its record cannot be read.
    """
    told = run.information()
    description = run.description
    rows = {
        "run": run.name,
        "preset": description.preset,
        "seed": description.seed,
        "status": state(run.path, told).status,
        "probe": told.get("probe", {}).get("hash", "none"),
        "seconds": told.get("seconds", "unknown"),
    }
    if isinstance(description, RecordConfig):
        rows["judge"] = description.judge
        rows["protocols"] = ", ".join(description.protocols)
    elif lacking := missing_checkpoints(run):
        rows["missing"] = f"checkpoints of {steps_in_words(lacking)}"
    return rows


def _print_rows(rows: Mapping[str, Any]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")


def _verdict(run: Run) -> list[str]:
    """Whether a run hides a capability, in sentences."""
    from conceptspace.presentation.explorer.telling import verdict

    if not run.folder.trajectory.exists():
        return [UNTOLD, "No checkpoint has been scored yet."]
    return verdict(run) or [UNTOLD, "No class is held out."]


def _precision(options: Namespace) -> Precision | None:
    """The precision asked for; None for the fastest."""
    return None if options.precision == "auto" else options.precision


def _config(options: Namespace, folder: Path | None) -> RunConfig:
    """Where the config starts from (see :func:`_base`), changed by the flags, with every setting of
    the protocols that it asks.
    """
    base, given = _base(options, folder), overrides(options)
    asked = given.pop("evaluate.protocols", None)
    config = merged(base, nested(given), "command line")
    if asked is not None:
        changed = {"evaluate.protocols": named(asked, config)}
        config = merged(config, nested(changed), "command line")
    own = {"protocols": own_settings(options)}
    return registry.completed(merged(config, own, "command line"))


def _base(options: Namespace, folder: Path | None) -> RunConfig:
    """The preset, changed by the file; without either, the folder's own config."""
    if options.config is not None:
        values = read(options.config)
        preset = PRESETS[_preset(options.config, values, options.preset)]
        return merged(preset(), values, str(options.config))
    if options.preset is not None or folder is None:
        return PRESETS[options.preset or "quick"]()
    if not RunFolder(folder).config.exists():
        known = " or ".join(PRESETS)
        raise UserError(f"say where to start from: a preset ({known}) or --config FILE.toml")
    opened = Run(folder)
    named = {value for name, value in overrides(options).items() if name.endswith(".kind")}
    require_word(opened, named, options.trust)
    return opened.config


def _preset(path: Path, values: Mapping[str, Any], asked: str | None) -> str:
    """The preset that a config file starts from: its own, the one asked for, or quick."""
    named = values.get("preset", asked or "quick")
    if named not in list(PRESETS):
        raise UserError(f"{path}: there is no preset {named!r}; they are {', '.join(PRESETS)}")
    if asked not in (None, named):
        raise UserError(f"{path} starts from the preset {named}, the command line from {asked}")
    return str(named)


def _report(
    runs: list[Run],
    path: Path,
    topic: str = "",
    left_out: Sequence[LeftOut] = (),
    note: str = "",
) -> None:
    """Write the page, and tell its findings on the terminal: the verdict, then the others.

    With a topic only those that have it; where none has, or the verdict is not to be told, all.
    """
    from conceptspace.presentation.page import write_page

    found = write_page(runs, path, left_out, note)
    chosen = [finding for finding in found if finding.topic == topic]
    told = chosen and not any(UNTOLD in finding.text for finding in chosen)
    for finding in chosen if told else found:
        print(finding.text if finding.topic == "verdict" else f"- {finding.text}")
    print(f"page: {path}", file=sys.stderr)
