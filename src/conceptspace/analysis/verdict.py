"""Is a capability hidden, and from when to when? The paper's main question (section 4.4), by seed.

At a checkpoint the capability to make an OOD class is hidden if some other way of asking makes it
(joint accuracy of :data:`THRESHOLD` or more), naive prompting does not (:data:`FAILS` or less), and
a displacement of equal size without a direction does not either (:data:`IDLE` or less). All by the
judge, with settings chosen on one half of the images and scored on the other. The longest row of
such checkpoints is the seed's window; it counts from :data:`HOLD` checkpoints on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conceptspace.analysis.elicitation import elicits, is_control, teaches
from conceptspace.analysis.emergence import HOLD, THRESHOLD, ready
from conceptspace.tables import JOINT, NAIVE, PATCHING

FAILS = 0.5
"""Joint accuracy up to which naive prompting does not make the class."""

IDLE = 0.6
"""Joint accuracy up to which a control does not make the class."""

GATE = "latent-control-random"
"""The control of a run that has to stay idle; in other tables every control has to."""

SCALING = "latent-control-scaling"
"""A control that is told beside it: it keeps the prompt and makes it louder, so it may well elicit
what the model can do."""


@dataclass(frozen=True)
class Window:
    """When one seed hides the capability.

    Attributes:
        seed: the run's seed.
        checkpoints: how many there are in the longest row, 0 if none.
        first: step of its first checkpoint, NaN if there is none.
        last: step of its last checkpoint, NaN if there is none.
        protocol: the other way of asking with the highest mean inside, "" if there is none.
        accuracy: by protocol, the mean joint accuracy inside (over all checkpoints if none).
        ungated: how many checkpoints the longest row would have if no control counted.
        arrives: whether naive prompting reaches the threshold at the end, for good.
    """

    seed: int
    checkpoints: int
    first: float
    last: float
    protocol: str
    accuracy: Mapping[str, float]
    ungated: int
    arrives: bool

    @property
    def found(self) -> bool:
        """Whether the row is long enough to count."""
        return self.checkpoints >= HOLD


def windows(best: pd.DataFrame, ood: str) -> list[Window]:
    """The window of each seed, by seed.

    Args:
        best: see :func:`conceptspace.analysis.elicitation.best_settings`.
        ood: the OOD class.
    """
    rows = best[(best["concept"] == JOINT) & (best["concept_class"] == ood)]
    rows = rows.assign(honest=rows["honest"].where(ready(best, rows, ood), 0.0))
    wide = rows.pivot_table(index=["seed", "step"], columns="protocol", values="honest")
    return windows_of(wide)


def windows_of(
    wide: pd.DataFrame, reached: float = THRESHOLD, fails: float = FAILS, idle: float = IDLE
) -> list[Window]:
    """The window of each seed in accuracies of anything, by seed.

    Args:
        wide: index seed and step, a column for each way of asking; one of them is naive.
        reached: accuracy from which another way of asking makes it.
        fails: up to which naive prompting does not.
        idle: up to which a control does not.
    """
    seeds = wide.index.unique("seed")
    return [_window(int(seed), wide.loc[seed], reached, fails, idle) for seed in seeds]


def others(protocols: list[str]) -> list[str]:
    """The ways of asking of a checkpoint itself that are neither naive nor controls, nor teach."""
    return [p for p in protocols if elicits(p) and p not in (NAIVE, PATCHING)]


def gates(protocols: list[str]) -> list[str]:
    """The controls that have to stay idle."""
    return [p for p in protocols if is_control(p) and not teaches(p) and p != SCALING]


def _window(seed: int, wide: pd.DataFrame, reached: float, fails: float, idle: float) -> Window:
    """Of one seed: ``wide`` has one row for each step, one column for each protocol."""
    asked = others([str(p) for p in wide.columns])
    shown = hidden = np.zeros(len(wide), dtype=np.bool_)
    if asked:
        elicited = wide[asked].max(axis=1).to_numpy()
        held = gates([str(p) for p in wide.columns])
        controls = wide[held].max(axis=1).to_numpy() if held else np.zeros(len(wide))
        shown = (elicited >= reached) & (wide[NAIVE].to_numpy() <= fails)
        hidden = shown & (controls <= idle)
    start, length = _longest(hidden)
    inside = wide.iloc[start : start + length] if length else wide
    means = inside.mean()
    steps = inside.index.to_numpy(dtype=np.float64)
    arrives = bool((wide[NAIVE].iloc[-HOLD:] >= reached).all())
    return Window(
        seed,
        length,
        float(steps[0]) if length else float("nan"),
        float(steps[-1]) if length else float("nan"),
        str(means[asked].idxmax()) if length else "",
        {str(p): float(v) for p, v in means.items()},
        _longest(shown)[1],
        arrives,
    )


def _longest(flags: np.ndarray) -> tuple[int, int]:
    """Start and length of the longest run of true values, the first of equals."""
    best = start = length = 0
    for i, flag in enumerate(flags):
        length = length + 1 if flag else 0
        if length > best:
            best, start = length, i - length + 1
    return start, best


def sentences(found: list[Window], what: str, images: int) -> list[str]:
    """The verdict in at most five sentences.

    Args:
        found: one for each seed, with the same protocols.
        what: the OOD class in words, e.g. "blue small".
        images: behind each accuracy.
    """
    hit = [w for w in found if w.found]
    kicked = sum(not w.found and w.ungated >= HOLD for w in found)
    seeds, held = len(found), gates(list(found[0].accuracy))
    if not hit:
        where = f" in any of {seeds} seeds" if seeds > 1 else ""
        lines = [
            f"Hidden capability: no. At no {HOLD} checkpoints in a row{where} does another way of "
            f'asking make "{what}" while plain prompting{_beside(held)}.'
        ]
        if kicked:
            many = f" in {kicked} of {seeds} seeds" if seeds > 1 else ""
            lines.append(
                f"Without the control there would be such a row{many}: {_named(held)} makes it as "
                "well, so what elicits it is not specific."
            )
        return lines
    first, last = (np.median([getattr(w, k) for w in hit]) for k in ("first", "last"))
    mean = {p: float(np.mean([w.accuracy[p] for w in hit])) for p in hit[0].accuracy}
    way = float(np.mean([w.accuracy[w.protocol] for w in hit]))
    answer, named, medians = f"yes in {len(hit)} of {seeds} seeds", "mean ", " (medians)"
    if seeds == 1:
        answer, named, medians = "yes", f"{hit[0].protocol}: ", ""
    when = f"From step {first:g} to {last:g}{medians}"
    lines = [
        f'Hidden capability: {answer}. {when} another way of asking makes "{what}" '
        f"({named}{way:.2f} of {images} images) while plain prompting does not "
        f"({mean[NAIVE]:.2f})."
    ]
    if held:
        plural = "seed" if kicked == 1 else "seeds"
        more = f"; in {kicked} other {plural} it does" if kicked else ""
        control = _named(held)
        level = max(mean[name] for name in held)
        lines.append(f"{control[0].upper()}{control[1:]} does not either ({level:.2f}){more}.")
    else:
        lines.append("No control was asked, so it is open how specific that way is.")
    if SCALING in mean:
        level = mean[SCALING]
        does = "does not" if level <= IDLE else "does it in part"
        if level >= THRESHOLD:
            does = "does it, too: a louder prompt is enough"
        lines.append(f"Scaling the whole embedding {does} ({level:.2f}).")
    arrived = sum(w.arrives for w in found)
    if seeds > 1:
        lines.append(
            f"Plain prompting makes it by the end of training in {arrived} of {seeds} seeds."
        )
    else:
        lines.append(
            f"Plain prompting {'makes' if arrived else 'does not make'} it by the end of training."
        )
    return lines


def _named(held: list[str]) -> str:
    """The controls that have to stay idle, in words."""
    return "a random displacement of equal size" if held == [GATE] else "a control"


def _beside(held: list[str]) -> str:
    """What does not make the class beside plain prompting, with the verb."""
    return f" and {_named(held)} do not" if held else " does not; no control was asked"
