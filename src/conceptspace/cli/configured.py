"""The config that a command line asks for: a preset, a file or a run, changed by flags."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conceptspace.cli.flags import overrides
from conceptspace.cli.protocols import named, protocol_flags
from conceptspace.config import RunConfig, merged, nested, read
from conceptspace.errors import UserError
from conceptspace.experiment.own_code import require_permission
from conceptspace.experiment.parts import fitted
from conceptspace.hints import meant
from conceptspace.presets import STARTS
from conceptspace.protocols import registry
from conceptspace.run_folder import RunFolder
from conceptspace.store import Run


def configured(options: Namespace, folder: Path | None) -> RunConfig:
    """Where the config starts from (see :func:`_base`), changed by the flags, with every setting of
    the protocols that it asks; a preset's protocols are those that fit the world. A folder's own
    config, from wherever its run was begun, is changed by the flags alone.
    """
    base, given = _base(options, folder), overrides(options)
    begun = options.config is None and options.preset is None and folder is not None
    asked = given.pop("evaluate.protocols", None)
    config = merged(base, nested(given), "command line")
    if asked is not None:
        changed = {"evaluate.protocols": named(asked, config)}
        config = merged(config, nested(changed), "command line")
    elif not begun:
        config = fitted(config)
    config = merged(config, {"protocols": protocol_flags(options)}, "command line")
    return config if begun else registry.completed(config)


def _base(options: Namespace, folder: Path | None) -> RunConfig:
    """The preset, changed by the file; without either, the folder's own config."""
    if options.config is not None:
        values = read(options.config)
        preset = STARTS[_preset(options.config, values, options.preset)]
        return merged(preset(), values, str(options.config))
    if options.preset is not None or folder is None:
        return STARTS[options.preset or "quick"]()
    if not RunFolder(folder).config.exists():
        known = " or ".join(STARTS)
        raise UserError(f"say where to start from: a preset ({known}) or --config FILE.toml")
    opened = Run(folder)
    kinds = {value for name, value in overrides(options).items() if name.endswith(".kind")}
    require_permission(opened, kinds, options.trust)
    return opened.config


def _preset(path: Path, values: Mapping[str, Any], asked: str | None) -> str:
    """The preset that a config file starts from: its own, the one asked for, or quick."""
    preset = values.get("preset", asked or "quick")
    if preset not in list(STARTS):
        raise UserError(
            f"{path}: there is no preset {preset!r}; they are {', '.join(STARTS)}"
            f"{meant(str(preset), STARTS)}"
        )
    if asked not in (None, preset):
        raise UserError(f"{path} starts from the preset {preset}, the command line from {asked}")
    return str(preset)
