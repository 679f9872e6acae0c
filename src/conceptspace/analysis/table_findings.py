"""What a table of anybody's skills says: what emerges when, in which order, and what is hidden.

Every quantity is looked at under the plain way of asking (``naive``) and every other one. Steps are
in the table's own unit. What the table cannot answer has a sentence of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd

from conceptspace.analysis.elicitation import behind, kind
from conceptspace.analysis.emergence import (
    HOLD,
    READY,
    Emergence,
    find_emergence,
    survival,
)
from conceptspace.analysis.findings import FEWEST_FOR_TURN, turn_of, turn_sentence
from conceptspace.analysis.levels import LEVELS, Levels
from conceptspace.analysis.quantities import (
    Quantity,
    by_protocol,
    classes_of,
    main_quantities,
    quantities,
)
from conceptspace.analysis.roles import Ways, ways_of
from conceptspace.analysis.sentences import Finding, arrival
from conceptspace.analysis.steps import digits, in_words
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.analysis.turning import Turn
from conceptspace.analysis.unused import changing
from conceptspace.analysis.verdict import (
    Window,
    unscored_steps,
    windows_of,
)
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, NAIVE, VALID

MOST_PAIRS = 6
"""Up to this number of concepts, each is compared with the next one in the order."""

MOST_WITH_SENTENCES = 12
"""Up to this number of quantities, each has sentences of its own; of more, only those with a hidden
window have."""


def table_findings(table: pd.DataFrame, levels: Levels = LEVELS) -> list[Finding]:
    """The findings of a table of runs that differ in their seed alone.

    Args:
        table: see :func:`conceptspace.analysis.reading.read_trajectory`; of one setting a way of
            asking, see :func:`conceptspace.analysis.quantities.each_setting`.
        levels: the accuracies that decide what counts as reached, failed and idle.

    Raises:
        UserError: no way of asking is plain, two runs share a seed, or there are too few
            checkpoints for anything to be seen to stay.
    """
    require_enough(table)
    every = quantities(table)
    many = len(every) > MOST_WITH_SENTENCES
    ways = ways_of(table)
    main, seeds = main_quantities(table), table["seed"].nunique()
    found = {q: hidden_windows(table, q, levels) for q in main}
    hidden = [q for q in found if any(w.found for w in found[q])]
    first = hidden if many else [*hidden, *(q for q in found if q not in hidden)]
    first = first if ways.others else []
    results = [f for q in first for f in _verdict(found[q], q.name, seeds, ways, levels)]
    if many and ways.others:
        text = f"of {len(found)} accuracies {len(hidden)} have a hidden window"
        results.insert(0, Finding("verdict", text))
    for name in classes_of(table):
        results += _emergence(table, [q for q in every if q.concept_class == name], many, levels)
        results += _turn(table, name)
    for quantity in hidden if many else main:
        results += _elicited(table, quantity, ways, levels)
    results += _silence(table, ways, levels)
    return [Finding(f.topic, f.text[0].upper() + f.text[1:] + ".") for f in results]


def require_enough(table: pd.DataFrame) -> None:
    """Refuse a table that is not enough for any finding; see :func:`table_findings`."""
    pairs = table[["seed", "run"]].drop_duplicates()
    shared = pairs[pairs.duplicated("seed", keep=False)]
    if len(shared):
        a, b, *_ = shared["run"][shared["seed"] == shared["seed"].iloc[0]]
        raise UserError(
            f"the runs {a} and {b} both have seed {shared['seed'].iloc[0]}: keep those of one "
            "condition, which differ in their seed alone, or name no seeds"
        )
    naive = table[table["protocol"] == NAIVE]
    steps = naive["step"].nunique()
    if steps < HOLD:
        raise UserError(
            f"under the plain way of asking there {'is' if steps == 1 else 'are'} {steps} "
            f"{'step' if steps == 1 else 'steps'}; what emerges has to stay for {HOLD} checkpoints"
        )


def turn_text(table: pd.DataFrame, concept_class: str, turn: Turn) -> str:
    """The result of the test for a turn in words."""
    concepts = concepts_of(table[table["concept_class"] == concept_class])
    what = (
        " and ".join(f'"{c}"' for c in concepts)
        if len(concepts) == 2
        else f"{len(concepts)} concepts"
    )
    of = f" for class {concept_class}" if len(classes_of(table)) > 1 else ""
    return turn_sentence(turn, f"{what}{of}")


def hidden_windows(
    table: pd.DataFrame, quantity: Quantity, levels: Levels = LEVELS
) -> list[Window]:
    """The window of each seed of which some checkpoint has the plain way and another one."""
    wide = by_protocol(table, quantity)
    asked, held = ways_of(table).among(str(p) for p in wide.columns)
    if NAIVE not in wide or not asked:
        return []
    both = wide[NAIVE].notna() & wide[asked].notna().any(axis=1)
    seeds = both[both].index.unique("seed")
    wide = wide[wide.index.isin(seeds, level="seed")]
    return windows_of(wide, levels.reached, levels.fails, levels.idle, (asked, held))


def _verdict(
    found: list[Window], name: str, seeds: int, ways: Ways, levels: Levels
) -> Iterator[Finding]:
    """Whether there is a window, and what is in it; ``seeds`` of the table may be more."""
    what, decided = f"hidden window of {name}", [w for w in found if not w.undecided]
    if not found:
        yield Finding(
            "verdict",
            f"{what}: no checkpoint has both the plain way of asking and another one, so it is "
            "not known",
        )
        return
    if not decided:
        yield Finding("verdict", f"{what}: cannot be decided; {_unasked(found, levels)}")
        return
    of = f"{len(decided)} seeds" + (" that were asked otherwise" if len(found) < seeds else "")
    hit = [w for w in decided if w.found]
    if hit:
        yield from _window(decided, hit, what, of if seeds > 1 else "", ways, levels)
    else:
        yield from _no_window(decided, what, of if seeds > 1 else "", ways, levels)
    spoiled = sum(w.spoiled for w in decided)
    if spoiled:
        yield Finding(
            "verdict",
            f"without the control there would be such a row in {spoiled} of {of}: the control "
            "reaches it as well, so what elicits it is not specific",
        )
    left_out = len(found) - len(decided)
    if left_out:
        who = f"{left_out} of {len(found)} seeds {'is' if left_out == 1 else 'are'}"
        why = _unasked([w for w in found if w.undecided], levels)
        yield Finding("verdict", f"{who} left out of the count, as it is not decided: {why}")


def _no_window(
    found: list[Window], what: str, seeds: str, ways: Ways, levels: Levels
) -> Iterator[Finding]:
    """That there is none; ``seeds`` says how many were looked at, of one it is empty."""
    asked, held = ways.among(found[0].accuracy)
    other = asked[0] if len(asked) == 1 else f"the best of {len(asked)} other ways of asking"
    control = f" and the control at {levels.idle:g} or less" if held else ""
    yield Finding("verdict", f"{what}: no{f' in any of {seeds}' if seeds else ''}")
    yield Finding(
        "verdict",
        f"at no {HOLD} checkpoints in a row is {other} at {levels.reached:g} or more while the "
        f"plain way of asking is at {levels.fails:g} or less{control}",
    )


def _window(
    found: list[Window], hit: list[Window], what: str, seeds: str, ways: Ways, levels: Levels
) -> Iterator[Finding]:
    """The window of the seeds that have one; ``seeds`` says how many were looked at."""
    asked, held = ways.among(found[0].accuracy)
    first, last = (np.median([getattr(w, key) for w in hit]) for key in ("first", "last"))
    share, medians = (f" in {len(hit)} of {seeds}", " (medians)") if seeds else ("", "")
    yield Finding(
        "verdict", f"{what}: yes{share}, from step {digits(first)} to {digits(last)}{medians}"
    )
    other = asked[0]
    if len(asked) > 1:
        best = pd.Series([w.protocol for w in hit]).mode()[0]
        other = f"the best of {len(asked)} other ways of asking ({best})"
    means = {p: float(np.mean([w.accuracy[p] for w in hit])) for p in (NAIVE, *held)}
    way = float(np.mean([w.accuracy[w.protocol] for w in hit]))
    idle = "".join(f", {p} {means[p]:.2f}" for p in held)
    arrived = sum(w.arrives for w in found)
    end = f" in {arrived} of {seeds}" if seeds else "" if arrived else " not"
    yield Finding(
        "verdict",
        f"there {other} reaches {way:.2f} on average, and the plain way of asking "
        f"{means[NAIVE]:.2f}{idle}; at the end the plain way is{end} at "
        f"{levels.reached:g} or more",
    )
    partly = [w for w in hit if w.unscored]
    if partly:
        text = f"{_unasked(partly, levels)}, so {'a' if seeds else 'the'} window may be longer"
        yield Finding("verdict", text)


def _unasked(windows: Sequence[Window], levels: Levels) -> str:
    """Which ways of asking are missing where a window may be, and at which steps."""
    names = sorted({name for w in windows for name in w.unscored}, key=lambda n: (n != NAIVE, n))
    who = " and ".join("the plain way of asking" if n == NAIVE else n for n in names)
    return (
        f"{who} {'is' if len(names) == 1 else 'are'} missing at "
        f"{in_words(unscored_steps(windows))}, where another way reaches {levels.reached:g}"
    )


def _emergence(
    table: pd.DataFrame, of: Sequence[Quantity], many: bool, levels: Levels
) -> Iterator[Finding]:
    """When the quantities of a class emerge when asked plainly, and in which order."""
    found = {q: _reached(table, q, levels) for q in of}
    for quantity, runs in found.items():
        if not many or quantity.concept == JOINT:
            when = arrival(survival(runs), quantity.name, levels.reached)
            between = _between(runs, _first_step(table, quantity, NAIVE))
            yield Finding("emergence", f"asked plainly, {when}{between}")
    concepts = {q.name: runs for q, runs in found.items() if q.concept != JOINT}
    if len(concepts) > 1:
        yield from _order(concepts, levels.reached)


def _reached(
    table: pd.DataFrame, of: Quantity, levels: Levels, protocol: str = NAIVE
) -> list[Emergence]:
    """When each seed reaches the level of a quantity."""
    asked = of.concept_class, protocol
    return find_emergence(table, *asked, concept=of.concept, threshold=levels.reached)


def _first_step(table: pd.DataFrame, of: Quantity, protocol: str) -> float:
    """The first checkpoint at which a quantity was measured under a way of asking."""
    rows = table[(table["concept_class"] == of.concept_class) & (table["concept"] == of.concept)]
    return float(rows.loc[rows["protocol"] == protocol, "step"].min())


def _between(runs: list[Emergence], first: float) -> str:
    """The checkpoints between which the emergence lies, in words; ``first`` is the first one."""
    there = survival(runs)
    low, high = there.bracket
    if not np.isfinite(high):
        return ""
    if high <= first:
        return "; that is the first checkpoint, and it may have been there before"
    what = "it lies" if len(runs) == 1 else "the median lies"
    return f"; {what} after step {digits(low)} and not after step {digits(high)}, as checkpoints go"


def _order(found: Mapping[str, list[Emergence]], threshold: float) -> Iterator[Finding]:
    medians = {name: survival(runs).median for name, runs in found.items()}
    order = sorted(medians, key=lambda name: medians[name])
    came = [name for name in order if np.isfinite(medians[name])]
    never = [name for name in order if not np.isfinite(medians[name])]
    half = " in half of the seeds" if max(len(runs) for runs in found.values()) > 1 else ""
    if not came:
        yield Finding(
            "order", f"asked plainly, none of {', '.join(never)} emerges by the end{half}"
        )
        return
    together = groupby(came, medians.__getitem__)
    steps = [
        " and ".join(f"{name} (step {digits(at)})" for name in names) for at, names in together
    ]
    text = "order of emergence, asked plainly: " + ", then ".join(steps)
    yield Finding("order", text + (f"; not by the end{half}: {', '.join(never)}" if never else ""))
    if len(order) > MOST_PAIRS:
        return
    for early, late in pairwise(order[: len(came) + 1]):
        if {run.seed for run in found[early]} == {run.seed for run in found[late]}:
            text = _pair(found[early], found[late], early, late, threshold)
            yield Finding("order", text)


def _pair(
    first: list[Emergence], second: list[Emergence], early: str, late: str, threshold: float
) -> str:
    earlier = {run.seed: run for run in first}
    pairs = [(earlier[run.seed], run) for run in second]
    sure = sum(a.upper < b.upper and a.upper <= b.lower for a, b in pairs)
    reverse = sum(b.upper < a.upper and b.upper <= a.lower for a, b in pairs)
    text = behind(second, first, late, early, threshold)
    if len(second) > 1:
        return f"{text}; {early} is surely first in {sure} of them, {late} in {reverse}"
    if not sure and not reverse and second[0].reached:
        text += "; which of them is first cannot be decided from these checkpoints"
    return text


def _turn(table: pd.DataFrame, concept_class: str) -> Iterator[Finding]:
    turn = turn_of(table, concept_class)
    concepts = concepts_of(table[table["concept_class"] == concept_class])
    if turn is not None:
        yield Finding("turn", turn_text(table, concept_class, turn))
    elif len(concepts) < 2:
        yield Finding("turn", "a turn needs two concepts, and the table has one")
    else:
        yield Finding(
            "turn",
            f"a turn needs {FEWEST_FOR_TURN} checkpoints at which every seed has every concept",
        )


def _elicited(
    table: pd.DataFrame, quantity: Quantity, ways: Ways, levels: Levels
) -> Iterator[Finding]:
    """When the other ways of asking show it, and how much later the plain one does."""
    naive = _reached(table, quantity, levels)
    rows = table[table["concept_class"] == quantity.concept_class]
    rows = rows[(rows["concept"] == quantity.concept) & (rows["protocol"] != NAIVE)]
    for protocol in sorted(str(p) for p in rows["protocol"].unique()):
        runs = _reached(table, quantity, levels, protocol)
        when = arrival(survival(runs), quantity.name, levels.reached)
        taught = kind(protocol) if protocol in ways.aside else ""
        between = _between(runs, _first_step(table, quantity, protocol))
        text = f"{taught}under {protocol}, {when}{between}"
        if protocol in ways.controls:
            yield Finding("control", text)
            continue
        plain = [run for run in naive if run.seed in {r.seed for r in runs}]
        if len(plain) == len(runs):
            later = behind(plain, runs, "the plain way of asking", protocol, levels.reached)
            text += f"; {later}"
        yield Finding("elicitation", text)


def _silence(table: pd.DataFrame, ways: Ways, levels: Levels) -> Iterator[Finding]:
    """What the table holds, and what it cannot say."""
    steps, seeds = table["step"], table["seed"].nunique()
    asked = [NAIVE, *sorted(str(p) for p in table["protocol"].unique() if p != NAIVE)]
    yield Finding(
        "data",
        f"the table has {steps.nunique()} checkpoints from step {steps.min()} to {steps.max()}, "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}, and the ways of asking {', '.join(asked)}; "
        f"emerged is what holds {levels.reached:g} for {HOLD} checkpoints",
    )
    for column in changing(table):
        yield Finding(
            "data",
            f"the column {column} is not used, and changes within a trajectory: where its values "
            "are several conditions, each needs a table of its own, and replicates --run",
        )
    if levels.changed:
        said = "; ".join(f"{what}: {text}" for what, text in levels.changed.items())
        yield Finding("data", f"levels that are not the usual ones: {said}")
    yield from _by_name(ways)
    yield from _of_our_names(table)
    if not ways.others:
        yield Finding(
            "data",
            "no other way of asking is in the table, so it cannot say what is there before it is "
            "shown",
        )
    elif not ways.controls:
        yield Finding(
            "data",
            "no control is in the table, so it cannot say whether any other change of the question "
            "would do as well",
        )
    yield from _gaps(table)
    if len(concepts_of(table)) > 1 and not (table["concept"] == JOINT).any():
        yield Finding(
            "data",
            "the table has no accuracy of all concepts at once, which does not follow from theirs, "
            "so each has findings of its own",
        )
    if seeds == 1:
        known = (table["samples"] > 0).all()
        spread = "intervals are those of its samples" if known else "nothing has an interval"
        yield Finding("data", f"this is one seed: {spread}, and other seeds may differ")


def _by_name(ways: Ways) -> Iterator[Finding]:
    """Which ways of asking only their names tell what they are."""
    for names, what in (
        (ways.by_name, "as a control"),
        (ways.aside, "as no other way of asking, as this project's protocol of that name is none"),
    ):
        if names:
            counts, its = ("counts", "its name") if len(names) == 1 else ("count", "their names")
            yield Finding("data", f"by {its}, {' and '.join(names)} {counts} {what}")


def _of_our_names(table: pd.DataFrame) -> Iterator[Finding]:
    """Columns and concepts whose names alone give them a part."""
    if any(quantity.concept == JOINT for quantity in main_quantities(table)):
        yield Finding(
            "data",
            "the joint accuracy is that of the concept joint, or of --joint: it is taken for all "
            "concepts at once, and the hidden window is its own",
        )
    if VALID in table and table[VALID].notna().any():
        yield Finding(
            "data",
            "the column valid counts: nothing emerges at a checkpoint at which less than "
            f"{READY:g} of the samples of the other classes, asked plainly, are valid",
        )


def _gaps(table: pd.DataFrame) -> Iterator[Finding]:
    """Which ways of asking are not asked at every checkpoint of a quantity."""
    gaps: dict[str, list[str]] = {}
    for quantity in main_quantities(table):
        wide = by_protocol(table, quantity)
        there = wide.notna().sum()
        short = [f"{name} at {n}" for name, n in there.items() if n < len(wide)]
        if short:
            gaps.setdefault(f"{', '.join(short)} of {len(wide)} checkpoints", []).append(
                quantity.name
            )
    for text, names in gaps.items():
        yield Finding(
            "data",
            f"not every way of asking has every checkpoint of {' and '.join(names)}: {text}; one "
            "where the plain way or a control is missing is in no hidden window",
        )
