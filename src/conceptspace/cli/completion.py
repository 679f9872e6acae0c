"""The command `completion`: what makes bash or zsh complete commands, flags, names and files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules

import shtab

from conceptspace import paper
from conceptspace.cli.parser import TAKING_SETTINGS, Parser, parser
from conceptspace.cli.settings import stored


def completion(options: Namespace) -> int:
    """Print the script of a shell."""
    print(completion_script(options.shell))
    return 0


def completion_script(shell: str) -> str:
    """What a shell evaluates to complete this command line, by `shtab`.

    Args:
        shell: bash or zsh.
    """
    top = parser(dict.fromkeys(TAKING_SETTINGS, stored()))
    for name, command in top.commands.items():
        _complete(name, command)
    return shtab.complete(top, shell=shell)


def figures() -> Iterator[str]:
    """Names of the paper's figures, found by looking for their folders."""
    for folder in iter_modules(paper.__path__):
        if folder.ispkg and folder.name != "framework":
            yield folder.name


def _complete(name: str, command: Parser) -> None:
    """Give arguments names to complete, though they take others, too; files for paths."""
    names = {one.flag: one.choices for one in stored() if one.choices}
    for action in command._actions:
        flag = action.option_strings[0] if action.option_strings else action.dest
        if (name, flag) == ("evaluate", "--protocol"):
            action.choices = names["--evaluate.protocols"]
        elif flag == "figures":
            action.choices = ["all", *figures()]
        elif flag in names:
            action.choices = names[flag]
        elif action.type is Path or flag == "file":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
