"""A sweep as a file: TOML that names a base, axes, zipped axes, exclusions and protocols."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from conceptspace.config import RunConfig, load, merged, nested, read
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.files import read_whole, sha256, toml
from conceptspace.presets import STARTS
from conceptspace.settings.tree import dotted
from conceptspace.sweeps.lines import line_of
from conceptspace.sweeps.plan import Plan

KEYS = ("base", "protocols", "settings", "axes", "zip", "exclude")
"""What a sweep file may hold."""

RANGE = re.compile(r"(\d+)\.\.(\d+)")
"""Whole numbers from the first to the last, both included."""

MOST = 100_000
"""Runs of one sweep."""

LONGEST = 100
"""Characters of a run's name before its seed; a longer one is cut, and its hash keeps it apart."""

SEED = "seed"


@dataclass(frozen=True)
class _File:
    """A file with its text, so that a mistake can name the line."""

    path: Path
    text: str

    def error(self, problem: str, section: str, key: str = "", number: int = 0) -> UserError:
        """A mistake in a key of a section; ``number`` counts sections of one name from 0."""
        line = line_of(self.text, section, key, number)
        where = f"{self.path}, line {line}" if line else str(self.path)
        return UserError(f"{where}: {problem}")


def read_sweep(path: Path) -> list[Plan]:
    """The runs of a sweep file, the first axis outermost.

    Every combination of the axes (and, of zipped axes, of their rows) is a run, unless an
    exclusion fits it. A run is named after the settings in which the runs differ, and its seed.

    Raises:
        UserError: the file cannot be read; or a key, a value or a combination is not possible,
            named with its line.
    """
    try:
        text = read_whole(path).decode()
        values = toml(text)
    except OSError as error:
        raise UserError(f"cannot read the sweep file {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    file = _File(path, text)
    for key in values:
        if key not in KEYS:
            raise file.error(f"there is no key {key}; they are {', '.join(KEYS)}", "", key)
    base = _base(file, values)
    dimensions = _dimensions(file, values)
    exclusions = _exclusions(file, values, dimensions)
    plans = _plans(file, base, dimensions, exclusions)
    if not plans:
        raise file.error("the exclusions leave no run", "exclude")
    return plans


def _base(file: _File, values: Mapping[str, Any]) -> RunConfig:
    """The preset or config file, changed by ``settings`` and ``protocols``."""
    named = values.get("base", "quick")
    if not isinstance(named, str):
        raise file.error(f"base is a preset or a config file, not {named!r}", "", "base")
    beside = file.path.parent / named
    if named in STARTS:
        base = STARTS[named]()
    elif beside.is_file():
        begun = read(beside).get("preset", "quick")
        if begun not in list(STARTS):
            raise UserError(f"{beside}: there is no preset {begun!r}; they are {', '.join(STARTS)}")
        base = load(beside, STARTS[begun]())
    else:
        raise file.error(
            f"base = {named!r} is neither a preset ({', '.join(STARTS)}) nor a file at {beside}",
            "",
            "base",
        )
    settings = _table(file, values, "settings")
    base = _changed(file, base, settings, "settings")
    if "protocols" in values:
        names = values["protocols"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise file.error(f"protocols is a list of names, not {names!r}", "", "protocols")
        try:
            base = merged(base, {"evaluate": {"protocols": names}}, "")
        except UserError as error:
            raise file.error(str(error).removeprefix(": "), "", "protocols") from None
    return base


def _dimensions(file: _File, values: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """What varies: a list of rows for each axis and each group of zipped ones."""
    found: list[list[dict[str, Any]]] = []
    for key, given in _table(file, values, "axes").items():
        found.append([{key: value} for value in _values(file, given, "axes", key, 0)])
    for number, group in enumerate(_tables(file, values, "zip")):
        columns = {k: _values(file, given, "zip", k, number) for k, given in group.items()}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1:
            counts = ", ".join(f"{key} has {len(column)}" for key, column in columns.items())
            problem = f"zipped axes have as many values as each other; {counts or 'there are none'}"
            raise file.error(problem, "zip", "", number)
        zipped = zip(*columns.values(), strict=True)
        found.append([dict(zip(columns, row, strict=True)) for row in zipped])
    keys = [key for rows in found for key in rows[0]]
    settings = _table(file, values, "settings")
    for key in keys:
        if keys.count(key) > 1:
            places = _places(file, "axes", key)
            number = max((n for place, n in places if place == "zip"), default=0)
            raise file.error(f"{key} varies twice", "zip", key, number)
        if key in settings:
            problem = f"{key} varies, so it is no setting of every run"
            raise file.error(problem, "settings", key)
    if not found:
        raise file.error("nothing varies: it has neither [axes] nor [[zip]]", "")
    count = 1
    for rows in found:
        count *= len(rows)
    if count > MOST:
        raise file.error(f"{count} combinations are more than {MOST}", "axes")
    return found


def _values(file: _File, given: Any, section: str, key: str, number: int) -> list[Any]:
    """The values of an axis: a list, or a range such as "0..11"."""
    if isinstance(given, str) and (found := RANGE.fullmatch(given)):
        first, last = map(int, found.groups())
        if last - first >= MOST:
            raise file.error(f"{key} has more than {MOST} values", section, key, number)
        if last < first:
            raise file.error(f"{key} = {given!r} ends before it begins", section, key, number)
        return list(range(first, last + 1))
    if not isinstance(given, list) or not given:
        raise file.error(
            f'{key} takes a list of values, or a range such as "0..11", not {given!r}',
            section,
            key,
            number,
        )
    if any(value in given[:i] for i, value in enumerate(given)):
        raise file.error(f"{key} has a value twice", section, key, number)
    return given


def _exclusions(
    file: _File, values: Mapping[str, Any], dimensions: list[list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Combinations to leave out: every key varies, and some run has the value."""
    found = _tables(file, values, "exclude")
    rows = {key: of for of in dimensions for key in of[0]}
    for number, exclusion in enumerate(found):
        for key, given in exclusion.items():
            if key not in rows:
                problem = f"{key} does not vary; what varies: {', '.join(rows)}"
                raise file.error(problem, "exclude", key, number)
            if not any(_fits(row, {key: given}) for row in rows[key]):
                problem = f"no run has {key} = {given!r}, so nothing is left out"
                raise file.error(problem, "exclude", key, number)
    return found


def _plans(
    file: _File,
    base: RunConfig,
    dimensions: list[list[dict[str, Any]]],
    exclusions: list[dict[str, Any]],
) -> list[Plan]:
    found: dict[str, Plan] = {}
    settings: dict[str, RunConfig] = {}
    of_name: dict[str, Mapping[str, Any]] = {}
    varying = {key for rows in dimensions if len(rows) > 1 for key in rows[0]}
    for rows in product(*dimensions):
        changes = {key: value for row in rows for key, value in row.items()}
        if any(_fits(changes, exclusion) for exclusion in exclusions):
            continue
        seed = changes.pop(SEED, base.seed)
        name = _name({key: value for key, value in changes.items() if key in varying})
        full = f"{name}/seed-{seed}" if name else f"seed-{seed}"
        if full in found or of_name.setdefault(name, changes) != changes:
            raise UserError(f"{file.path}: two runs have the name {full}; give them other values")
        if name not in settings:
            settings[name] = _changed(file, base, changes, "axes")
            try:
                settings[name] = parts.fitted(settings[name])
                parts.validate(settings[name])
            except UserError as error:
                raise _blamed(file, changes, "axes", str(error)) from None
        config = _changed(file, settings[name], {SEED: seed}, "axes")
        found[full] = Plan(full, config)
    return list(found.values())


def _changed(file: _File, base: RunConfig, changes: Mapping[str, Any], section: str) -> RunConfig:
    """A config with settings changed; a mistake names the line of the setting."""
    try:
        return merged(base, nested(changes), "")
    except UserError as error:
        raise _blamed(file, changes, section, str(error).removeprefix(": ")) from None


def _blamed(file: _File, changes: Mapping[str, Any], section: str, problem: str) -> UserError:
    """A mistake in settings, with the line of the one that it names first, or else may mean."""
    named = sorted((k for k in changes if k in problem), key=lambda k: (problem.index(k), -len(k)))
    for key in named[:1]:
        for place, number in _places(file, section, key):
            return file.error(problem, place, key, number)
    problem = f"{_changes_in_words(changes)}: {problem}" if changes else problem
    words = set(re.findall(r"\w+", problem.partition(": ")[2] if changes else problem))
    meant = [key for key in changes if key.rpartition(".")[2] in words]
    for key in meant or changes:
        for place, number in _places(file, section, key):
            return file.error(problem, place, key, number)
    return file.error(problem, "", "protocols" if "protocol" in problem else section)


def _places(file: _File, section: str, key: str) -> Iterator[tuple[str, int]]:
    """Where a setting stands: the table, and which of several of its name."""
    for place, count in ((section, 1), ("zip", file.text.count("[[zip]]")), ("settings", 1)):
        for number in range(count):
            if line_of(file.text, place, key, number):
                yield place, number


def _fits(changes: Mapping[str, Any], exclusion: Mapping[str, Any]) -> bool:
    """Whether every key of an exclusion has its value, or one of its list."""
    for key, given in exclusion.items():
        if isinstance(given, str) and (found := RANGE.fullmatch(given)):
            first, last = map(int, found.groups())
            given = list(range(first, last + 1))
        if changes[key] != given and not (isinstance(given, list) and changes[key] in given):
            return False
    return True


def _name(changes: Mapping[str, Any]) -> str:
    """A folder's name of settings: ``color_separation-0.1,steps-400``."""
    leaves = [key.rpartition(".")[2] for key in changes]
    parts = []
    for (key, value), leaf in zip(changes.items(), leaves, strict=True):
        short = leaf if leaves.count(leaf) == 1 else key
        parts.append(f"{short}-{_legible(value)}")
    name = ",".join(parts)
    if len(name) <= LONGEST:
        return name
    return f"{name[:LONGEST]}-{sha256(repr(sorted(changes.items())).encode())[:8]}"


def _legible(value: Any) -> str:
    """A value as part of a file's name."""
    if isinstance(value, list):
        return "+".join(map(_legible, value)) or "none"
    return re.sub(r"[^\w.+-]+", "-", str(value)).strip(".") or "none"


def _changes_in_words(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value!r}" for key, value in changes.items()) or "the base"


def _table(file: _File, values: Mapping[str, Any], key: str) -> dict[str, Any]:
    given = values.get(key, {})
    if not isinstance(given, Mapping):
        raise file.error(f"{key} is a table, written [{key}], not {given!r}", "", key)
    return _settings(file, given, key, 0)


def _tables(file: _File, values: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    given = values.get(key, [])
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise file.error(f"{key} is written [[{key}]], once for each", "", key)
    return [_settings(file, one, key, number) for number, one in enumerate(given)]


def _settings(file: _File, given: Mapping[str, Any], section: str, number: int) -> dict[str, Any]:
    found = dotted(given)
    if "preset" in found:
        raise file.error("a preset is chosen by base", section, "preset", number)
    return found
