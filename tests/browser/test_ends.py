"""Between which two of many values an axis runs is chosen on the page."""

from __future__ import annotations

import pandas as pd
import pytest
from looking import opened
from playwright.sync_api import Page, expect

from conceptspace.analysis.reading import read_trajectory
from conceptspace.presentation.table_page import analyze

pytestmark = pytest.mark.browser

STEPS = (1, 2, 3, 4)


def many_valued() -> pd.DataFrame:
    """Class 20 moves from value 0 to value 2 of hue, and to value 0 of shape."""
    rows = []
    for step in STEPS:
        share = step / len(STEPS)
        hue = (round(0.9 * (1 - share), 3), 0.1, round(0.9 * share, 3))
        rows.append((step, "20", "hue", hue[2], *hue))
        rows.append((step, "20", "shape", share, None, None, None))
        rows.append((step, "00", "hue", 0.8, 0.8, 0.1, 0.1))
        rows.append((step, "00", "shape", 0.9, None, None, None))
    columns = ["step", "concept_class", "concept", "accuracy", "p0", "p1", "p2"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def of_table(page: Page, tmp_path) -> Page:
    analyze(read_trajectory(many_valued()), tmp_path / "page.html", title="Three hues")
    opened(page, (tmp_path / "page.html").as_uri())
    return page


def hue(page: Page) -> str:
    """The coordinate of class 20 along hue at the last step, as it is written beside the plot."""
    row = page.locator("#detail tr", has_text="hue")
    return row.locator("td").nth(1).inner_text()


def test_another_pair_moves_the_trajectory(of_table: Page):
    start, end = of_table.get_by_label("x axis from"), of_table.get_by_label("x axis to")
    expect(start).to_have_value("0")
    expect(end).to_have_value("1")
    expect(of_table.get_by_label("y axis from")).to_be_hidden()  # shape has two values
    expect(of_table.locator("#plot")).to_have_attribute("data-lines", "1")  # 20 is off the axes
    end.select_option("2")
    expect(of_table.locator("#plot")).to_have_attribute("data-lines", "2")
    of_table.locator("#classes input[value='00']").uncheck()
    expect(of_table.locator("#plot")).to_have_attribute("data-lines", "1")
    assert hue(of_table).startswith("0.95")  # (1 + 0.9 - 0) / 2
    end.select_option("1")
    expect(of_table.locator("#plot")).to_have_attribute("data-lines", "0")
    assert hue(of_table).startswith("0.55")  # (1 + 0.1 - 0) / 2


def test_the_two_ends_stay_apart_and_move_with_their_concept(of_table: Page):
    start, end = of_table.get_by_label("x axis from"), of_table.get_by_label("x axis to")
    end.select_option("2")
    start.select_option("2")
    expect(end).to_have_value("0")  # given in exchange
    of_table.get_by_label("x axis", exact=True).select_option("1")  # shape goes to x, hue to y
    expect(start).to_be_hidden()
    expect(of_table.get_by_label("y axis from")).to_have_value("2")
    expect(of_table.get_by_label("y axis to")).to_have_value("0")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_page(of_table: Page, width: int):
    of_table.set_viewport_size({"width": width, "height": 900})
    of_table.get_by_label("x axis to").select_option("2")
    wide = of_table.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
