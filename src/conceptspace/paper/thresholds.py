"""The thresholds of all criteria: smallest effects of interest, and why they are what they are."""

from __future__ import annotations

ORDERED = 1 / 3
"""Kendall's tau of a trend: at one third, two of three pairs of levels are in the claimed order."""

RESOLVED = 0.04
"""Share of training that counts as a difference in time: about one checkpoint of 24."""

COINCIDENT = 0.15
"""Share of training within which two moments count as the same. The paper speaks of "around" 6000
of 20 000 steps against 8000 (Fig. 6), which are 0.1 apart and count as different."""

LEANING = 0.05
"""Mean difference of two concepts' accuracies that counts as heading for a training class."""

MOST = 0.5
"""Share of trajectories that are most of them."""

STRAIGHT = 0.2
"""Largest share of straight trajectories in which a turn may be detected: the detector errs in
0.05 of them, and ten to fifteen curves scatter around that."""

REMARKABLE = 0.75
"""Mean rank from which a moment counts as more than chance, which gives 1/2 (half-way to the
extreme)."""

COMPLETE = 0.95
"""Accuracy that counts as "100 %" in the paper's figures."""

NEGLIGIBLE = 0.1
"""Difference of joint accuracies that counts as no effect: two or three images of 24."""

SHIFTED = 0.5
"""Coordinate that the masked color loses between no and full masking: it crosses the middle."""

MIDDLE = 0.5
"""Coordinate half-way between the values of a concept."""

BETWEEN = (0.25, 0.75)
"""The middle half between the values of a concept: purple, of red and blue."""

PAPERS_SEEDS = 5
"""Seeds of the paper's figures, in which "some" seeds would have shown."""

STABLE = 0.15
"""How far below the threshold a run that "converges and stays" (App. C.6) may fall after it."""
