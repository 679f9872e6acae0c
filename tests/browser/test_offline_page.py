"""The same page as one file, opened from disk with the network off."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from looking import expect_label, expect_lines, opened
from playwright.sync_api import expect

from conceptspace.presentation.page import write_page
from conceptspace.store import Run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mailed(folder, tmp_path_factory):
    """A page of four runs, in a folder without the runs."""
    place = tmp_path_factory.mktemp("mailed")
    runs = [
        Run(folder / f"separation-{d}" / f"seed-{seed}") for d in ("0.2", "0.3") for seed in (0, 1)
    ]
    write_page(runs, place / "made.html")
    shutil.copy(place / "made.html", place / "page.html")
    return place / "page.html"


@pytest.fixture
def offline(page, context, mailed):
    context.set_offline(True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, mailed.as_uri())
    yield page
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert outside == []


def test_it_shows_the_runs(offline):
    expect(offline.locator("h1")).to_have_text("Color separation: 4 runs")
    expect(offline.locator("#live")).to_be_empty()
    expect_lines(offline, 2 * 4)
    expect(offline.locator("#tiles canvas").first).to_be_visible()
    expect(offline.locator("#group")).to_have_value("color separation 0.2")
    expect(offline.locator("#evidence")).to_contain_text("Of all 4 runs of this file.")
    expect(offline.locator("#figure-list figure")).to_have_count(2)
    assert offline.locator("#figure-list img").first.evaluate("image => image.naturalWidth") > 100
    expect_label(offline, "#multiples", "2 panels, one for each color separation")
    expect_label(offline, "#curve-loss", "ends at")


def test_everything_works_without_a_server(offline, folder):
    offline.locator("#time").fill("3")
    expect(offline.locator("#now")).to_have_text("step 1,000")
    offline.fill("#filter", "separation-0.2/seed-0")
    offline.click("#choose-shown")
    expect(offline.locator("#what")).to_contain_text("separation-0.2/seed-0")
    offline.locator("#protocols label", has_text="overprompting-color").click()
    offline.locator("#knobs label", has_text="strength").locator("input").fill("2")
    expect_lines(offline, 4 + 1)
    offline.locator("#sheet-box").scroll_into_view_if_needed()
    expect(offline.locator("#sheet")).to_have_attribute("data-rows", "12")
    offline.locator("#configs summary").first.click()
    expect(offline.locator("#configs pre").first).to_contain_text("color_separation = 0.2")
    expected = Run(folder / "separation-0.2" / "seed-0").trajectory()
    with offline.expect_download() as saved:
        offline.click("#save-csv")
    assert len(pd.read_csv(saved.value.path())) == len(expected)
    with offline.expect_download() as saved:
        offline.click("#save-parquet")
    assert set(pd.read_parquet(saved.value.path())["seed"]) == {0, 1}
    with offline.expect_download() as saved:
        offline.locator("#plot .tools button", has_text="SVG").click()
    assert "<svg" in saved.value.path().read_text()


def test_a_finding_leads_to_its_figure(offline):
    link = offline.locator("#evidence a").first
    expect(link).to_be_visible()
    target = link.get_attribute("href")
    assert target is not None
    expect(offline.locator(target)).to_have_count(1)
