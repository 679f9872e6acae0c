"""Every figure draws without a warning and is written reproducibly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fabricated import make_images, make_space, make_training, make_turn
from matplotlib.figure import Figure
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.presentation.figures import (
    Span,
    elicitation_figure,
    emergence_timeline,
    image_strips,
    learning_curves,
    save,
    signal_figure,
    trajectory_figure,
)
from conceptspace.presentation.figures.strips import tiles
from conceptspace.presentation.series import highest, series
from conceptspace.presentation.style import counted, pixels, to_png, to_svg
from conceptspace.store import Run
from conceptspace.tables import JOINT, NAIVE

TURN = make_turn(1250, 1200, 1600)
INF = float("inf")
SPANS = [
    Span("naive", 2800, 3000, row="seed 0"),
    Span("overprompting", 0, 1500, row="seed 0"),
    Span("latent-control-random", 4400, INF, censored=True, row="seed 0"),
    Span("naive", 4400, INF, censored=True, row="seed 1"),
    Span("overprompting", 1300, 1500, row="seed 1"),
    Span("latent-control-random", 1300, 1500, row="seed 1"),
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
        trajectory_figure(table, space, images, turn=TURN, title="t"),
        learning_curves(table, training, space, turn=TURN, title="t"),
        signal_figure(space, {"a": (distances(space), images), "b": (distances(space), {})}),
    ]
    if space.ood_classes:
        figures.append(elicitation_figure(table, "1" * dimensions, turn=TURN))
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


def test_trajectories_are_raw_means_between_the_lines_of_the_seeds(tables, space):
    table = tables(2, 3)
    figure = trajectory_figure(table, space, {}, turn=TURN)
    text = words(figure)
    assert "means of 3 runs; thin lines: single runs." in text
    assert "Shaded" not in text
    assert "color: red → blue" in text
    assert "size: large → small" in text
    (axes,) = figure.axes
    pair = [series(table, "11", concept, "coordinate") for concept in space.names]
    means = np.stack([c.mean for c in pair], axis=1)
    drawn = [np.asarray(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 2]
    assert any(d.shape == means.shape and np.allclose(d, means) for d in drawn)
    thin = [np.stack(line.get_data()) for line in axes.lines]
    for seed in np.stack([c.runs for c in pair], axis=1):
        assert any(line.shape == seed.shape and np.allclose(line, seed) for line in thin)
    single = words(trajectory_figure(tables(2, 1), space, {}))
    assert "Shaded: 95 % binomial interval of 32 images of the OOD class." in single


def test_the_turn_is_drawn_at_its_estimate_and_only_if_it_is_one(tables, space):
    figure = learning_curves(tables(2, 1), None, space, turn=TURN)
    for axes in figure.axes:
        (line,) = [x for x in axes.lines if list(x.get_xdata()) == [1250, 1250]]
        assert line.get_ydata() == [0, 1]
        (band,) = [p for p in axes.patches if p.get_width() == 400]
        assert band.get_x() == 1200
    candidate = make_turn(1250, 1200, 1600, detected=False)
    figure = learning_curves(tables(2, 1), None, space, turn=candidate)
    assert not any(axes.patches for axes in figure.axes)
    assert "turn" not in words(figure)
    star = [
        [line for line in trajectory_figure(tables(2, 1), space, {}, turn=t).axes[0].lines
         if line.get_marker() == "*"]
        for t in (TURN, candidate)
    ]  # fmt: skip
    assert [len(found) for found in star] == [1, 0]


def test_a_single_loss_has_the_spread_of_its_batches_and_several_have_their_mean(tables, space):
    logs = [make_training(seed, 400) for seed in range(3)]
    one = learning_curves(tables(2, 1), logs[:1], space).axes[0]
    several = learning_curves(tables(2, 3), logs, space)
    assert (len(one.lines), len(one.collections)) == (1, 1)
    lines = [line.get_ydata() for line in several.axes[0].lines]
    assert (len(lines), len(several.axes[0].collections)) == (4, 0)
    np.testing.assert_allclose(lines[3], np.mean(lines[:3], axis=0))
    assert "gray: each of 3 runs, black: their mean" in words(several)


def test_emergence_of_concepts_is_marked_and_counted(tables, space):
    reached = {"color": [700.0, 700.0], "size": [2900.0]}
    figure = learning_curves(tables(2, 3), None, space, emergence=reached)
    axes = figure.axes[1]
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if disc(line)]
    assert marks == [(700.0, 0.8), (2900.0, 0.8)]
    assert "2" in [text.get_text() for text in axes.texts]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:2] == ["color (reached by 2 of 3 runs)", "size (reached by 1 of 3 runs)"]


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
    assert "running mean over 2 steps" in text


def test_a_constant_reconstruction_term_is_left_out(tables, space):
    training = make_training(0, 400).assign(reconstruction=649.14)
    training["diffusion"] = training["loss"]
    training["loss"] += 649.14
    text = words(learning_curves(tables(2, 1), training, space))
    assert "a diffusion loss" in text
    assert "without the reconstruction term, 649.1 throughout" in text


def test_elicitation_counts_runs_and_names_the_sweep(tables):
    table, naive = tables(2, 3), {NAIVE: [3000, 3200]}
    others = [p for p in table["protocol"].unique() if p != NAIVE]
    text = words(elicitation_figure(table, "11", emergence=naive | dict.fromkeys(others, ())))
    assert "reached by 2 of 3 runs" in text
    assert "best of 3 settings reached by 0 of 3 runs" in text
    assert "best of its settings by its own score, which flatters it" in text
    text = words(elicitation_figure(table, "11", emergence=naive))
    assert "reached by 0" not in text, "nothing is said of a protocol that was not looked at"
    with pytest.raises(UserError, match="no rows of class 99"):
        elicitation_figure(tables(2, 1), "99")


def cross_validated(table: pd.DataFrame) -> pd.DataFrame:
    """Best settings with other numbers by the judge on other images and by the plain probe."""
    best = highest(table).assign(setting="best")
    joint = best["concept"] == JOINT
    best["honest"] = (best["accuracy"] - 0.1).where(joint)
    best["probe"] = (best["accuracy"] + 0.05).where(joint)
    return best


def disc(line) -> bool:
    """A single mark, as opposed to a curve."""
    return line.get_marker() == "o" and len(line.get_xdata()) == 1


def test_cross_validated_numbers_are_full_and_those_of_the_plain_probe_hollow(tables):
    table = tables(2, 3)
    best = cross_validated(table)
    reached, plain = {NAIVE: [3000, 3000, 3400]}, {NAIVE: [2600]}
    figure = elicitation_figure(table, "11", best=best, emergence=reached, plain=plain)
    for axes, name in zip(figure.axes, (NAIVE, "overprompting"), strict=True):
        curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
        rows = best[(best["concept_class"] == "11") & (best["protocol"] == name)]
        wanted = rows[rows["concept"] == JOINT].groupby("step")[["honest", "probe"]].mean()
        (mean,) = [line for line in curves if line.get_linewidth() > 2]
        np.testing.assert_allclose(mean.get_ydata(), wanted["honest"])
        assert mean.get_linestyle() == "-"
        (hollow,) = [line for line in curves if line.get_marker() == "o"]
        np.testing.assert_allclose(hollow.get_ydata(), wanted["probe"])
        assert hollow.get_markerfacecolor() == "white"
        assert len(curves) == 3 + 2
    naive = figure.axes[0]
    faces = {line.get_xdata()[0]: line.get_markerfacecolor() for line in naive.lines if disc(line)}
    assert set(faces) == {2600, 3000, 3400}
    assert [step for step, face in faces.items() if face == "white"] == [2600]
    assert "2" in [text.get_text() for text in naive.texts]
    assert "one of 3 settings, by other images" in words(figure)


def test_captions_explain_marks_only_where_there_are_some(tables):
    table = tables(2, 3)
    none = {NAIVE: [], "overprompting": []}
    text = words(elicitation_figure(table, "11", best=cross_validated(table), emergence=none))
    assert "Discs" not in text
    assert "flatters" not in text
    assert "turn" not in text


def test_timeline_has_a_row_for_each_run_and_a_lane_for_each_way_of_asking():
    figure = emergence_timeline(SPANS, turn=TURN, last_step=4400)
    legend, axes = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["seed 0", "seed 1"]
    marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert len(marks) == len(SPANS)
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks]
    assert len(set(places)) == len(SPANS), "marks of one step stay apart"
    beyond = [x for x, _ in places if x > 4400]
    assert len(beyond) == 2
    joined = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [list(line.get_xdata()) for line in joined] == [
        [3000, 1500, max(beyond)],
        [max(beyond), 1500, 1500],
    ]
    labels = [text.get_text() for text in legend.get_legend().get_texts()]
    assert labels == ["naive: 1 of 2", "overprompting: 2 of 2", "latent-control-random: 1 of 2"]
    assert "not reached" in words(figure)
    assert "not reached" not in words(emergence_timeline(SPANS[:2]))
    hollow = emergence_timeline(SPANS, hollow=True).axes[-1]
    faces = {line.get_markerfacecolor() for line in hollow.lines if len(line.get_xdata()) == 1}
    assert faces == {"white"}
    to_png(figure)


def test_a_timeline_of_many_runs_has_two_columns() -> None:
    spans = [Span("naive", 100 * i, 100 * i + 100, row=f"seed {i}") for i in range(37)]
    _, left, right = emergence_timeline(spans, last_step=4400).axes
    of = [[t.get_text() for t in axes.get_yticklabels()] for axes in (left, right)]
    assert of == [[f"seed {i}" for i in range(19)], [f"seed {i}" for i in range(19, 37)]]
    drawn = [
        sorted({line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1})
        for axes in (left, right)
    ]
    assert drawn == [[100 * i + 100 for i in range(19)], [100 * i + 100 for i in range(19, 37)]]
    assert left.get_ylim() == right.get_ylim()


def test_marks_that_coincide_or_nearly_do_are_counted():
    axes = Figure().subplots()
    counted(axes, [(1.0, 0.5), (1.0, 0.52), (1.0, 0.9), (2.0, 0.5)], "red", apart=0.03)
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    assert marks == [(1.0, pytest.approx(0.51)), (1.0, 0.9), (2.0, 0.5)]
    assert [text.get_text() for text in axes.texts] == ["2"]


def test_numbers_of_the_signal_stand_by_their_concept(space):
    table = distances(space)
    table.loc[0, "distance"] = 0.1
    figure = signal_figure(space, {"a": (table, {}), "b": (table, {})}, subtitle="found")
    bars = figure.axes[2]
    means = table.groupby("concept")["distance"].mean()
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels == [f"{name}\n{means[name]:.2g}" for name in space.names]
    assert not bars.texts
    assert "found" in words(figure)


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
