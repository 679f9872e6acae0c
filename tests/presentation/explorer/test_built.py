"""The page's script is what its sources give, and cannot do what it must not."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conceptspace.presentation.explorer.render import STATIC, script

PAGE = Path(__file__).parents[3] / "page"


def test_it_was_built_of_the_sources_as_they_are():
    digest = hashlib.sha256()
    for path in [*sorted((PAGE / "src").glob("*.ts")), PAGE / "package-lock.json"]:
        digest.update(path.read_bytes())
    found = re.search(r"`make page`: ([0-9a-f]{64})", script())
    assert found is not None
    assert found[1] == digest.hexdigest(), "run `make page` and commit static/page.js"


def test_node_builds_the_same_file(tmp_path):
    node = shutil.which("node")
    if node is None or not (PAGE / "node_modules" / "esbuild").exists():
        pytest.skip("needs node and `npm ci` in page/")
    out = tmp_path / "page.js"
    subprocess.run([node, PAGE / "build.mjs", f"--out={out}"], check=True, cwd=PAGE)
    assert out.read_text() == script()


def test_no_text_becomes_markup_or_code():
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function"
    sources = sorted((PAGE / "src").glob("*.ts"))
    assert len(sources) > 30
    for path in sources:
        assert not re.search(forbidden, path.read_text()), path.name
    assert "</script" not in script()


def test_the_statistics_are_tested_with_numbers_of_these_functions():
    spec = importlib.util.spec_from_file_location("vectors", PAGE / "test" / "vectors.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    kept = json.loads((PAGE / "test" / "vectors.json").read_text())
    assert kept["wilson"] == [pytest.approx(row, rel=1e-12) for row in made.vectors()["wilson"]]
    assert [of["high"] for of in kept["means"]] == pytest.approx(
        [of["high"] for of in made.vectors()["means"]]
    )


def test_what_is_inside_is_listed_with_its_licence():
    record = (STATIC / "licences" / "README.md").read_text()
    locked = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    inside = [name for name, of in locked.items() if name and not of.get("dev")]
    assert inside
    for name in inside:
        assert name.rpartition("/")[2] in record, name
