"""Protocols on the command line: files that are named, and settings of single protocols."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any

from conceptspace.cli.flags import converted
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.protocols import registry
from conceptspace.registry import located

SECTION = "protocols."
"""How the flags of single protocols begin, after two dashes."""


def named(asked: Iterable[str], config: RunConfig) -> list[str]:
    """Protocols' names, those in files and modules loaded and replaced by their names for a run.

    Only what the command line names is ever loaded so: a run's own config holds names alone.

    Args:
        asked: names, ``FILE.py:NAME`` and ``module:NAME``.
        config: of the run.

    Raises:
        UserError: a file or module cannot be loaded, has no such protocol, or none for the run.
    """
    found: list[str] = []
    for name in asked:
        if ":" in name:
            of = registry.adopted(located(name, "the protocol"), name)
            fitting = of.names(parts.context(config))
            if not fitting:
                raise UserError(f"{name} makes no protocol for this run; ask it with another one")
            found += fitting
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def protocol_flags(options: Namespace) -> dict[str, dict[str, Any]]:
    """What flags like ``--protocols.louder.factors 2,3`` say, by family.

    Raises:
        UserError: there is no such setting, or it is of another type.
    """
    found: dict[str, dict[str, Any]] = {}
    for flag, text in options.own.items():
        family, _, key = flag.removeprefix(SECTION).rpartition(".")
        key = key.replace("-", "_")
        of = registry.family_of(family)
        fields: Mapping[str, Any] = of.settings.model_fields if of and of.settings else {}
        if of is None or of.name != family or key not in fields:
            known = ", ".join(f"--{SECTION}{family}.{name.replace('_', '-')}" for name in fields)
            raise UserError(
                f"there is no setting --{flag}; "
                + (
                    f"there are {known}"
                    if known
                    else "they are called --protocols.PROTOCOL.SETTING"
                )
            )
        found.setdefault(family, {})[key] = converted(flag, text, fields[key].annotation)
    return found
