"""The entry of the command line: one sentence for what a user or the system can mend."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from conceptspace.cli.parser import INTERRUPTED, parsed, parser
from conceptspace.errors import UserError

OWN_MODULES = ("analyze", "bench", "completion", "info", "reproduce", "sweep")
"""Commands that are modules of their own; the others are together in one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    What the user or the system can mend is reported in one sentence, without a traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # names of files need not be text
                stream.reconfigure(errors="backslashreplace")
        status = _status(arguments)
        if sys.stdout is not None:  # it may have been closed before the start
            sys.stdout.flush()
        return status
    except UserError as error:
        return _failed(_with_notes(error), error.status)
    except KeyboardInterrupt:
        return _failed("stopped at once; what was saved before is whole", INTERRUPTED)
    except MemoryError:
        return _failed("there is not enough memory; a smaller model, batch or image needs less", 1)
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        if error.filename is None:
            _drop_output()
        where = f": {error.filename}" if error.filename is not None else ""
        return _failed(f"{error.strerror}{where}", 1)


def _status(arguments: list[str]) -> int:
    """Parse the command line and carry out the command; returns its status."""
    options = parsed(arguments)
    if options.command is None:
        parser().print_help()
        return 0
    module = options.command if options.command in OWN_MODULES else "commands"
    found = import_module(f"conceptspace.cli.{module}")
    status: int = getattr(found, options.command)(options)
    return status


def _failed(sentence: str, status: int) -> int:
    print(f"conceptspace: {sentence}", file=sys.stderr)
    return status


def _with_notes(error: BaseException) -> str:
    return "; ".join([str(error), *getattr(error, "__notes__", [])])


def _drop_output() -> None:
    """Discard what the standard output could not take, also at the end of the program."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
