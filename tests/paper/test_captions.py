"""What stands in a picture of a claim."""

from __future__ import annotations

from conceptspace.analysis.claims import above, measure, open_question
from conceptspace.paper.framework.caption import caption, scored_by


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_claim_stands_with_its_verdict_interval_and_number_of_seeds() -> None:
    row = above("x", "It rises.", measure([0.5, 0.6, 0.7]), 0.1, "of training")
    assert plain(caption(row)) == (
        "It rises. Held: 0.6 of training, 95 % interval 0.35 to 0.85; 3 seeds."
    )


def test_bounds_and_open_questions_say_what_is_not_known() -> None:
    row = above("x", "It rises.", measure([(0.5, float("inf")), (0.5, 0.5), (0.5, 0.5)]), 0.9, "")
    assert plain(caption(row)) == (
        "It rises. Undecided (censoring leaves 1 of 3 seeds open): at least 0.5, 95 % interval 0.5 "
        "to unbounded; 3 seeds."
    )
    row = open_question("x", "It rises.", "a rise", "no run", 1)
    assert plain(caption(row)) == "It rises. Undecided (no run); 1 seed."


def test_a_row_says_how_many_probes_scored_its_seeds() -> None:
    row = above("x", "It rises.", measure([0.5, 0.6, 0.7]), 0.1, "of training")
    assert scored_by(row, ["a", "a", "a"]) == row
    assert scored_by(row, ["a", "b", "b"]).note == "Scored by 2 probes (2, 1 seeds), which differ."
