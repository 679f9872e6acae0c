"""The page of Fig. 15: cubes that turn, cut at one step."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabricated import make_space, make_table
from playwright.sync_api import Page, expect

from conceptspace.paper.fig15.cubes import cube_page
from conceptspace.tables import NAIVE

pytestmark = pytest.mark.browser


def test_cases_of_different_length_are_cut_at_the_same_step(page: Page, tmp_path: Path) -> None:
    space = make_space(3)
    long = make_table(space, 0, "run", {NAIVE: {"": 2900.0}})
    last = int(long["step"].max())
    short = long[long["step"] <= last / 2]
    path = tmp_path / "cubes.html"
    path.write_text(cube_page({"long": (long, space), "short": (short, space)}))
    page.goto(path.as_uri())
    pictures = "() => [...document.querySelectorAll('canvas')].map((c) => c.toDataURL())"
    shown = page.locator("#shown")
    expect(shown).to_have_text(str(last))
    whole = page.evaluate(pictures)
    page.locator("#step").fill("60")
    expect(shown).to_have_text(str(max(s for s in long["step"] if s <= 0.6 * last)))
    later = page.evaluate(pictures)
    assert later[0] != whole[0]
    assert later[1] == whole[1], "it has ended by then"
    page.locator("#step").fill("25")
    earlier = page.evaluate(pictures)
    assert earlier[1] != whole[1]
    assert earlier[0] != later[0]
    page.locator("#step").fill("1")
    expect(shown).to_have_text(str(long["step"].min()))
