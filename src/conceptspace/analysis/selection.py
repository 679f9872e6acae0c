"""The best setting of a sweep, as the paper reports it and without looking at the answer.

The largest of many noisy accuracies is too large on average. Choosing the setting on one half of
the images and scoring it on the other half is fair, if somewhat pessimistic: the choice had only
half of the images.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.analysis.trajectories import Array, require
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, SCORE_COLUMNS, require_keys

Labels = NDArray[Any]

KEY = ["run", "seed", "step", "protocol", "concept_class"]


def best_of_sweep(scores: pd.DataFrame) -> pd.DataFrame:
    """Best joint accuracy over the settings of each protocol, optimistic and honest.

    Args:
        scores: per-sample scores; sample numbers 0, 1, 2, ... mean the same prompt in all settings.

    Returns:
        Columns run, seed, step, protocol, concept_class, best (largest mean joint accuracy over the
        settings), best_setting (the first such setting in a tie), honest (chosen on the samples of
        even number and scored on the odd ones, and the other way round, averaged over both; where
        settings tie in choosing, the mean of their scores). With a single setting honest equals
        the mean of the two halves.

    Raises:
        UserError: columns or keys are missing, a setting lacks samples that another has, an image
            lacks the accuracy of a concept, or a checkpoint has fewer than two samples.
    """
    require(scores, SCORE_COLUMNS)
    require_keys(scores, [*KEY, "sample", "setting", "concept"], "the scores")
    rows = scores[scores["concept"] != JOINT]
    images = rows.groupby([*KEY, "sample", "setting"])["accuracy"]
    joint = images.prod(min_count=rows["concept"].nunique()).reset_index()
    starts = np.flatnonzero(np.diff(joint.groupby(KEY).ngroup(), prepend=-1))
    parts = map(slice, starts, [*starts[1:], len(joint)])
    columns = [joint[name].to_numpy() for name in ("sample", "setting", "accuracy")]
    keys = joint[KEY].iloc[starts].to_dict("records")
    found = []
    for where, part in zip(keys, parts, strict=True):
        sample, setting, accuracy = (column[part] for column in columns)
        samples, settings, values = _grid(sample, setting, accuracy, where)
        even = samples % 2 == 0
        if even.all() or not even.any():
            raise UserError(f"halving the samples at {where} needs an even and an odd one")
        means = values.mean(0)
        halves = _honest(values[even], values[~even]), _honest(values[~even], values[even])
        found.append(
            {
                **where,
                "best": float(means.max()),
                "best_setting": str(settings[int(means.argmax())]),
                "honest": float(np.mean(halves)),
            }
        )
    return pd.DataFrame(found, columns=[*KEY, "best", "best_setting", "honest"])


def _grid(
    samples: Labels, settings: Labels, values: Array, where: Mapping[Hashable, Any]
) -> tuple[Labels, Labels, Array]:
    """Samples (n,), settings (m,) and values (n, m) of what is ordered by sample and setting."""
    count = int((samples == samples[0]).sum())
    each, names = samples[::count], settings[:count]
    shared = np.array_equal(samples, np.repeat(each, count)) and np.array_equal(
        settings, np.tile(names, len(each))
    )
    if not shared or not np.isfinite(values).all():
        raise UserError(f"the settings at {where} do not share the same samples")
    return each, names, values.reshape(-1, count)


def _honest(choose: Array, score: Array) -> float:
    """Score (n, settings) of the setting that is best where it is chosen."""
    means = choose.mean(0)
    return float(score.mean(0)[np.isclose(means, means.max())].mean())
