"""What a researcher does on the page, done in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from looking import chosen_point, drawing, expect_label, expect_lines, expect_redrawn, label, opened
from PIL import Image
from playwright.sync_api import expect

from conceptspace.presentation.series import highest
from conceptspace.store import Run
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS

pytestmark = pytest.mark.browser


@pytest.fixture
def sweep(page, shown):
    return opened(page, shown.url)


def test_first_picture(sweep):
    expect(sweep.locator("h1")).to_have_text("sweep")
    expect(sweep.locator("#facts")).to_contain_text("6 runs · color × size")
    expect(sweep.locator("#chosen")).to_have_text("6 of 6 runs chosen")
    expect(sweep.locator("#mode")).to_have_value("mean")
    expect(sweep.locator("#color")).to_have_value("auto")
    expect(sweep.locator("#legend")).to_contain_text("color separation 0.2")
    expect_lines(sweep, 3 * 4)
    painted = sweep.evaluate(
        "() => { const c = document.querySelector('#plot canvas'); const d = "
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data; "
        "return d.filter((v, i) => i % 4 === 3 && v > 0).length; }"
    )
    assert painted > 10_000


def test_runs_classes_protocols_and_seeds_are_chosen(sweep):
    sweep.select_option("#mode", "runs")
    expect_lines(sweep, 6 * 4)
    sweep.locator("#classes label", has_text="00").click()
    expect_lines(sweep, 6 * 3)
    sweep.locator("#protocols label", has_text="overprompting-color").click()
    # Only class 11 was prompted in other ways.
    expect_lines(sweep, 6 * 3 + 6)
    sweep.locator("#seeds label", has_text="1").click()
    expect_lines(sweep, 3 * 3 + 3)
    sweep.locator("#run-table tbody input").first.uncheck()
    expect_lines(sweep, 2 * 3 + 2)
    sweep.click("#choose-none")
    expect_lines(sweep, 0)
    expect(sweep.locator("#chosen")).to_have_text("0 of 6 runs chosen")


def test_mean_with_its_interval_over_runs(sweep, folder):
    sweep.fill("#filter", "separation=0.2")
    sweep.click("#choose-shown")
    expect_lines(sweep, 4)
    runs = [Run(folder / "separation-0.2" / f"seed-{seed}").trajectory() for seed in (0, 1)]
    last = [t[(t.step == 3000) & (t.protocol == "naive") & (t.concept_class == "11")] for t in runs]
    joint = [float(t[t.concept == JOINT].accuracy.iloc[0]) for t in last]
    color = [float(t[t.concept == "color"].accuracy.iloc[0]) for t in last]
    text = f"{np.mean(joint):.2f} (2 runs: {min(joint):.2f} to {max(joint):.2f})"
    expect(sweep.locator("#what")).to_contain_text(f"joint accuracy {text}")
    row = sweep.locator("#numbers tbody tr", has_text="color").locator("td").first
    expect(row).to_have_text(f"{np.mean(color):.2f} ({min(color):.2f}–{max(color):.2f})")


def test_one_run_has_the_interval_of_its_images(sweep):
    sweep.fill("#filter", "separation=0.2 seed=0")
    sweep.click("#choose-shown")
    expect(sweep.locator("#what")).to_contain_text("of 16 images")


def test_axes_are_any_two_or_three_concepts_and_the_step(sweep):
    sweep.select_option("#axis-x", "1")
    expect(sweep.locator("#axis-y")).to_have_value("0")
    expect_label(sweep, "#plot", "size, color;")
    sweep.select_option("#axis-x", "-1")
    expect_label(sweep, "#plot", "step, color;")
    sweep.select_option("#dims", "3")
    expect(sweep.locator("#axis-z-box")).to_be_visible()
    expect_label(sweep, "#plot", "step, color, size;")
    before = drawing(sweep)
    sweep.locator("#plot .pad").focus()
    sweep.keyboard.press("Shift+ArrowRight")
    expect_redrawn(sweep, before)


def test_dragging_turns_the_cube_and_does_not_select(sweep):
    sweep.select_option("#dims", "3")
    expect_lines(sweep, 3 * 4)
    box = sweep.locator("#plot .pad").bounding_box()
    before, shown = drawing(sweep), sweep.inner_text("#now")
    sweep.mouse.move(box["x"] + 15, box["y"] + 15)
    sweep.mouse.down()
    sweep.mouse.move(box["x"] + 115, box["y"] + 55, steps=4)
    sweep.mouse.up()
    expect_redrawn(sweep, before)
    assert sweep.inner_text("#now") == shown


def test_wheel_zooms_only_once_the_plot_has_been_clicked(sweep):
    expect_lines(sweep, 3 * 4)
    sweep.evaluate("document.querySelector('#plot').scrollIntoView()")
    box = sweep.locator("#plot .pad").bounding_box()
    sweep.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before, scrolled = drawing(sweep), sweep.evaluate("scrollY")
    sweep.mouse.wheel(0, 120)
    sweep.wait_for_timeout(300)
    assert drawing(sweep) == before
    assert sweep.evaluate("scrollY") > scrolled
    sweep.locator("#plot .pad").focus()
    sweep.mouse.wheel(0, -300)
    sweep.wait_for_timeout(300)
    expect_redrawn(sweep, before)
    sweep.keyboard.press("0")
    sweep.wait_for_timeout(300)
    assert drawing(sweep) == before


def test_the_slider_moves_all_views(sweep):
    expect(sweep.locator("#now")).to_have_text("step 3,000")
    sweep.locator("#time").focus()
    sweep.keyboard.press("Home")
    expect(sweep.locator("#now")).to_have_text("step 250")
    expect(sweep.locator("#what")).to_contain_text("step 250")
    for place in ("#plot", "#multiples", "#race", "#curve-joint"):
        expect_label(sweep, place, "at step 250")
    expect(sweep.locator("#time")).to_have_attribute("aria-valuetext", "step 250")


def test_play_goes_to_the_end_and_stops(sweep):
    sweep.evaluate(
        "() => { const now = document.querySelector('#now'); window.seen = []; "
        "const see = () => seen.push(now.textContent + ' ' + "
        "document.querySelector('#play').ariaLabel); "
        "new MutationObserver(see).observe(now, {childList: true, characterData: true, "
        "subtree: true}); }"
    )
    sweep.click("#play")
    expect(sweep.locator("#now")).not_to_have_text("step 3,000")
    expect(sweep.locator("#now")).to_have_text("step 3,000")
    expect(sweep.locator("#play")).to_have_attribute("aria-label", "Play")
    seen = sweep.evaluate("seen")
    played = seen[seen.index("step 250 Pause") :]  # what was there before may be written once more
    steps = [int(text.split()[1].replace(",", "")) for text in played]
    assert steps == sorted(steps)
    assert set(steps) == set(range(250, 3001, 250))


def test_the_turn_is_marked(sweep):
    sweep.fill("#filter", "separation=0.3 seed=0")
    sweep.click("#choose-shown")
    turn = "The trajectory of 11 turns by"
    expect(sweep.locator("#what")).to_contain_text(turn)
    expect(sweep.locator("#turn-marks i")).to_have_count(1)


def test_pointing_shows_the_images_generated_there(sweep):
    sweep.fill("#filter", "separation=0.3 seed=0")
    sweep.click("#choose-shown")
    expect(sweep.locator("#tiles canvas")).to_have_count(1)
    before = sweep.locator("#tiles").get_attribute("data-shown")
    sweep.locator("#plot .pad").scroll_into_view_if_needed()
    box = sweep.locator("#plot .pad").bounding_box()
    seen = set()
    for down in range(14):
        for across in range(14):
            sweep.mouse.move(
                box["x"] + box["width"] * (0.2 + across / 22),
                box["y"] + box["height"] * (0.2 + down / 22),
            )
            seen.add(sweep.locator("#tiles").get_attribute("data-shown"))
    assert before is not None
    assert {shown.split("/")[1] for shown in seen} >= {"00", "01", "10", "11"}
    assert len(seen) > 6
    expect(sweep.locator("#now")).to_have_text("step 3,000")


def test_images_are_those_of_the_contact_sheet(sweep, folder):
    sweep.fill("#filter", "separation=0.3 seed=0")
    sweep.click("#choose-shown")
    canvas = sweep.locator("#tiles canvas")
    expect(canvas).to_have_count(1)
    expect(canvas).to_have_attribute("aria-label", re.compile("32 images of class 11 at step 3000"))
    pixels = canvas.evaluate("c => Array.from(c.getContext('2d').getImageData(0, 0, 16, 16).data)")
    drawn = np.array(pixels, dtype=np.uint8).reshape(16, 16, 4)[..., :3]
    run = Run(folder / "separation-0.3" / "seed-0")
    with Image.open(run.sheets()[3000].path) as sheet:
        stored = np.asarray(sheet)[3 * 16 : 4 * 16, :16]
    np.testing.assert_array_equal(drawn, stored)


def test_tapping_a_point_on_a_phone(browser, shown):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), shown.url)
    page.locator("#plot").scroll_into_view_if_needed()
    expect_lines(page, 3 * 4)
    box = page.locator("#plot .pad").bounding_box()
    page.locator("#time").fill("3")
    expect(page.locator("#now")).to_have_text("step 1,000")
    seen = {chosen_point(page)}
    for share in (0.25, 0.3, 0.5, 0.75, 0.8):
        page.touchscreen.tap(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.75)
        page.wait_for_timeout(80)
        seen.add(chosen_point(page))
    assert len(seen) > 1
    context.close()


def test_arrow_keys_go_through_checkpoints_and_lines(sweep):
    sweep.locator("#plot .pad").focus()
    sweep.keyboard.press("ArrowLeft")
    expect(sweep.locator("#now")).to_have_text("step 2,750")
    sweep.keyboard.press("ArrowLeft")
    expect(sweep.locator("#what")).to_contain_text("step 2,500")
    sweep.keyboard.press("End")
    expect(sweep.locator("#what")).to_contain_text("step 3,000")
    before = chosen_point(sweep)
    sweep.keyboard.press("ArrowUp")
    expect(sweep.locator("#what")).not_to_contain_text(before)
    sweep.keyboard.press("ArrowDown")
    expect(sweep.locator("#what")).to_contain_text(before)
    sweep.keyboard.press(" ")
    expect(sweep.locator("#play")).to_have_attribute("aria-label", "Pause")


def test_small_multiples_over_the_sweep_and_color_by_signal(sweep):
    expect_label(sweep, "#multiples", "3 panels, one for each color separation")
    sweep.select_option("#facet", "protocol")
    expect_label(sweep, "#multiples", "2 panels, one for each protocol")
    sweep.select_option("#facet", "seed")
    expect_label(sweep, "#multiples", "2 panels, one for each seed")
    sweep.select_option("#color", "data.color_separation")
    expect(sweep.locator("#legend .ramp")).to_be_visible()
    expect(sweep.locator("#legend")).to_contain_text("color separation 0.2")
    expect(sweep.locator("#legend")).to_contain_text("0.5")


def test_protocols_against_each_other_at_the_same_step(sweep, folder):
    sweep.fill("#filter", "separation=0.2 seed=0")
    sweep.click("#choose-shown")
    sweep.locator("#time").fill("4")
    table = highest(Run(folder / "separation-0.2" / "seed-0").trajectory())
    rows = table[(table.step == 1250) & (table.concept_class == "11") & (table.concept == JOINT)]
    values = rows.set_index("protocol").accuracy
    text = label(sweep, "#race")
    assert "Joint accuracy on 11 at step 1,250" in text
    for protocol in ("naive", "overprompting-color"):
        assert f"{protocol}, separation-0.2/seed-0 {values[protocol]:.2f}" in text


def test_the_table_is_sorted_and_filtered(sweep):
    rows = sweep.locator("#run-table tbody tr")
    names = sweep.locator("#run-table tbody td.run")
    heads = sweep.locator("#run-table thead th").all_inner_texts()
    assert "color separation" in heads
    sweep.locator("#run-table thead button", has_text="11 emerges").click()
    expect(names.first).to_have_text("separation-0.2/seed-1")
    expect(rows.last).to_contain_text("not reached")
    sweep.locator("#run-table thead button", has_text="11 emerges").click()
    expect(rows.first).to_contain_text("not reached")
    expect(sweep.locator("#run-table th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    sweep.fill("#filter", "seed=1 color_separation=0.5")
    expect(rows).to_have_count(1)
    expect(names).to_have_text("separation-0.5/seed-1")
    sweep.fill("#filter", "nothing of this kind")
    expect(rows).to_have_count(0)


def test_timeline_of_emergence_with_censoring(sweep, folder):
    expect(sweep.locator("#evidence .lead").first).not_to_contain_text("Reading")
    text = label(sweep, "#emergence")
    assert "Emergence of class 11" in text
    assert "separation-0.5/seed-0 not by step 3,000" in text
    assert "separation-0.2/seed-0 after step 1,500, by step 1,750" in text
    box = sweep.locator("#emergence .pad").bounding_box()
    for down in range(24, int(box["height"]) - 50, 6):
        sweep.mouse.move(box["x"] + box["width"] - 25, box["y"] + down)
    expect(sweep.locator("#emergence-note")).to_contain_text("not by step 3,000")


def test_curves_of_loss_and_accuracy(sweep):
    label(sweep, "#curve-loss")
    loss = sweep.locator("#curve-loss .pad")
    expect(loss).to_have_attribute("aria-label", re.compile(r"-0.2/seed-0 ends at \d\.\d\d"))
    assert "overprompting-color 11" not in label(sweep, "#curve-joint")
    expect_label(sweep, "#curve-concepts", "color naive 11")
    expect_label(sweep, "#curve-gamma", "Noise schedule")


def test_findings_and_claims(sweep):
    expect(sweep.locator("#evidence .lead").first).not_to_contain_text("Reading")
    expect(sweep.locator("#group option")).to_have_count(3)
    expect(sweep.locator("#group")).to_contain_text("Color separation 0.5")
    expect(sweep.locator("#ledgers")).to_contain_text("Overprompting reaches class 11 earlier")
    expect(sweep.locator("#ledgers h3")).to_have_text("Claims: 1 held, 1 undecided")
    expect(sweep.locator("#ledgers .verdict").first).to_have_text("held")
    expect(sweep.locator("#ledgers")).to_contain_text("undecided: too few seeds")


def test_contact_sheet_of_two_protocols_and_its_png(sweep):
    sweep.locator("#sheet-box").scroll_into_view_if_needed()
    sheet = sweep.locator("#sheet")
    expect(sheet).to_have_attribute("data-rows", "12")
    expect(sheet).to_have_attribute("aria-label", re.compile("under naive and overprompting-color"))
    with sweep.expect_download() as saved:
        sweep.click("#sheet-save")
    assert saved.value.suggested_filename.endswith("-11-naive-overprompting-color.png")
    with Image.open(saved.value.path()) as image:
        assert image.height > 12 * 32
        assert image.width > 64 * 32
    sweep.locator("#sheet").click(position={"x": 20, "y": 60})
    expect(sweep.locator("#now")).to_have_text("step 500")
    sweep.select_option("#sheet-class", "00")
    expect(sweep.locator("#sheet-note")).to_contain_text("12 checkpoints")


@pytest.mark.parametrize("place", ["#plot", "#multiples", "#race", "#emergence", "#curve-loss"])
def test_figures_as_svg_and_png(sweep, place):
    label(sweep, place)
    if place == "#curve-loss":
        ends = re.compile("ends at")
        expect(sweep.locator(f"{place} .pad")).to_have_attribute("aria-label", ends)
    with sweep.expect_download() as saved:
        sweep.locator(f"{place} .tools button", has_text="SVG").click()
    root = ElementTree.fromstring(Path(saved.value.path()).read_text())
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}path")) > 4
    assert any("".join(text.itertext()) for text in root.findall(".//{*}text"))
    with sweep.expect_download() as saved:
        sweep.locator(f"{place} .tools button", has_text="PNG").click()
    with Image.open(saved.value.path()) as image:
        assert image.width == 3 * int(float(root.attrib["width"]))


def test_data_as_csv_and_parquet(sweep, folder):
    sweep.fill("#filter", "separation=0.3 seed=0")
    sweep.click("#choose-shown")
    expected = Run(folder / "separation-0.3" / "seed-0").trajectory()
    keys = ["step", "protocol", "setting", "concept_class", "concept"]
    expected = expected.sort_values(keys).reset_index(drop=True)
    with sweep.expect_download() as saved:
        sweep.click("#save-csv")
    found = pd.read_csv(saved.value.path(), dtype={"concept_class": str}, keep_default_na=False)
    found["setting"] = found["setting"].astype(str)
    found = found.sort_values(keys).reset_index(drop=True)
    assert list(found.columns) == TRAJECTORY_COLUMNS
    assert len(found) == len(expected)
    np.testing.assert_allclose(found["accuracy"], expected["accuracy"], atol=6e-5)
    assert set(found["run"]) == {"separation-0.3/seed-0"}
    assert (found["coordinate"] == "").sum() == (expected["concept"] == JOINT).sum()
    with sweep.expect_download() as saved:
        sweep.click("#save-parquet")
    assert len(pd.read_parquet(saved.value.path())) == len(expected)


def test_animation_as_gif(sweep):
    sweep.set_viewport_size({"width": 700, "height": 700})
    with sweep.expect_download(timeout=60_000) as saved:
        sweep.locator("#plot .tools button", has_text="GIF").click()
    with Image.open(saved.value.path()) as image:
        assert image.n_frames == 12
        assert image.width == sweep.locator("#plot").bounding_box()["width"]
        first = image.convert("RGB").tobytes()
        image.seek(11)
        assert image.convert("RGB").tobytes() != first
    expect(sweep.locator("#now")).to_have_text("step 3,000")


def test_config_and_provenance_open_on_demand(sweep):
    sweep.locator("#configs summary").first.click()
    expect(sweep.locator("#configs pre").first).to_contain_text("color_separation = 0.2")
    expect(sweep.locator("#configs table").first).to_contain_text("status")


def test_csv_of_odd_names_is_quoted(page, serve, tmp_path, folder):
    import shutil

    name = 'a, "b"'
    shutil.copytree(folder / "separation-0.2" / "seed-0", tmp_path / name)
    opened(page, serve(tmp_path).url)
    with page.expect_download() as saved:
        page.click("#save-csv")
    rows = list(csv.reader(io.StringIO(Path(saved.value.path()).read_text())))
    assert rows[1][0] == name
    assert json.dumps(rows[0]).count("concept") == 2


def test_a_verdict_that_comes_late_does_not_move_the_plot(page, shown):
    """Otherwise a reader who points at a checkpoint would suddenly point at another."""
    page.goto(shown.url)
    page.wait_for_selector("html[data-ready]", state="attached")
    places = [page.locator("#plot .pad").bounding_box()]
    expect(page.locator("#verdict-text")).not_to_contain_text("Reading")
    places.append(page.locator("#plot .pad").bounding_box())
    assert places[0] == places[1]
