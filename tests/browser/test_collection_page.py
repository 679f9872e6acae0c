"""Ten thousand runs: the list is there in two seconds, a hundred chosen ones are drawn in one.

The limits leave room for a busy machine; ``measure_collection.py`` prints the times themselves.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from measure_collection import READY, choose_listed, first_table
from playwright.sync_api import expect

from collected import write_many

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("many") / "collection"
    write_many(place, 400, checkpoints=6)
    return place


def test_of_many_runs_a_few_are_drawn_and_a_hundred_when_chosen(page, serve, folder):
    served = serve(folder)
    assert first_table(page, served.url) < 15
    page.wait_for_selector(READY, state="attached")
    assert page.locator("#run-table tbody tr").count() == 100
    assert "12 of 400 runs chosen" in page.locator("#chosen").inner_text()
    page.locator("#run-table tfoot button").click()
    expect(page.locator("#run-table tbody tr")).to_have_count(200)
    page.fill("#filter", "color_separation-0.1,")
    expect(page.locator("#chosen")).to_contain_text("80 listed")
    assert choose_listed(page) < 15
    assert "80 of 400 runs chosen" in page.locator("#chosen").inner_text()
    assert int(page.locator("#plot").get_attribute("data-lines") or 0) == 20 * 4  # means, classes


def test_brushing_an_axis_lists_the_runs_within(page, serve, folder):
    served = serve(folder)
    first_table(page, served.url)
    page.wait_for_selector(READY, state="attached")
    page.locator("#settings-box summary").click()
    canvas = page.locator("#settings-lines canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 70, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(page.locator("#chosen")).to_contain_text(re.compile(r", \d+ listed"))
    names = page.locator("#run-table tbody td.run").all_inner_texts()
    assert names
    assert all(name.startswith("color_separation-0.1,") for name in names)
    page.mouse.click(box["x"] + 70, box["y"] + 100)
    expect(page.locator("#chosen")).not_to_contain_text("listed")
