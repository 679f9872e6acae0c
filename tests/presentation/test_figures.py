"""Every figure draws without a warning and is written reproducibly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fabricated import make_images, make_space, make_training
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.presentation.figures import (
    Emergence,
    elicitation_figure,
    emergence_timeline,
    image_strips,
    learning_curves,
    save,
    signal_figure,
    trajectory_figure,
)
from conceptspace.presentation.figures.strips import tiles
from conceptspace.presentation.style import pixels, to_png, to_svg
from conceptspace.store import Run
from conceptspace.tables import NAIVE

SPANS = [
    Emergence("naive · joint", 2800, 3000),
    Emergence("naive · joint", 4400, float("nan"), censored=True),
    Emergence("overprompting · joint", 0, 1500),
]


def words(figure) -> str:
    """All text of a figure, in one line."""
    from matplotlib.text import Text

    found = " ".join(text.get_text() for text in figure.findobj(Text))
    return " ".join(found.split())


def distances(space) -> pd.DataFrame:
    rows = [
        (concept.name, str(a), str(a.flip(i)), 0.02 * (i + 1))
        for i, concept in enumerate(space.concepts)
        for a in space.classes
        if a[i] == "0"
    ]
    return pd.DataFrame(rows, columns=["concept", "from_class", "to_class", "distance"])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("runs", [1, 3])
def test_figures_draw_for_any_number_of_concepts_and_runs(tables, dimensions, runs):
    space, table = make_space(dimensions), tables(dimensions, runs)
    images = make_images(space)
    training = [make_training(seed, 300) for seed in range(runs)]
    figures = [
        trajectory_figure(table, space, images, turn=1400, title="t"),
        learning_curves(table, training, space, turn=(1200, 1600), title="t"),
        signal_figure(space, {"a": (distances(space), images), "b": (distances(space), {})}),
    ]
    if space.ood_classes:
        figures.append(elicitation_figure(table, "1" * dimensions, turn=(1200, 1600)))
    for figure in figures:
        assert to_png(figure).startswith(b"\x89PNG")


def test_one_checkpoint_is_enough(tables, space):
    table = tables(2, 1)
    table = table[table["step"] == table["step"].min()]
    for figure in (
        trajectory_figure(table, space, {}),
        learning_curves(table, make_training(0, 1), space),
    ):
        assert to_png(figure).startswith(b"\x89PNG")


def test_trajectory_says_what_is_smoothed_and_shaded(tables, space):
    smoothed = words(trajectory_figure(tables(2, 3), space, {}, smoothing=1.5))
    assert "smoothed for drawing (Gaussian over neighboring checkpoints, σ = 1.5)" in smoothed
    assert "Shaded: 95 % bootstrap interval over 3 runs." in smoothed
    assert "color: red → blue" in smoothed
    assert "size: large → small" in smoothed
    raw = words(trajectory_figure(tables(2, 1), space, {}, smoothing=0.0))
    assert "smoothed" not in raw
    assert "binomial interval of 32 images" in raw


def test_a_protocol_of_the_ood_class_alone(tables, space, run_folder):
    table = tables(2, 1)
    table = table[(table["protocol"] == NAIVE) | (table["concept_class"] == "11")]
    for figure in (
        trajectory_figure(table, space, {}, protocol="overprompting"),
        learning_curves(table, None, space, protocol="overprompting"),
    ):
        assert to_png(figure).startswith(b"\x89PNG")


def test_learning_curves_take_negative_losses(tables, space):
    training = make_training(0, 400)
    training["loss"] -= 20
    text = words(learning_curves(tables(2, 1), training, space))
    assert "running mean of 2 steps" in text


def test_a_constant_reconstruction_term_is_left_out(tables, space):
    training = make_training(0, 400).assign(reconstruction=649.14)
    training["diffusion"] = training["loss"]
    training["loss"] += 649.14
    text = words(learning_curves(tables(2, 1), training, space))
    assert "loss: diffusion term" in text
    assert "reconstruction: 649.1 throughout" in text


def test_elicitation_counts_runs_and_names_the_sweep(tables):
    table, naive = tables(2, 3), {NAIVE: [3000, 3200]}
    others = [p for p in table["protocol"].unique() if p != NAIVE]
    text = words(elicitation_figure(table, "11", emergence=naive | dict.fromkeys(others, ())))
    assert "reached by 2 of 3 runs" in text
    assert "best of 3 settings; reached by 0 of 3 runs" in text
    text = words(elicitation_figure(table, "11", emergence=naive))
    assert "reached by 0" not in text, "nothing is said of a protocol that was not looked at"
    with pytest.raises(UserError, match="no rows of class 99"):
        elicitation_figure(tables(2, 1), "99")


def test_timeline_draws_one_row_per_label_and_marks_censoring():
    figure = emergence_timeline(SPANS, turn=(1200, 1600))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [
        "naive · joint",
        "overprompting · joint",
    ]
    assert "Arrow: not reached by the end." in words(figure)
    assert "Arrow" not in words(emergence_timeline(SPANS[:1]))
    to_png(figure)


def test_strips_show_the_stored_tiles(run_folder, space):
    run = Run(run_folder)
    sheets = run.sheets()
    step, sheet = next(iter(sheets.items()))
    with Image.open(sheet.path) as image:
        whole = np.asarray(image)
    shown = tiles(sheet, "10")
    np.testing.assert_array_equal(shown[3], whole[32:48, 48:64])
    table = run.trajectory()
    table = table[table["protocol"] == NAIVE]
    figure = image_strips(sheets, space, table=table, columns=4, class_images=make_images(space))
    joint = table[(table["step"] == step) & (table["concept"] == "joint")]["accuracy"]
    text = words(figure)
    assert all(f"{value:.2f}" in text for value in joint)
    with pytest.raises(UserError, match="no images of class 10, setting 'x'"):
        tiles(sheet, "10", "x")


def test_strips_follow_the_best_setting(run_folder, space):
    run = Run(run_folder)
    table = run.trajectory()
    table = table[table["protocol"] == "overprompting"]
    to_png(image_strips(run.sheets("overprompting"), space, table=table))
    to_png(image_strips(run.sheets("overprompting"), space, setting="0.05,0.05,0.95"))
    with pytest.raises(UserError, match="no sample sheets"):
        image_strips({}, space)


def test_files_are_deterministic(tmp_path, tables, space):
    table = tables(2, 2)
    first = save(trajectory_figure(table, space, make_images(space)), tmp_path / "a.b")
    second = save(trajectory_figure(table, space, make_images(space)), tmp_path / "c")
    assert [path.name for path in first] == ["a.b.png", "a.b.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = first[1].read_text()
    assert "http://www.w3.org/2000/svg" in svg
    assert "dc:date" not in svg


def test_drawing_leaves_global_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    to_svg(emergence_timeline(SPANS))
    assert dict(matplotlib.rcParams) == before


def test_pixels_take_both_layouts():
    image = np.random.default_rng(0).uniform(size=(3, 5, 4))
    np.testing.assert_array_equal(pixels(image), pixels(image.transpose(1, 2, 0)))
    assert pixels(image).dtype == np.uint8
    assert pixels(np.full((3, 2, 2), 2.0)).max() == 255
    with pytest.raises(ValueError, match="an image has shape"):
        pixels(np.zeros((2, 2)))
