"""A user's own code that an experiment runs: asking whether it may, and that it stays the same.

A run folder that somebody sent names files in its config, and brings them along. Reading it runs
none of them; going on with it does, and therefore needs the user's permission.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from conceptspace.config import KINDS, RunConfig
from conceptspace.errors import UserError
from conceptspace.files import sha256
from conceptspace.protocols import registry
from conceptspace.registry import CONTENT
from conceptspace.store import Run

PACKAGE = __name__.partition(".")[0]


def require_permission(run: Run, named: Container[str], trusted: bool) -> None:
    """Refuse a run whose config names code in a file or module, unless the user names it, too.

    Kinds of installed packages go by plain names, and whoever installed them knows them.

    Args:
        run: whose config is read; nothing is imported.
        named: places in the code that the user named, ``file.py:Class`` or ``module:Class``.
        trusted: whether the user said that all of them may be run.

    Raises:
        UserError: names that code, and the flag that trusts it.
    """
    description = run.description
    if trusted or not isinstance(description, RunConfig):
        return
    kinds = [getattr(description, section).kind for section in KINDS]
    asked = [kind for kind in kinds if ":" in kind and kind not in named]
    if asked:
        raise UserError(
            f"{run.path} would run code that its config names, {' and '.join(asked)}; add --trust "
            "if you know that code"
        )


def keep_code(run: Run, config: RunConfig, protocols: Iterable[str]) -> None:
    """Keep in ``run.json``, below ``code``, what :func:`code_alike` finds.

    Raises:
        UserError: see :func:`code_alike`.
    """
    kept, found = _kept(run), code_alike(run, config, protocols)
    if found.keys() - kept.keys():
        run.note(code=kept | found)


def code_alike(run: Run, config: RunConfig, protocols: Iterable[str]) -> dict[str, dict[str, str]]:
    """The SHA-256 of each file that defines a world, network or protocol of one's own.

    They go by ``data``, ``model`` and ``protocols.NAME``; of the modules beside it that it imports,
    with their name behind a dot. What comes from elsewhere, an installed package or a folder, is
    not looked at.

    Args:
        run: that is worked on.
        config: with its kinds loaded.
        protocols: names of those that are asked.

    Raises:
        UserError: a file is not the one that the run was made with.
    """
    kept = _kept(run)
    found = {
        name: {"file": path.name, "sha256": content}
        for name, (path, content) in _files(config, protocols).items()
    }
    for name, file in found.items():
        if kept.get(name, file)["sha256"] != file["sha256"]:
            of_the_run = name.partition(".")[0] in KINDS
            what = "the run was begun" if of_the_run else "it was asked"
            other = "start a run with the new one in another folder"
            if not of_the_run:
                other = "give the new protocol another name"
            raise UserError(
                f"{file['file']} has changed since {what} with it ({run.path / 'run.json'} keeps "
                f"its SHA-256, {name}); put it back as it was, or {other}"
            )
    return found


def _kept(run: Run) -> dict[str, dict[str, str]]:
    """The files of code that ``run.json`` lists, by name.

    Raises:
        UserError: the file is damaged.
    """
    found: dict[str, dict[str, str]] = run.information().get("code", {})
    if not all(isinstance(f, dict) and isinstance(f.get("sha256"), str) for f in found.values()):
        raise run.damaged_information(f"code is {found!r:.80}")
    return found


def _files(config: RunConfig, protocols: Iterable[str]) -> dict[str, tuple[Path, str]]:
    """The files of what is not this package's, with their SHA-256."""
    made: dict[str, Any] = {section: type(getattr(config, section)) for section in KINDS}
    for of in filter(None, map(registry.family_of, protocols)):
        made[f"protocols.{of.name}"] = of.source
    found = {}
    for name, source in made.items():
        module = sys.modules.get(getattr(source, "__module__", None) or "")
        path = getattr(module, "__file__", None)
        if module is None or path is None or module.__name__.partition(".")[0] == PACKAGE:
            continue  # what is defined in a notebook has no file
        content = getattr(module, CONTENT, None) or sha256(Path(path).read_bytes())
        found[name] = (Path(path), content)
        for beside in imported(Path(path)) if path.endswith(".py") else ():
            found[f"{name}.{beside.stem}"] = (beside, sha256(beside.read_bytes()))
    return found


def imported(path: Path) -> list[Path]:
    """The modules in the folder of a Python file that it imports, and those that these import."""
    found = {path}
    waiting = [path]
    while waiting:
        beside = {path.with_name(f"{name}.py") for name in _imports(waiting.pop())}
        new = [each for each in beside - found if each.is_file()]
        found.update(new)
        waiting += new
    return sorted(found - {path})


def _imports(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports, as seen from its folder; their first part."""
    package = f"{path.resolve().parent.name}."
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            start = f"{node.module}." if node.module else ""
            names = [start + alias.name for alias in node.names]
        else:
            continue
        yield from (name.removeprefix(package).partition(".")[0] for name in names)
