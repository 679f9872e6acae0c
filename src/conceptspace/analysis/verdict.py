"""Is a capability hidden, and from when to when? The paper's main question (section 4.4), by seed.

At a checkpoint the capability to make an OOD class is hidden if some other way of asking makes it
(joint accuracy of :data:`THRESHOLD` or more), naive prompting does not (:data:`FAILS` or less), and
a displacement of equal size without a direction does not either (:data:`IDLE` or less). All by the
judge, with settings chosen on one half of the images and scored on the other. The longest row of
such checkpoints is the seed's window; it counts from :data:`HOLD` checkpoints on. A checkpoint at
which naive prompting or a control was not scored is no such checkpoint, and no evidence against a
window either: a seed that has none only for want of these scores is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from conceptspace.analysis.elicitation import elicits, is_control, teaches
from conceptspace.analysis.emergence import HOLD, THRESHOLD, ready
from conceptspace.analysis.intervals import binomial, wilson_of_one
from conceptspace.analysis.steps import digits, in_words
from conceptspace.tables import JOINT, NAIVE, PATCHING

FAILS = 0.5
"""Joint accuracy up to which naive prompting does not make the class."""

IDLE = 0.6
"""Joint accuracy up to which a control does not make the class."""

GATE = "latent-control-random"
"""The control of a run that has to stay idle; in other tables every control has to."""

ONE_SEED = (
    "it is one seed, and other seeds, processors and thread counts give other numbers (several "
    "seeds: results/README.md)"
)

SCALING = "latent-control-scaling"
"""A control with a clause of its own in the verdict: it keeps the prompt and makes it louder, so it
may well elicit what the model can do."""


@dataclass(frozen=True)
class Window:
    """When one seed hides the capability.

    Attributes:
        seed: the run's seed.
        checkpoints: how many there are in the longest row, 0 if none.
        first: step of its first checkpoint, NaN if there is none.
        last: step of its last checkpoint, NaN if there is none.
        protocol: the other way of asking with the highest mean inside, "" if there is none.
        accuracy: by protocol, the mean joint accuracy inside (over all checkpoints if none), NaN
            where it was not scored.
        ungated: how many checkpoints the longest row would have if no control counted.
        arrives: whether naive prompting reaches the threshold at the end, for good.
        open: how many checkpoints the longest row would have if nothing that was not scored were
            in the way.
        unscored: of naive prompting and of each control, the steps at which it was not scored
            though a window may be there.
    """

    seed: int
    checkpoints: int
    first: float
    last: float
    protocol: str
    accuracy: Mapping[str, float]
    ungated: int
    arrives: bool
    open: int = 0
    unscored: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether the row is long enough to count."""
        return self.checkpoints >= HOLD

    @property
    def undecided(self) -> bool:
        """Whether there may be a window, and scores that would tell are missing."""
        return not self.found and self.open >= HOLD

    @property
    def spoiled(self) -> bool:
        """Whether a control alone is in the way."""
        return not self.found and not self.undecided and self.ungated >= HOLD


MOST_NAMED = 4
"""Seeds that are left out and named one by one."""

UNDECIDED = "Hidden capability: cannot be decided."
"""How a verdict begins when something that it needs is missing."""


def windows(best: pd.DataFrame, ood: str) -> list[Window]:
    """The window of each seed, by seed; see :func:`accuracies`."""
    return windows_of(accuracies(best, ood))


def leading(best: pd.DataFrame, ood_classes: Sequence[str]) -> str:
    """Which of the held-out classes a verdict is about.

    That of which most seeds have a window, then that whose windows are longest, then the first.

    Args:
        best: see :func:`conceptspace.analysis.elicitation.best_settings`.
        ood_classes: at least one.
    """
    lengths = {ood: [w.checkpoints for w in windows(best, ood) if w.found] for ood in ood_classes}
    return max(ood_classes, key=lambda ood: (len(lengths[ood]), sum(lengths[ood])))


def of_several(
    best: pd.DataFrame, ood: str, ood_classes: Sequence[str], labels: Mapping[str, str]
) -> list[str]:
    """What a verdict about one class says of the other held-out ones, if there are any."""
    if len(ood_classes) < 2:
        return []
    hidden = [labels[c] for c in ood_classes if any(w.found for w in windows(best, c))]
    if not hidden:
        return [f"None of the {len(ood_classes)} held-out classes is hidden."]
    named = ", ".join(f'"{words}"' for words in hidden[:MOST_NAMED])
    named += f" and {len(hidden) - MOST_NAMED} more" if len(hidden) > MOST_NAMED else ""
    return [
        f"Of {len(ood_classes)} held-out classes {len(hidden)} {'are' if len(hidden) > 1 else 'is'}"
        f' hidden: {named}. This is about "{labels[ood]}", which is hidden longest.'
    ]


def accuracies(best: pd.DataFrame, ood: str) -> pd.DataFrame:
    """The basis of the verdict: joint accuracies, index seed and step, one column for each way.

    Settings are chosen on one half of the images and scored on the other; before the training
    classes are ready, an accuracy counts as 0.

    Args:
        best: see :func:`conceptspace.analysis.elicitation.best_settings`.
        ood: the OOD class.
    """
    rows = best[(best["concept"] == JOINT) & (best["concept_class"] == ood)]
    rows = rows.assign(honest=rows["honest"].where(ready(best, rows, ood), 0.0))
    return rows.pivot_table(index=["seed", "step"], columns="protocol", values="honest")


def windows_of(
    wide: pd.DataFrame,
    reached: float = THRESHOLD,
    fails: float = FAILS,
    idle: float = IDLE,
    ways: tuple[list[str], list[str]] | None = None,
) -> list[Window]:
    """The window of each seed in accuracies of anything, by seed.

    Args:
        wide: index seed and step, a column for each way of asking; one of them is naive.
        reached: accuracy from which another way of asking makes it.
        fails: up to which naive prompting does not.
        idle: up to which a control does not.
        ways: the other ways and the controls; by their names if left out.
    """
    names = [str(p) for p in wide.columns]
    chosen = ways or (others(names), gates(names))
    levels = reached, fails, idle
    return [
        _window(int(seed), wide.loc[seed], levels, *chosen) for seed in wide.index.unique("seed")
    ]


def others(protocols: list[str]) -> list[str]:
    """The ways of asking of a checkpoint itself that are neither naive nor controls, nor teach."""
    return [p for p in protocols if elicits(p) and p not in (NAIVE, PATCHING)]


def gates(protocols: list[str]) -> list[str]:
    """The controls that have to stay idle."""
    return [p for p in protocols if is_control(p) and not teaches(p) and p != SCALING]


def _window(
    seed: int,
    wide: pd.DataFrame,
    levels: tuple[float, float, float],
    asked: list[str],
    held: list[str],
) -> Window:
    """The window of one seed; ``wide`` has one row for each step, one column for each protocol."""
    reached, fails, idle = levels
    elicited = (wide[asked] >= reached).any(axis=1).to_numpy()
    naive = wide[NAIVE].to_numpy()
    shown = elicited & (naive <= fails)
    quiet = ~(wide[held] > idle).any(axis=1).to_numpy()
    scored = wide[held].notna().all(axis=1).to_numpy()
    start, length = _longest(shown & quiet & scored)
    possible = elicited & ~(naive > fails) & quiet
    inside = wide.iloc[start : start + length] if length else wide
    means = inside.mean()
    steps = inside.index.to_numpy(dtype=np.float64)
    plain = wide[NAIVE].dropna()
    return Window(
        seed,
        length,
        float(steps[0]) if length else float("nan"),
        float(steps[-1]) if length else float("nan"),
        str(means[asked].idxmax()) if length else "",
        {str(p): float(v) for p, v in means.items()},
        _longest(shown)[1],
        len(plain) > 0 and bool((plain.iloc[-HOLD:] >= reached).all()),
        _longest(possible)[1],
        _unscored(wide[[NAIVE, *held]], possible),
    )


def _unscored(gating: pd.DataFrame, possible: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Where something is missing in rows that are long enough for a window, see :class:`Window`."""
    missing = gating.isna() & _held(possible)[:, None]
    return {
        str(name): tuple(int(step) for step in gating.index[missing[name]])
        for name in gating.columns
        if missing[name].any()
    }


def _held(flags: np.ndarray) -> np.ndarray:
    """The true values that have at least :data:`HOLD` in a row."""
    kept = np.zeros(len(flags), dtype=np.bool_)
    for start in range(len(flags) - HOLD + 1):
        if flags[start : start + HOLD].all():
            kept[start : start + HOLD] = True
    return kept


def _longest(flags: np.ndarray) -> tuple[int, int]:
    """Start and length of the longest run of true values, the first of equals."""
    best = start = length = 0
    for i, flag in enumerate(flags):
        length = length + 1 if flag else 0
        if length > best:
            best, start = length, i - length + 1
    return start, best


def sentences(found: list[Window], what: str, images: int) -> list[str]:
    """The verdict in at most five sentences; the last one is what speaks against it.

    Seeds that are undecided do not count; one more sentence, the second, says how many and why.

    Args:
        found: one for each seed, with the same protocols.
        what: the OOD class in words, e.g. "blue small".
        images: behind each accuracy.
    """
    decided = [w for w in found if not w.undecided]
    if not decided:
        return [UNDECIDED, *_left_out(found, [])]
    hit = [w for w in decided if w.found]
    held = gates(list(found[0].accuracy))
    first, *rest = _found(decided, hit, what, images, held) if hit else _no(decided, what, held)
    return [first, *_left_out(found, decided), *rest]


def _found(
    found: list[Window], hit: list[Window], what: str, images: int, held: list[str]
) -> list[str]:
    """The verdict on seeds of which some have a window."""
    seeds = len(found)
    mean = {p: _known_mean([w.accuracy[p] for w in hit]) for p in hit[0].accuracy}
    lines = [_yes(found, hit, what, images, mean[NAIVE])]
    controls = []
    if held:
        level = max(mean[name] for name in held)
        controls.append(f"{_named(held)} does not either ({level:.2f})")
    scaled = mean.get(SCALING, float("nan"))
    if np.isfinite(scaled):
        does = "does not" if scaled <= IDLE else "does it in part"
        does = "does it, too" if scaled >= THRESHOLD else does
        controls.append(f"scaling the whole embedding {does} ({scaled:.2f})")
    if controls:
        text = "; ".join(controls)
        lines.append(f"{text[0].upper()}{text[1:]}.")
    arrived = sum(w.arrives for w in found)
    makes = "makes" if arrived or seeds > 1 else "does not make"
    share = f" in {arrived} of {seeds} seeds" if seeds > 1 else ""
    lines.append(f"Plain prompting {makes} it by the last checkpoint{share}.")
    against = _against(found, held, scaled)
    last = f"Against it: {'; '.join(against)}" if against else "Nothing in these runs is against it"
    return [*lines, f"{last}."]


def _known_mean(values: Sequence[float]) -> float:
    """The mean of those that are numbers, NaN without any."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _left_out(found: list[Window], decided: list[Window]) -> list[str]:
    """Which seeds do not count, and why; nothing where all do."""
    missing = [w for w in found if w.undecided]
    if not missing:
        return []
    who = _unscored_in_words(missing)
    if len(found) == 1:
        text = (
            f"{who} not scored at {in_words(unscored_steps(missing))}, where another way of asking"
        )
        return [f"{text[0].upper()}{text[1:]} makes it."]
    many = f"{len(missing)} of {len(found)} seeds {'is' if len(missing) == 1 else 'are'} left out"
    many += " of the count" if decided else ""
    where = [f"seed {w.seed} at {in_words(unscored_steps([w]))}" for w in missing[:MOST_NAMED]]
    where += ["..."] if len(missing) > MOST_NAMED else []
    return [f"{many}: {who} not scored where another way of asking makes it ({'; '.join(where)})."]


def _unscored_in_words(windows: list[Window]) -> str:
    """What was not scored, with its verb."""
    names = {name for w in windows for name in w.unscored}
    held = sorted(names - {NAIVE})
    who = ["plain prompting"] * (NAIVE in names) + ([_named(held)] if held else [])
    return f"{' and '.join(who)} {'are' if len(who) > 1 else 'is'}"


def unscored_steps(windows: Iterable[Window]) -> set[int]:
    """The steps at which something was not scored though a window may be there."""
    return {step for w in windows for steps in w.unscored.values() for step in steps}


def _yes(found: list[Window], hit: list[Window], what: str, images: int, plain: float) -> str:
    """The answer with its window, its level and how sure it is."""
    seeds = len(found)
    first, last = (np.median([getattr(w, k) for w in hit]) for k in ("first", "last"))
    way = float(np.mean([w.accuracy[w.protocol] for w in hit]))
    if seeds == 1:
        low, high = wilson_of_one(way, images)
        answer, when = "yes", f"From step {digits(first)} to {digits(last)}"
        level = f"{hit[0].protocol}: {way:.2f} of {images} images"
        level += f", 95 % interval {low:.2f} to {high:.2f}"
    else:
        low, high = binomial(len(hit), seeds)
        answer = f"yes in {len(hit)} of {seeds} seeds"
        answer += f" (95 % interval of that share {100 * low:.0f} to {100 * high:.0f} %)"
        those = "that seed" if len(hit) == 1 else "these seeds"
        medians = " (medians)" if len(hit) > 1 else ""
        when = f"In {those}, from step {digits(first)} to {digits(last)}{medians},"
        level = f"mean {way:.2f} of {images} images"
    return (
        f'Hidden capability: {answer}. {when} another way of asking makes "{what}" ({level}) while '
        f"plain prompting does not ({plain:.2f})."
    )


def _no(found: list[Window], what: str, held: list[str]) -> list[str]:
    seeds, spoiled = len(found), _spoiled_by_control(found)
    where = f" in any of {seeds} seeds" if seeds > 1 else ""
    lines = [
        f"Hidden capability: no. At no {HOLD} checkpoints in a row{where} does another way of "
        f'asking make "{what}" while plain prompting{_beside(held)}.'
    ]
    if spoiled:
        many = f" in {spoiled} of {seeds} seeds" if seeds > 1 else ""
        lines.append(
            f"Without the control there would be such a row{many}: {_named(held)} makes it as "
            "well, so what elicits it is not specific."
        )
    if seeds > 1:
        return lines
    return [*lines, *_near(found[0]), f"{ONE_SEED[0].upper()}{ONE_SEED[1:]}."]


def _near(window: Window) -> list[str]:
    """Where one seed without a window shows it all the same, for too short a time."""
    if not window.checkpoints:
        return []
    at = f"At step {digits(window.first)} alone"
    if window.checkpoints > 1:
        at = f"At {window.checkpoints} in a row, from step {digits(window.first)} "
        at += f"to {digits(window.last)},"
    level, plain = window.accuracy[window.protocol], window.accuracy[NAIVE]
    return [f"{at} it does: {window.protocol} {level:.2f}, plain prompting {plain:.2f}."]


def _against(found: list[Window], held: list[str], scaled: float) -> list[str]:
    """What speaks against a hidden capability, in clauses."""
    seeds, spoiled = len(found), _spoiled_by_control(found)
    without = seeds - sum(w.found for w in found)
    clauses = []
    if without:
        clauses.append(f"{without} of {seeds} seeds {'does' if without == 1 else 'do'} not show it")
    if spoiled:
        made = f"{_named(held)} makes it as well (in more than {IDLE:g} of the images)"
        clauses.append(f"in {spoiled} of {seeds} seeds {made}")
    if not held:
        clauses.append("no control was asked, so it is open how specific that way is")
    if scaled >= THRESHOLD:
        clauses.append("a louder prompt is enough")
    partly = [w for w in found if w.found and w.unscored]
    if partly:
        where = in_words(unscored_steps(partly))
        clauses.append(
            f"{_unscored_in_words(partly)} not scored at {where}, so a window may be longer"
        )
    return [*clauses, ONE_SEED] if seeds == 1 else clauses


def _spoiled_by_control(found: list[Window]) -> int:
    """In how many seeds a control alone is in the way."""
    return sum(w.spoiled for w in found)


def _named(held: list[str]) -> str:
    """The controls that have to stay idle, in words."""
    return "a random displacement of equal size" if held == [GATE] else "a control"


def _beside(held: list[str]) -> str:
    """What does not make the class beside plain prompting, with the verb."""
    return f" and {_named(held)} do not" if held else " does not; no control was asked"
