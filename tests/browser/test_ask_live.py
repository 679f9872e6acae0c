"""A model asked on the page: drag a point, look at the images; with the keyboard as well."""

from __future__ import annotations

import re
from importlib import resources

import pandas as pd
import pytest
from looking import opened
from playwright.sync_api import expect
from test_looks import RULES

from conceptspace.experiment import parts
from conceptspace.presentation.explorer.ask import PointAsker
from conceptspace.store import open_or_create
from conceptspace.training import checkpoint
from tiny import tiny_config

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A run with two checkpoints of a model that learned nothing, and a trajectory."""
    from fabricated import make_space, make_table

    config = tiny_config(evaluate__sampling_steps=3)
    run, _ = open_or_create(tmp_path_factory.mktemp("live") / "runs" / "a", config)
    table = make_table(make_space(2), 0, "a", {"naive": {"": 900.0}})
    for step in (100, 4400):
        checkpoint.save(run.checkpoints, step, parts.model(config).state_dict())
    pd.DataFrame(table).to_parquet(run.path / "trajectory.parquet")
    return run


def test_a_point_is_asked_for(page, serve, asked):
    opened(page, serve(asked.path.parent, PointAsker()).url)
    pad, said = page.locator("#ask-pad .pad"), page.locator("#ask-said")
    page.locator("#ask-section").scroll_into_view_if_needed()
    expect(page.locator("#ask-go")).to_have_text("Ask step 4,400")
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(said).to_contain_text("By step 4,400 of a, 8 images in")
    expect(page.locator("#ask-tiles canvas")).to_have_attribute(
        "aria-label", re.compile("8 images of color .* by step 4,400 of a")
    )
    expect(page).to_have_url(re.compile("ask="))
    first = said.inner_text()
    pad.focus()
    page.keyboard.press("ArrowLeft")
    expect(said).not_to_have_text(first)
    expect(said).to_contain_text("8 images in")
    page.locator("#time").fill("0")
    expect(said).to_contain_text("By step 100 of a")
    page.locator("#ask-0").fill("2")
    expect(said).to_contain_text("color 2.00")
    opened(page, page.url)
    expect(page.locator("#ask-0")).to_have_value("2")


def test_asking_is_readable_on_a_small_screen(browser, serve, asked):
    context = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True)
    page = opened(context.new_page(), serve(asked.path.parent, PointAsker()).url)
    page.locator("#ask-section").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    page.evaluate(axe)
    found = page.evaluate(f"async () => (await axe.run('#ask-section', {RULES})).violations")
    assert [(v["id"], v["help"]) for v in found if v["impact"] in ("serious", "critical")] == []
    context.close()


def test_without_the_flag_there_is_nothing_to_ask(page, serve, asked):
    opened(page, serve(asked.path.parent).url)
    expect(page.locator("#ask-section")).to_be_hidden()
    expect(page.locator("#ask-link")).to_be_hidden()
