"""Readable at both widths in both themes, and without a serious violation of accessibility."""

from __future__ import annotations

from importlib import resources

import pytest
from looking import opened
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SIZES = {"wide": (1280, 1000), "narrow": (390, 844)}
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}"


@pytest.fixture(
    scope="module",
    params=[(size, theme) for size in SIZES for theme in ("light", "dark")],
    ids="-".join,
)
def looked(request, browser, shown):
    """The page at one size in one theme."""
    size, theme = request.param
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
        bypass_csp=True,
    )
    page = opened(context.new_page(), shown.url)
    expect(page.locator("#evidence .lead").first).not_to_contain_text("Reading")
    yield page
    context.close()


def test_no_serious_violation_of_accessibility(looked):
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    looked.locator("#configs summary").first.click()
    looked.locator("#sheet-box").scroll_into_view_if_needed()
    looked.wait_for_timeout(300)
    looked.evaluate(axe)
    assert serious(looked) == []
    looked.locator("#tiles canvas").first.click(position={"x": 8, "y": 8})
    expect(looked.locator("#look-steps button").first).to_be_visible()
    assert serious(looked) == []
    looked.click("#look-close")


def serious(page) -> list[tuple]:
    """The violations that axe finds and calls serious or critical."""
    found = page.evaluate(f"async () => (await axe.run(document, {RULES})).violations")
    severe = [v for v in found if v["impact"] in ("serious", "critical")]
    return [(v["id"], v["help"], [n["target"] for n in v["nodes"]][:4]) for v in severe]


def test_nothing_sticks_out_sideways(looked):
    for _ in range(12):
        looked.mouse.wheel(0, 700)
        looked.wait_for_timeout(60)
    assert looked.evaluate("document.documentElement.scrollWidth <= innerWidth")
    narrow = looked.evaluate(
        "() => [...document.querySelectorAll('button, select, input, summary')].filter(e => "
        "e.offsetParent && (e.getBoundingClientRect().height < 12)).map(e => e.outerHTML)"
    )
    assert narrow == []


def test_the_theme_can_be_chosen(looked):
    dark = looked.evaluate("document.documentElement.dataset.theme")
    paper = looked.evaluate("getComputedStyle(document.body).backgroundColor")
    looked.click("#theme")
    if looked.evaluate("document.documentElement.dataset.theme") == dark:
        looked.click("#theme")
    assert looked.evaluate("getComputedStyle(document.body).backgroundColor") != paper


def test_every_control_is_named(looked):
    unnamed = looked.evaluate(
        "() => [...document.querySelectorAll('button, select, input')].filter(e => "
        "!(e.textContent || e.ariaLabel || (e.labels && e.labels.length))).map(e => e.outerHTML)"
    )
    assert unnamed == []


def test_the_keyboard_reaches_the_plot_and_the_slider(looked):
    reached = set()
    for _ in range(100):
        looked.keyboard.press("Tab")
        reached.add(
            looked.evaluate("document.activeElement.id || document.activeElement.parentElement.id")
        )
    assert {"filter", "plot", "mode"} <= reached
