"""The page opens with its story: verdict, evidence, words explained; its view is a link."""

from __future__ import annotations

import re

import pytest
from looking import expect_lines, opened
from playwright.sync_api import expect
from test_offline_page import mailed  # noqa: F401

pytestmark = pytest.mark.browser

LINKS = ["learned", "mistaken", "turned", "could", "did", "controls"]


@pytest.fixture
def story(page, mailed):  # noqa: F811
    return opened(page, mailed.as_uri())


def painted(page, place: str) -> int:
    """How many pixels of a drawing are not empty."""
    page.locator(place).scroll_into_view_if_needed()
    page.wait_for_timeout(150)
    return page.locator(f"{place} canvas").first.evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".filter((v, i) => i % 4 === 3 && v > 0).length"
    )


def test_the_first_600_characters_are_verdict_window_and_n(story):
    text = story.inner_text("body")[:600]
    assert "Hidden capability: yes in 1 of 2 seeds" in text
    assert "from step 1000 to 1500" in text
    assert "of 16 images" in text


def test_without_javascript_the_verdict_stands_in_the_page(browser, mailed):  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(mailed.as_uri())
    expect(plain.locator("#verdict-text")).to_contain_text("Hidden capability: yes in 1 of 2 seeds")
    context.close()


def test_the_chain_of_evidence_in_order_with_its_pictures(story):
    ids = story.locator("#chain > li").evaluate_all("of => of.map(e => e.id.slice(5))")
    assert ids == LINKS
    assert painted(story, "#verdict-picture") > 2000
    for name in LINKS[:5]:
        assert painted(story, f"#link-{name} .chart") > 1000, name
        expect(story.locator(f"#link-{name} .lead")).not_to_be_empty()
    could = story.locator("#link-could .pad")
    label = re.compile(r"every other way of asking: naive ends at 0\.\d+, overprompting-color ends")
    expect(could).to_have_attribute("aria-label", label)
    rest = story.locator("#link-learned li")
    expect(rest).to_be_hidden()
    story.locator("#link-learned summary").click()
    expect(rest).to_contain_text("Training classes end with")
    before = story.locator("#link-did .lead").inner_text()
    story.select_option("#group", "color separation 0.3")
    expect(story.locator("#link-did .lead")).not_to_have_text(before)


def test_words_are_explained_on_hover_focus_and_tap(story):
    word, tip = story.locator("#verdict-text .term").first, story.locator("#tip")
    expect(tip).to_be_hidden()
    word.hover()
    expect(tip).to_contain_text("asked in another way")
    box = tip.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    story.mouse.move(5, 900)
    expect(tip).to_be_hidden()
    word.focus()
    expect(tip).to_be_visible()
    story.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    word.click()
    expect(tip).to_be_visible()
    assert word.evaluate("e => document.getElementById(e.getAttribute('aria-describedby'))")


def test_the_view_is_in_the_address_and_comes_back(story):
    expect(story).not_to_have_url(re.compile("#"))
    story.locator("#classes label", has_text="00").click()
    story.select_option("#dims", "3")
    story.locator("#time").fill("3")
    expect(story.locator("#now")).to_have_text("step 1,000")
    expect(story).to_have_url(re.compile("step=1000"))
    expect(story).to_have_url(re.compile("dims=3"))
    story.reload()
    story.wait_for_selector("html[data-ready]", state="attached")
    expect(story.locator("#now")).to_have_text("step 1,000")
    expect(story.locator("#dims")).to_have_value("3")
    expect_lines(story, 2 * 3)
    story.go_back()
    expect(story.locator("#dims")).to_have_value("2")
    expect_lines(story, 2 * 3)
    story.go_back()
    expect_lines(story, 2 * 4)
    story.go_forward()
    expect_lines(story, 2 * 3)
    held = story.url
    story.locator("nav a", has_text="Images").click()
    expect(story).to_have_url(held)
    story.click("#copy-link")
    expect(story.locator("#copied")).not_to_be_empty()


def test_an_address_that_says_nonsense_is_survived(page, mailed):  # noqa: F811
    opened(page, mailed.as_uri() + "#axes=9,9,9&step=x&classes=zz&runs=none&color=q&dims=7&space=5")
    expect(page.locator("#dims")).to_have_value("2")
    expect(page.locator("#chosen")).to_have_text("0 of 4 runs chosen")
    expect(page.locator("#verdict-text")).to_contain_text("No run is chosen")


def test_colors_follow_what_varies_among_the_chosen(story):
    expect(story.locator("#legend")).to_contain_text("color separation 0.2")
    story.fill("#filter", "separation-0.2")
    story.click("#choose-shown")
    expect(story.locator("#legend")).to_contain_text("11 blue small (held out)")
    expect(story.locator("#color option").first).to_have_text("by what varies (class)")
    expect(story.locator("#color option", has_text="separation")).to_have_count(0)


def test_on_a_phone_the_verdict_and_its_plot_are_in_the_first_screen(browser, mailed):  # noqa: F811
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), mailed.as_uri())
    page.fill("#filter", "separation-0.2")
    page.click("#choose-shown")
    page.evaluate("scrollTo(0, 0)")
    order = page.locator("main > section").evaluate_all("of => of.map(e => e.id).slice(0, 3)")
    assert order == ["verdict-section", "space-section", "evidence-section"]
    assert page.locator("#verdict-picture").bounding_box()["y"] < 700
    page.locator("#verdict-text .term").first.tap()
    expect(page.locator("#tip")).to_be_visible()
    context.close()


def test_paper_has_the_evidence_and_no_controls(story):
    story.emulate_media(media="print")
    story.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(story.locator("#link-learned li")).to_be_visible()
    expect(story.locator("footer")).to_be_hidden()
    expect(story.locator("#view-controls")).to_be_hidden()


def test_curves_have_names_at_their_ends_and_a_crosshair_with_all_values(story):
    story.fill("#filter", "separation-0.2")
    story.click("#choose-shown")
    pad, readout = story.locator("#curve-joint .pad"), story.locator("#curve-joint .readout")
    painted(story, "#curve-joint")
    box = pad.bounding_box()
    story.mouse.move(box["x"] + 60, box["y"] + 100)
    expect(readout).to_be_visible()
    assert re.search(r"step \d+\n\d\d\t0\.\d\d\t0\.\d\d–0\.\d\d", readout.inner_text())
    expect(readout.locator("tr")).to_have_count(4)
    story.mouse.move(5, 5)
    expect(readout).to_be_hidden()
    pad.focus()
    story.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("step 2,750")
    story.keyboard.press("Escape")
    expect(readout).to_be_hidden()


def test_more_than_eight_lines_get_panels_by_themselves(story):
    height = "document.querySelector('#curve-joint').clientHeight"
    story.select_option("#color", "class")
    story.select_option("#mode", "runs")
    painted(story, "#curve-joint")
    many = story.evaluate(height)
    story.fill("#filter", "separation-0.2 seed=0")
    story.click("#choose-shown")
    painted(story, "#curve-joint")
    assert story.evaluate(height) == 240
    assert many > 240
