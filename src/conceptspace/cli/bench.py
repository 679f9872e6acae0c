"""The command `bench`: measure the engine against the plain reference, and write JSON."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import torch

from conceptspace import presets
from conceptspace.benchmarks import machine, step_time, works
from conceptspace.benchmarks.ablation import ablation
from conceptspace.config import RunConfig, merged, nested
from conceptspace.engine.native.memory import keep_freed_memory
from conceptspace.engine.precision import fastest_precision
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.files import write_json

ROUNDS = {"quick": 40, "paper": 4}
"""Rounds of the ablation for each repeat."""

SMALLEST = {"data.resolution": 8, "model.channels": (8, 16), "train.batch_size": 4}
"""What `--smallest` changes, to see in seconds that every benchmark runs."""


def bench(options: Namespace) -> int:
    """Print a table, and write it to a file if one is given."""
    if options.out is not None and options.out.exists():
        raise UserError(f"{options.out} exists; choose another file with -o")
    device = parts.device(options.device)
    small: bool = options.smallest
    quick, paper = presets.quick(), presets.paper()
    if device.type == "cpu":
        keep_freed_memory()
    if options.ablation is not None:
        return _ablation({"quick": quick, "paper": paper}[options.ablation], options, device)
    if small:
        quick, paper = (_smallest(config) for config in (quick, paper))
    result: dict[str, Any] = {"machine": machine.describe(device)}
    for name, value in result["machine"].items():
        print(f"{name:14} {value}")
    peak = machine.peaks(device, 64 if small else 2048)
    result["peak_gflops"] = peak
    for name, value in peak.items():
        print(f"{name:14} {value:.0f} GFLOP/s at best")
    heads = ("reference", "engine", "ratio", "GFLOP/s", "share")
    print("\n{:34} {:>12} {:>12} {:>6} {:>8} {:>6}".format("work", *heads))
    repeats = 2 if small else options.repeats
    rows = [
        works.training_step(quick, "quick step", 10 * repeats, peak, device),
        works.training_step(paper, "paper step", repeats, peak, device),
        works.sampling(quick, "quick sampling", 4 if small else 96, 4, repeats, peak, device),
        works.sampling(paper, "paper sampling", 2 if small else 16, 2, repeats, peak, device),
    ]
    result["compared"] = [row.row() for row in rows]
    for row in rows:
        print(
            f"{row.work:34} {1e3 * row.reference:9.2f} ms {1e3 * row.engine:9.2f} ms "
            f"{row.ratio:6.2f} {row.gflops:8.0f} {row.share:6.0%}"
        )
    result["others"] = _others(quick, small, device)
    print()
    for name, value in result["others"].items():
        print(f"{name:56} {value:10.3g}")
    if device.type == "cpu":
        result["quick_step_ms"] = step_time.shares(quick, 2 if small else 10)
        print("\nwhere the time of a quick step goes, ms")
        for name, value in result["quick_step_ms"].items():
            print(f"{name:56} {value:10.3g}")
    result["growth"] = step_time.growth(quick, 1 if small else 5, device)
    print("\nhow the time of a quick step grows, ms")
    for row in result["growth"]:
        print(f"{row['setting']:24} {row['value']!s:31} {row['milliseconds']:10.3g}")
    if options.out is not None:
        write_json(options.out, result)
    return 0


def _ablation(config: RunConfig, options: Namespace, device: torch.device) -> int:
    """What each part of the engine gains."""
    if device.type != "cpu":
        raise UserError("the ablation is of kernels for CPUs; take --device cpu")
    if options.smallest:
        config = _smallest(config)
    result: dict[str, Any] = {"machine": machine.describe(device), "preset": options.ablation}
    for name, value in result["machine"].items():
        print(f"{name:14} {value}")
    rounds = 2 if options.smallest else ROUNDS[options.ablation] * options.repeats
    rows = ablation(config, rounds, fastest_precision(device))
    print(f"\na step of {options.ablation}, batch {config.train.batch_size}; times sooner: median")
    print("over rounds (middle half of them)")
    print(f"{'':26} {'ms':>8}   {'than plain float32':24} than what it is beside")
    for row in rows:
        print(f"{row.name:26} {row.milliseconds:8.2f}   {row.plain!s:24} {row.gain} {row.beside}")
    result["ablation"] = [row.row() for row in rows]
    if options.out is not None:
        write_json(options.out, result)
    return 0


def _others(quick: RunConfig, small: bool, device: torch.device) -> dict[str, float]:
    steps = 5 if small else 1000
    packed = works.packing(5 if small else 100, 1 if small else torch.get_num_threads())
    return {
        "seconds of conceptspace --help": works.startup(1 if small else 5),
        "seconds to the first step of quick": works.first_step(),
        f"MB grown over {steps} quick steps": works.memory_growth(quick, steps, device),
        "share of time that a checkpoint every 100 steps takes": works.checkpoint_stall(
            quick, 5 if small else 100, 1 if small else 5, device
        ),
        "32 px images rendered per second": works.renderer(32, 64 if small else 2048, 3),
        **{f"quick steps per second, {name}": value for name, value in packed.items()},
    }


def _smallest(config: RunConfig) -> RunConfig:
    return merged(config, nested(SMALLEST), "bench")
