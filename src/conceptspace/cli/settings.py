"""Settings as the command line describes them: form, choices, defaults and meaning.

All of it comes from the models of the config. Importing these takes a quarter of a second, so what
they say of the built-in kinds and protocols lies beside this file in ``settings.json``; a test
compares the two, and ``python -m conceptspace.cli.settings`` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

STORED = Path(__file__).with_name("settings.json")

SECTIONS = ("data", "model")
"""Sections that come in kinds, which may be of one's own."""

FORMS = {int: "N", float: "X", bool: "true|false", str: "TEXT"}

WITHOUT_FLAG = ("preset", "protocols")
"""Fields of a config that have no flag of their own."""


class Setting(NamedTuple):
    """What the command line says of a setting.

    Attributes:
        name: dotted, ``train.batch_size``; of a protocol ``protocols.steering.strengths``.
        form: of its value: N (a whole number), X (a number), TEXT, or ``X,...`` for a list.
        choices: its possible values, or those of each item of a list; empty if there is no list.
        defaults: value in each preset, as it would be typed.
        meaning: a sentence, with its bounds.
    """

    name: str
    form: str
    choices: tuple[str, ...]
    defaults: dict[str, str]
    meaning: str

    @property
    def flag(self) -> str:
        """``--train.batch-size``."""
        return "--" + dashed(self.name)

    @property
    def several(self) -> bool:
        """Whether its value is a list."""
        return self.form.endswith(",...")

    def help(self) -> str:
        """Meaning and defaults for ``--help``."""
        values = {preset: value or '""' for preset, value in self.defaults.items()}
        if len(set(values.values())) == 1:
            default = f"default: {next(iter(values.values()))}"
        else:
            default = ", ".join(f"{preset}: {value}" for preset, value in values.items())
        listed = self.several and self.choices
        names = f" One or more of {', '.join(self.choices)}." if listed else ""
        return f"{self.meaning}{names} [{default}]"


def dashed(name: str) -> str:
    """A setting's name as a flag has it."""
    return name.replace("_", "-")


def stored() -> list[Setting]:
    """The settings of built-in kinds and protocols."""
    rows = json.loads(STORED.read_text())
    return [Setting(**{**row, "choices": tuple(row["choices"])}) for row in rows]


def settings(**kinds: str) -> list[Setting]:
    """The settings as the models have them; where names may be one's own, the built-in ones.

    Args:
        kinds: see :func:`conceptspace.config.field_names`.
    """
    from conceptspace.config import field_names
    from conceptspace.presets import PRESETS

    presets = {name: build().settings() for name, build in PRESETS.items()}
    found = [
        _setting(name, info, {preset: values.get(name) for preset, values in presets.items()})
        for name, info in field_names(**kinds).items()
        if name not in WITHOUT_FLAG
    ]
    return [_named(one) for one in found] + list(_of_protocols(list(presets)))


def _named(one: Setting) -> Setting:
    """A setting that takes names of things, with those that are built in."""
    from conceptspace import config, presets
    from conceptspace.experiment import parts
    from conceptspace.tables import NAIVE

    if one.name == "evaluate.protocols":
        run = parts.context(presets.quick())
        names = [name for of in _built_in() for name in of.names(run)]
        names.sort(key=lambda name: name != NAIVE)
        return one._replace(choices=tuple(dict.fromkeys([*names, "guidance"])))
    kinds = config.KINDS.get(one.name.removesuffix(".kind"))
    return one if kinds is None else one._replace(choices=tuple(kinds.built_in))


def _of_protocols(presets: list[str]) -> Iterator[Setting]:
    """Settings of single built-in protocols, which no preset changes."""
    for family in _built_in():
        fields = family.settings.model_fields if family.settings else {}
        for name, info in fields.items():
            yield _setting(f"protocols.{family.name}.{name}", info, dict.fromkeys(presets))


def _built_in() -> list[Any]:
    """Families of protocols of this package, not those that somebody has added."""
    from conceptspace.protocols import registry

    known = sorted(registry.families(), key=lambda of: of.name)  # whichever was imported first
    sources = [(getattr(of.source, "__module__", ""), of) for of in known]
    return [of for module, of in sources if module.startswith("conceptspace.")]


def _setting(name: str, info: Any, values: Mapping[str, Any]) -> Setting:
    usual = info.get_default(call_default_factory=True)
    form, choices = form_of(info.annotation)
    defaults = {preset: typed(usual if v is None else v) for preset, v in values.items()}
    meaning = " ".join((info.description or "").split())
    return Setting(name, form, choices, defaults, meaning)


def form_of(annotation: Any) -> tuple[str, tuple[str, ...]]:
    """Form and choices of a type's values, see :class:`Setting`."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return form_of(inside[0])
    if origin in (Union, UnionType):
        return form_of(next(part for part in inside if part is not type(None)))
    if origin is tuple:
        form, choices = form_of(inside[0])
        return f"{form},...", choices
    if origin is Literal:
        return "NAME", tuple(map(str, inside))
    return FORMS.get(annotation, "VALUE"), ()


def typed(value: Any) -> str:
    """A value as it would be typed after its flag."""
    if isinstance(value, tuple | list):
        return ",".join(map(typed, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def write() -> None:
    """Write :data:`STORED` anew from the models."""
    from conceptspace.files import write_atomically

    rows = ",\n ".join(json.dumps(one._asdict(), ensure_ascii=False) for one in settings())
    write_atomically(STORED, f"[{rows}]\n".encode())


if __name__ == "__main__":
    write()
