"""Sliders over what was scored, and single images looked at."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from looking import drawing, expect_redrawn, label, opened
from playwright.sync_api import expect
from test_offline_page import mailed  # noqa: F401

from conceptspace.store import Run
from conceptspace.tables import JOINT

pytestmark = pytest.mark.browser


def knob(page, title: str):
    return page.locator("#knobs label", has_text=title).locator("input")


@pytest.fixture
def swept(page, shown):
    """One run, asked for class 11 with overprompting."""
    opened(page, shown.url)
    page.fill("#filter", "separation=0.2 seed=1")
    page.click("#choose-shown")
    page.locator("#protocols label", has_text="overprompting-color").click()
    page.locator("#protocols label", has_text="naive").click()
    expect(page.locator("#what")).to_contain_text("overprompting-color")
    shown_images = re.compile("^overprompting-color/.*/3000$")
    expect(page.locator("#tiles")).to_have_attribute("data-shown", shown_images)
    return page


def accuracy(folder, **keys):
    table = Run(folder / "separation-0.2" / "seed-1").trajectory()
    keys |= {"concept_class": "11", "concept": JOINT, "protocol": "overprompting-color"}
    return table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].accuracy.iloc[0]


def test_a_turned_knob_moves_point_images_and_curve_together(swept, folder):
    swept.locator("#time").fill("3")
    before, curve = drawing(swept), label(swept, "#near")
    strength = knob(swept, "over-prompt color: strength")
    strength.focus()
    swept.keyboard.press("ArrowRight")
    swept.keyboard.press("ArrowRight")
    expect(strength).to_have_attribute("aria-valuetext", "4.5")
    expected = f"{accuracy(folder, step=1000, setting='4.5'):.2f}"
    expect(swept.locator("#what")).to_contain_text(f"accuracy {expected}")
    expect(swept.locator("#tiles figcaption")).to_have_text("setting 4.5")
    expect(swept.locator("#near .pad")).to_have_attribute(
        "aria-label", re.compile(f" 4.5 {expected}")
    )
    expect_redrawn(swept, before)
    assert label(swept, "#near") != curve
    expect(swept).to_have_url(re.compile(r"knobs=overprompting\-color%7E4\.5"))
    swept.reload()
    expect(knob(swept, "strength")).to_have_attribute("aria-valuetext", "4.5")
    expect(swept.locator("#what")).to_contain_text(f"accuracy {expected}")
    knob(swept, "strength").fill("0")
    expect(knob(swept, "strength")).to_have_attribute("aria-valuetext", "best of each step")
    swept.go_back()
    expect(knob(swept, "strength")).to_have_attribute("aria-valuetext", "4.5")


def test_a_setting_of_the_runs_is_a_knob_as_well(page, shown):
    opened(page, shown.url)
    separation = knob(page, "runs: color separation")
    expect(page.locator("#chosen")).to_contain_text("6 of 6 runs")
    separation.fill("2")
    expect(separation).to_have_attribute("aria-valuetext", "0.3")
    expect(page.locator("#what")).to_contain_text("mean of 2 runs")
    expect(page.locator("#chosen")).to_contain_text("2 of 6 runs")
    expect(page).to_have_url(re.compile(r"only=data\.color_separation%7E0\.3"))
    separation.fill("0")
    expect(page.locator("#chosen")).to_contain_text("6 of 6 runs")


def test_an_image_shows_its_scores_and_leads_to_its_neighbors(swept, folder):
    swept.locator("#tiles canvas").click(position={"x": 8, "y": 8})
    look = swept.locator("#look")
    expect(look).to_be_visible()
    expect(swept.locator("#look-what")).to_contain_text("Image 1 of class 11, blue small")
    scores = Run(folder / "separation-0.2" / "seed-1").scores()
    own = scores.query(
        "protocol == 'overprompting-color' and setting == '2.5' and step == 3000"
        " and concept_class == '11' and sample == 0"
    )
    expect(look.locator("tr", has_text="joint").locator("td")).to_have_text(
        f"{own.accuracy.prod():.2f}"
    )
    expect(swept.locator("#look-steps button")).to_have_count(9)
    expect(swept.locator("#look-ways button")).to_have_count(2)
    swept.locator("#look-ways button", has_text="naive").click()
    expect(swept.locator("#look-what")).to_contain_text("naive, step 3,000")
    swept.locator("#look-steps button").first.click()
    expect(swept.locator("#look-what")).to_contain_text("naive, step 250")
    swept.click("#look-after")
    expect(swept.locator("#look-what")).to_contain_text("Image 2 of")
    opened(swept, swept.url)
    expect(swept.locator("#look-what")).to_contain_text("Image 2 of class 11")
    swept.keyboard.press("Escape")
    expect(look).to_be_hidden()
    expect(swept).not_to_have_url(re.compile("look="))


def test_images_are_reached_and_looked_at_with_the_keyboard(swept):
    frame = swept.locator("#tiles .frame")
    frame.focus()
    swept.keyboard.press("ArrowRight")
    swept.keyboard.press("ArrowDown")
    expect(frame).to_have_attribute("aria-label", re.compile("Look at image 10 of 32"))
    swept.keyboard.press("Enter")
    expect(swept.locator("#look-what")).to_contain_text("Image 10 of class 11")
    swept.keyboard.press("Escape")


def test_the_failures_of_a_contact_sheet(story):
    story.locator("#sheet-box").scroll_into_view_if_needed()
    sheet = story.locator("#sheet")
    expect(sheet).to_have_attribute("data-rows", "12")
    wide = sheet.bounding_box()["width"]
    story.select_option("#sheet-order", "failures")
    expect(story.locator("#sheet-note")).to_contain_text("one fails below 0.5")
    assert sheet.bounding_box()["width"] < wide
    frame = story.locator("#sheet-box .frame")
    frame.focus()
    expect(frame).to_have_attribute("aria-label", re.compile(r"joint accuracy 0\.[0-4]"))
    expect(story).to_have_url(re.compile("order=failures"))


@pytest.fixture
def story(page, mailed):  # noqa: F811
    return opened(page, mailed.as_uri())
