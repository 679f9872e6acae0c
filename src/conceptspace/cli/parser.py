"""Commands, their flags and their help. Every config field is a flag under its dotted name."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from conceptspace import __version__
from conceptspace.cli import sweep_flags, table_flags
from conceptspace.cli.flags import add_settings, kinds_named
from conceptspace.cli.numbers import count, number_list, whole_numbers
from conceptspace.cli.settings import Setting, dashed, settings, stored
from conceptspace.errors import UserError
from conceptspace.hints import command as call
from conceptspace.hints import meant

NOTHING: Mapping[str, Any] = MappingProxyType({})

PRESET_NAMES = ("quick", "paper")
"""Presets of shapes and of the paper's figures."""

START_NAMES = (*PRESET_NAMES, "faces", "faces-night")
"""Presets from which a run may start."""

CONFIGURABLE = ("quickstart", "run", "signal")
"""Commands that take settings."""

TAKING_SETTINGS = (*CONFIGURABLE, "evaluate")

BUILT_IN = ("shapes", "unet")
"""Kinds whose settings are all listed where no kind is named."""

EXAMPLES = {
    "quickstart": "conceptspace quickstart --out runs/first",
    "run": "conceptspace run quick --out runs/a --seed 3 --data.color-separation 0.3",
    "evaluate": "conceptspace evaluate runs/a --protocol overprompting-color --strengths 2.5,4.5",
    "signal": "conceptspace signal quick --versus data.color-separation=0.8",
    "analyze": "conceptspace analyze evals.csv -o page.html --concept skill --accuracy acc",
    "report": "conceptspace report runs/a runs/b -o report.html",
    "reproduce": "conceptspace reproduce fig04 --preset quick --out runs/paper-quick",
    "sweep": "conceptspace sweep sweep.toml --out runs/sweep --dry-run",
    "serve": "conceptspace serve runs",
    "bench": "conceptspace bench -o bench.json",
    "info": "conceptspace info runs/a",
    "completion": 'eval "$(conceptspace completion bash)"',
}


class Parser(argparse.ArgumentParser):
    """A parser that says in one sentence what is wrong, with the nearest name that is known."""

    commands: Mapping[str, Parser] = NOTHING
    """The parsers of its commands."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")

    def refuse_unknown(self, arguments: Sequence[str]) -> None:
        """Raise ``UserError`` for the first flag that this parser does not know."""
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        for argument in arguments:
            flag = argument.partition("=")[0]
            if flag == "--":
                return
            if flag.startswith("--") and flag not in known:
                raise UserError(f"unknown argument {flag}{meant(flag, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(name) for name in action.choices]
            hint = meant(str(value), names) or f"; there are {', '.join(names)}"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")


INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def parser(
    flags: Mapping[str, Sequence[Setting]] = NOTHING, kinds: Mapping[str, str] = NOTHING
) -> Parser:
    """The parser of all commands.

    Args:
        flags: settings that are flags, by command; `evaluate` takes those of protocols.
        kinds: of which these settings are, by section, where a command line names any.
    """
    top = Parser(
        prog="conceptspace",
        description="Watch a generative model learn concepts.",
        epilog="example: " + EXAMPLES["quickstart"],
        allow_abbrev=False,
    )
    top.set_defaults(kinds=kinds)
    top.add_argument("--version", action="version", version=f"conceptspace {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    top.commands = commands.choices

    def add(name: str, help_: str) -> Parser:
        return commands.add_parser(
            name,
            help=help_,
            description=help_,
            epilog="example: " + EXAMPLES[name],
            allow_abbrev=False,
        )

    _add_configurable(add, flags)
    evaluate = add("evaluate", "Score a run's saved checkpoints under elicitation protocols.")
    _add_evaluate(evaluate)
    add_settings(
        evaluate, [s for s in flags.get("evaluate", ()) if s.name.startswith("protocols.")]
    )
    _add_report(add("report", "Write one offline page of one or several runs."))
    table_flags.add_flags(
        add("analyze", "Print what a table of steps and accuracies says, of any model.")
    )
    _add_reproduce(add("reproduce", "Run, draw and check figures of the paper; skips what exists."))
    sweep_flags.add_flags(
        add("sweep", "Run every combination of a sweep file: here, with Ray, or with Slurm.")
    )
    _add_bench(add("bench", "Measure training and sampling against a plain reference."))
    _add_serve(
        add("serve", "Show all runs of a folder in the browser, while they train and after.")
    )
    info = add("info", "Print facts about this installation, or about runs.")
    info.add_argument(
        "runs", type=Path, nargs="*", metavar="RUN", help="run folders, or folders of runs"
    )
    completion = add("completion", "Print what makes a shell complete commands, flags and names.")
    completion.add_argument("shell", choices=("bash", "zsh"))
    return top


def _add_configurable(
    add: Callable[[str, str], Parser], flags: Mapping[str, Sequence[Setting]]
) -> None:
    """The commands that take every setting as a flag: quickstart, run and signal."""
    quickstart = add(
        "quickstart", "Train the quick preset, ask it in its ways and print the verdict."
    )
    quickstart.add_argument("--out", type=Path, default=Path("runs/quickstart"), metavar="DIR")
    run = add(
        "run",
        "Train a model, print its verdict and write its page; goes on with an existing run, "
        "also to more steps than were planned.",
    )
    run.add_argument("--out", type=Path, metavar="DIR", help="the run's folder")
    _add_trust(run)
    for training in (quickstart, run):
        training.add_argument("--dry-run", action="store_true", help="only print what it would do")
        _add_device(training)
        _add_precision(training)
        _add_processes(training)
    signal = add("signal", "Measure the concept signal of a config's data and draw it.")
    signal.add_argument("--out", type=Path, default=Path("runs/signal"), metavar="DIR")
    signal.add_argument(
        "--versus",
        action="append",
        metavar="NAME=VALUE",
        help="a setting of a second config to draw beside the first; may be given several times",
    )
    for started, presets in ((run, START_NAMES), (signal, PRESET_NAMES)):
        started.add_argument("preset", nargs="?", choices=presets, help="where to start from")
        started.add_argument("--config", type=Path, metavar="FILE.toml", help="values to change")
    for name, configurable in {"quickstart": quickstart, "run": run, "signal": signal}.items():
        known = {"run": "|".join(START_NAMES), "signal": "|".join(PRESET_NAMES)}.get(name)
        start = f"[{known}] [--config FILE.toml] " if known else ""
        configurable.usage = f"%(prog)s {start}[--out DIR] [--SETTING VALUE ...]"
        configurable.add_argument(
            "--print-config", action="store_true", help="only print the config, for --config"
        )
        add_settings(configurable, flags.get(name, ()))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The command and its flags; those of single protocols are in ``own``, by their names.

    Raises:
        UserError: one is unknown, or lacks its value.
    """
    name = arguments[0] if arguments else ""
    configurable = name in CONFIGURABLE
    own: dict[str, str] = {}
    if name in TAKING_SETTINGS:
        own, arguments = _own_flags(arguments)
    kinds = kinds_named(arguments) if configurable else {}
    foreign = any(kind not in BUILT_IN for kind in kinds.values())
    flags = {name: settings(**kinds) if foreign else stored()} if name in TAKING_SETTINGS else {}
    top = parser(flags, kinds)
    if name in CONFIGURABLE[1:] and any(a.partition("=")[0] == "--preset" for a in arguments):
        raise UserError(
            "unknown argument --preset; the preset comes first, without a dash: "
            + call(name, "quick")
        )
    top.commands.get(name, top).refuse_unknown(arguments)
    options, unknown = top.parse_known_args(arguments)
    if unknown:
        raise UserError(f"unknown argument {unknown[0]}")
    options.own = own
    return options


def refuse_others(options: argparse.Namespace, plain: list[str], takes: str) -> None:
    """Refuse what is given beside a plain command line, and would be ignored.

    Args:
        options: of the command line.
        plain: the command with all that is taken.
        takes: what that is, in words.

    Raises:
        UserError: a flag is not taken.
    """
    usual = vars(parsed(plain))
    others = [name for name, value in vars(options).items() if value != usual[name]]
    if others:
        raise UserError(f"{call(*plain[:2])} takes {takes}, and no --{dashed(others[0])}")


def _own_flags(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Flags of single protocols, ``--protocols.NAME.SETTING VALUE``, and all other arguments."""
    found: dict[str, str] = {}
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if not argument.startswith("--protocols."):
            rest.append(argument)
            continue
        flag, _, value = argument.removeprefix("--").partition("=")
        found[flag] = value or next(left, "")
        if not found[flag]:
            raise UserError(f"--{flag} takes a value")
    return found, rest


def _add_evaluate(command: Parser) -> None:
    command.add_argument("run", type=Path, metavar="RUN")
    command.add_argument(
        "--protocol",
        action="append",
        metavar="NAME",
        help="also FILE.py:NAME or module:NAME; may be given several times; default: the usual "
        "ones that fit the run. --protocols.NAME.SETTING VALUE changes a setting of its own",
    )
    for sweep in ("strengths", "alphas", "betas", "guidance"):
        command.add_argument(
            f"--{sweep}", type=number_list, metavar="A,B,...", help="in place of the run's"
        )
    command.add_argument(
        "--steps",
        type=whole_numbers,
        metavar="A,B,...",
        help="of the checkpoints to score; default: every saved one",
    )
    command.add_argument("--dry-run", action="store_true", help="only print what it would score")
    _add_trust(command)
    _add_device(command)
    _add_precision(command)


def _add_precision(command: Parser) -> None:
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the wide layers; default: auto, bfloat16 where the device computes in it",
    )


def _add_processes(command: Parser) -> None:
    command.add_argument(
        "--processes",
        type=int,
        choices=(1, 2),
        help="2: train in a process of its own while this one scores, one thread each; 1: one "
        "after the other, with all threads; default: 2 for quickstart on a CPU, else 1",
    )


def _add_trust(command: Parser) -> None:
    command.add_argument(
        "--trust",
        action="store_true",
        help="run the code, FILE.py:CLASS or module:CLASS, that an existing run's config names",
    )


def _add_device(command: Parser) -> None:
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto"
    )


def _add_reproduce(command: Parser) -> None:
    command.add_argument("figures", nargs="*", metavar="FIG|all", help="e.g. fig04, or all")
    command.add_argument("--preset", choices=PRESET_NAMES, default="quick", help="default: quick")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="default: runs/reproduce-quick or -paper"
    )
    command.add_argument("--jobs", type=count, metavar="N", help="runs at once; default: cores")
    command.add_argument(
        "--seeds", type=whole_numbers, metavar="A,B,...", help="default: the figure's"
    )
    command.add_argument("--dry-run", action="store_true", help="only list the runs")
    command.add_argument(
        "--no-training", action="store_true", help="draw and check what the finished runs allow"
    )
    command.add_argument(
        "--keep", type=Path, metavar="DIR", help="copy the runs' small files there, and draw there"
    )
    command.add_argument(
        "--index", type=Path, metavar="DIR", help="only write DIR/README.md, e.g. of results"
    )
    _add_device(command)


def _add_report(report: Parser) -> None:
    report.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run, a folder of runs, or a collection"
    )
    report.add_argument("-o", "--out", type=Path, metavar="FILE", help="default: RUN/report.html")
    report.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="NAME=VALUE,VALUE",
        help="of a collection, the runs with these values of a setting; may be given several times",
    )
    report.add_argument(
        "--note", type=Path, metavar="FILE.md", help="Markdown to stand on the page, as text alone"
    )


def _add_bench(bench: Parser) -> None:
    bench.add_argument("-o", "--out", type=Path, metavar="FILE.json", help="write the numbers")
    bench.add_argument("--repeats", type=count, default=5, metavar="N", help="default: 5")
    bench.add_argument(
        "--ablation", choices=("quick", "paper"), help="only: what each part of the engine gains"
    )
    bench.add_argument("--smallest", action="store_true", help="seconds, to see that it runs")
    _add_device(bench)


def _add_serve(command: Parser) -> None:
    command.add_argument(
        "runs",
        type=Path,
        nargs="*",
        default=[Path("runs")],
        metavar="RUNS",
        help="runs, or folders of them; default: runs",
    )
    command.add_argument(
        "--port", type=int, default=8642, metavar="N", help="default: 8642; 0: any that is free"
    )
    command.add_argument(
        "--bind", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1"
    )
    command.add_argument(
        "--token", default="", help="asked of every visitor; or CONCEPTSPACE_TOKEN"
    )
    command.add_argument(
        "--ask",
        action="store_true",
        help="let visitors ask kept checkpoints for images of a point in concept space",
    )
