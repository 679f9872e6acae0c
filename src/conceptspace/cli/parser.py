"""Commands, their flags and their help. Every config field is a flag under its dotted name."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from conceptspace import __version__
from conceptspace.cli import sweep_flags
from conceptspace.cli.flags import dashed, kinds_named
from conceptspace.cli.numbers import count, numbers, seeds
from conceptspace.cli.table_flags import add_flags
from conceptspace.errors import UserError

PRESET_NAMES = ("quick", "paper")

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
}


class Parser(argparse.ArgumentParser):
    """A parser that tells of an unknown flag in one sentence, with the nearest known one."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    What the user or the system can mend is told in one sentence, without a traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # names of files need not be text
                stream.reconfigure(errors="backslashreplace")
        status = _status(arguments)
        sys.stdout.flush()
        return status
    except UserError as error:
        return _told(_with_notes(error), error.status)
    except KeyboardInterrupt:
        return _told("stopped at once; what was saved before is whole", INTERRUPTED)
    except MemoryError:
        return _told("there is not enough memory; a smaller model, batch or image needs less", 1)
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        if error.filename is None:
            _drop_output()
        where = f": {error.filename}" if error.filename is not None else ""
        return _told(f"{error.strerror}{where}", 1)


def _status(arguments: list[str]) -> int:
    """Parse and do; returns the command's status."""
    options = parsed(arguments)
    if options.command is None:
        parser().print_help()
        return 0
    from conceptspace.cli import commands

    status: int = getattr(commands, options.command)(options)
    return status


def _told(sentence: str, status: int) -> int:
    print(f"conceptspace: {sentence}", file=sys.stderr)
    return status


def _with_notes(error: BaseException) -> str:
    return "; ".join([str(error), *getattr(error, "__notes__", [])])


def _drop_output() -> None:
    """Let what the standard output could not take go nowhere, at the end of the program too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser(flags: bool = False, kinds: Mapping[str, str] = MappingProxyType({})) -> Parser:
    """The parser of all commands.

    Args:
        flags: whether to add the config's flags, which takes the time to import the config.
        kinds: kinds of one's own whose flags are among them, by section.
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

    def add(name: str, help_: str) -> Parser:
        return commands.add_parser(
            name,
            help=help_,
            description=help_,
            epilog="example: " + EXAMPLES[name],
            allow_abbrev=False,
        )

    quickstart = add(
        "quickstart", "Train the quick preset, ask it in every way and tell the verdict."
    )
    quickstart.add_argument("--out", type=Path, default=Path("runs/quickstart"), metavar="DIR")
    _add_device(quickstart)
    _add_precision(quickstart)
    run = add("run", "Train a model, tell its verdict and write its page; resumes an existing run.")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    _add_trust(run)
    _add_device(run)
    _add_precision(run)
    signal = add("signal", "Measure the concept signal of a config's data and draw it.")
    signal.add_argument("--out", type=Path, default=Path("runs/signal"), metavar="DIR")
    signal.add_argument(
        "--versus",
        action="append",
        metavar="NAME=VALUE",
        help="a setting of a second config to draw beside the first; may be given several times",
    )
    for command in (run, signal):
        command.add_argument("preset", nargs="?", choices=PRESET_NAMES, help="where to start from")
        command.add_argument("--config", type=Path, metavar="FILE.toml", help="values to change")
    for command in (quickstart, run, signal):
        if flags:
            _add_config_flags(command, kinds)
    evaluate = add("evaluate", "Score a run's saved checkpoints under elicitation protocols.")
    evaluate.add_argument("run", type=Path, metavar="RUN")
    evaluate.add_argument(
        "--protocol",
        action="append",
        metavar="NAME",
        help="also FILE.py:NAME or module:NAME; may be given several times; default: the usual "
        "ones that fit the run. --protocols.NAME.SETTING VALUE changes a setting of its own",
    )
    for sweep in ("strengths", "alphas", "betas", "guidance"):
        evaluate.add_argument(f"--{sweep}", type=numbers, metavar="A,B,...")
    _add_trust(evaluate)
    _add_device(evaluate)
    _add_precision(evaluate)
    report = add("report", "Write one offline page of one or several runs.")
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
    analyze = add("analyze", "Tell what a table of steps and accuracies says, of any model.")
    add_flags(analyze)
    reproduce = add("reproduce", "Run, draw and check figures of the paper; skips what exists.")
    _add_reproduce(reproduce)
    sweep_flags.add_flags(
        add("sweep", "Run every combination of a sweep file, here or over machines with Ray.")
    )
    bench = add("bench", "Measure training and sampling against a plain reference.")
    bench.add_argument("-o", "--out", type=Path, metavar="FILE.json", help="write the numbers")
    bench.add_argument("--repeats", type=count, default=5, metavar="N", help="of each work")
    bench.add_argument(
        "--ablation", choices=("quick", "paper"), help="only: what each part of the engine gains"
    )
    bench.add_argument("--smallest", action="store_true", help="seconds, to see that it runs")
    _add_device(bench)
    serve = add("serve", "Show all runs of a folder in the browser, while they train and after.")
    _add_serve(serve)
    info = add("info", "Tell about this installation, or about runs.")
    info.add_argument(
        "runs", type=Path, nargs="*", metavar="RUN", help="run folders, or folders of runs"
    )
    return top


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The command and its flags; those of single protocols are in ``own``, by their names.

    Raises:
        UserError: one is unknown, or lacks its value.
    """
    configurable = bool(arguments) and arguments[0] in ("quickstart", "run", "signal")
    own: dict[str, str] = {}
    if configurable or arguments[:1] == ["evaluate"]:
        own, arguments = _own_flags(arguments)
    kinds = kinds_named(arguments) if configurable else {}
    options, unknown = parser(configurable, kinds).parse_known_args(arguments)
    options.own = own
    if unknown:
        hint = ""
        if configurable and unknown[0].startswith("-"):
            from conceptspace.config import field_names

            asked = unknown[0].split("=")[0]
            known = ["--" + dashed(name) for name in field_names(**kinds) if name != "preset"]
            close = get_close_matches(asked, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            if asked == "--preset" and arguments[0] != "quickstart":
                hint = (
                    f"; the preset comes first, without a dash: conceptspace {arguments[0]} quick"
                )
        raise UserError(f"unknown argument {unknown[0]}{hint}")
    return options


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


def _add_precision(command: Parser) -> None:
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the wide layers; auto: bfloat16 where the device computes in it",
    )


def _add_trust(command: Parser) -> None:
    command.add_argument(
        "--trust",
        action="store_true",
        help="run the code, FILE.py:CLASS or module:CLASS, that an existing run's config names",
    )


def _add_device(command: Parser) -> None:
    command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")


def _add_reproduce(command: Parser) -> None:
    command.add_argument("figures", nargs="*", metavar="FIG|all", help="e.g. fig04, or all")
    command.add_argument("--preset", choices=PRESET_NAMES, default="quick")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="default: runs/reproduce-quick or -paper"
    )
    command.add_argument("--jobs", type=count, metavar="N", help="runs at once; default: cores")
    command.add_argument("--seeds", type=seeds, metavar="A,B,...", help="default: the figure's")
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


def _add_serve(command: Parser) -> None:
    command.add_argument(
        "runs",
        type=Path,
        nargs="*",
        default=[Path("runs")],
        metavar="RUNS",
        help="runs, or folders of them; default: runs",
    )
    command.add_argument("--port", type=int, default=8642, help="0: any that is free")
    command.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS")
    command.add_argument(
        "--token", default="", help="asked of every visitor; or CONCEPTSPACE_TOKEN"
    )
    command.add_argument(
        "--ask",
        action="store_true",
        help="let visitors ask kept checkpoints for images of a point in concept space",
    )


def _add_config_flags(command: Parser, kinds: Mapping[str, str]) -> None:
    from conceptspace.config import field_names

    groups: dict[str, Any] = {}
    for name, info in field_names(**kinds).items():
        if name == "preset":
            continue
        section = name.split(".")[0] if "." in name else "run"
        if section not in groups:
            groups[section] = command.add_argument_group(f"settings: {section}")
        groups[section].add_argument(
            "--" + dashed(name),
            dest="config:" + name,
            default=None,
            metavar="VALUE",
            help=(info.description or "").replace("%", "%%"),
        )
