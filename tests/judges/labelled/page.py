"""Generated images with labels, what judge and read-out say of them, and the page that shows it.

``python tests/judges/labelled/page.py`` writes index.html beside this file.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from conceptspace.config import merged, nested
from conceptspace.experiment import parts
from conceptspace.judges.judge import SHARPNESS, ShapesJudge
from conceptspace.presets import PRESETS
from conceptspace.worlds.shapes.world import ShapesWorld

FOLDER = Path(__file__).parent
PAGE, SHEET, TABLE = (FOLDER / name for name in ("index.html", "images.png", "labels.csv"))
COLUMNS, ROWS, WIDTH = 20, 18, 16
SCALE = 6

WORDS = {"color": ("red", "blue"), "size": ("large", "small")}
"""Bit 0, bit 1; the third answer is neither."""
ASPECTS = ("valid", *WORDS)
HALF_WAY = 0.15
"""Neither: within this of the middle between mean 0 (at 0) and mean 1 (at 1)."""
SURE = 1 / (1 + math.exp(-SHARPNESS * HALF_WAY))
"""The judge's probability of bit 1 at the end of that band."""


def images() -> Tensor:
    """Bytes, shape (360, 3, 16, 16)."""
    sheet = np.asarray(Image.open(SHEET)).reshape(ROWS, WIDTH, COLUMNS, WIDTH, 3)
    return torch.from_numpy(sheet.transpose(0, 2, 4, 1, 3).reshape(-1, 3, WIDTH, WIDTH).copy())


def labels() -> pd.DataFrame:
    """One row per image; columns color_1 to valid_3 hold the labels."""
    words = {"setting": str, "concept_class": str}
    return pd.read_csv(TABLE, dtype=words, keep_default_na=False).set_index("number")


def world(separation: float) -> ShapesWorld:
    changed = nested({"data.color_separation": separation})
    return parts.world(merged(PRESETS["quick"](), changed, "labels").data)


def read(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the judge says (valid, and probability of bit 1), and the read-out's coordinates."""
    pixels = images().float() / 255
    judged, places = [], []
    for separation, part in table.groupby("separation"):
        judge = ShapesJudge(world(float(separation)))
        chosen = pixels[part.index.tolist()]
        judgement = judge(chosen)
        found = pd.DataFrame(judgement.coordinates.double().numpy(), part.index, [*WORDS])
        judged.append(found.assign(valid=np.where(judgement.valid, "yes", "no")))
        coordinates = judge.readout.coordinates(chosen).double().numpy()
        places.append(pd.DataFrame(coordinates, part.index, [*WORDS]))
    return pd.concat(judged), pd.concat(places)


def in_words(values: pd.DataFrame, sure: float) -> pd.DataFrame:
    """Values in words: bit 1 above ``sure``, bit 0 below 1 - ``sure``, else neither."""
    said = values.copy()
    for aspect, (zero, one) in WORDS.items():
        high, low = values[aspect] > sure, values[aspect] < 1 - sure
        said[aspect] = np.where(high, one, np.where(low, zero, "neither"))
    return said


def votes(table: pd.DataFrame, aspect: str) -> pd.DataFrame:
    return table[[f"{aspect}_{k}" for k in (1, 2, 3)]].set_axis([1, 2, 3], axis=1)


def majority(table: pd.DataFrame, aspect: str) -> pd.Series:
    """What two labels or three say; missing if all differ."""
    of = votes(table, aspect)
    same = of[2].where(of[2] == of[3])
    return of[1].where((of[1] == of[2]) | (of[1] == of[3]), same)


def unanimous(table: pd.DataFrame, aspect: str) -> pd.Series:
    """What all three say, of those images alone; color and size of valid objects only."""
    of = votes(table, aspect)
    agreed = of[1][of.nunique(axis=1) == 1]
    if aspect == "valid":
        return agreed
    valid = unanimous(table, "valid")
    return agreed[agreed.index.isin(valid.index[valid == "yes"])]


def right(said: pd.DataFrame, wanted: pd.Series) -> pd.Series:
    """Whether the answer is the wanted one, for every image that has one."""
    return said.loc[wanted.index, str(wanted.name)] == wanted


def of_unanimous(said: pd.DataFrame, table: pd.DataFrame, aspect: str) -> pd.Series:
    return right(said, unanimous(table, aspect).rename(aspect))


def of_majority(said: pd.DataFrame, table: pd.DataFrame, aspect: str) -> pd.Series:
    wanted = majority(table, aspect).rename(aspect)
    return right(said, wanted if aspect == "valid" else wanted[majority(table, "valid") == "yes"])


def of_each_other(table: pd.DataFrame, aspect: str) -> pd.Series:
    """Whether two labels agree, for all three pairs; color and size where both say valid."""
    pairs = []
    for a, b in combinations((1, 2, 3), 2):
        same = votes(table, aspect)[a] == votes(table, aspect)[b]
        valid = (votes(table, "valid")[[a, b]] == "yes").all(axis=1)
        pairs.append(same if aspect == "valid" else same[valid])
    return pd.concat(pairs)


def summary(table: pd.DataFrame, said: pd.DataFrame) -> list[tuple[str, list[pd.Series]]]:
    """Per aspect: two labels, judge and unanimous labels, judge and the majority."""
    return [
        (
            "validity" if aspect == "valid" else aspect,
            [
                of_each_other(table, aspect),
                of_unanimous(said, table, aspect),
                of_majority(said, table, aspect),
            ],
        )
        for aspect in ASPECTS
    ]


def markdown(table: pd.DataFrame, said: pd.DataFrame) -> str:
    """The summary as rows for docs/judge.md; the middle column also in parts."""
    lines = []
    for name, (pairs, judged, most) in summary(table, said):
        part = table.loc[judged.index, "separation"]
        odd = judged.index % 2 == 1
        parts = (judged[part == 0.2], judged[part == 0.4], judged[~odd], judged[odd])
        cells = [share(pairs), f"{share(judged)} ({judged.sum()} of {len(judged)})"]
        lines.append(" | ".join([name, *cells, *map(share, parts), share(most)]))
    return "".join(f"| {line} |\n" for line in lines)


def share(same: pd.Series) -> str:
    return f"{100 * same.mean():.1f} %"


STYLE = f"""
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; max-width: 1280px; padding: 16px 12px 48px; color: #1c1c1c;
  background: #fff; font: 16px/1.5 system-ui, sans-serif }}
h1 {{ font-size: 26px; margin: 0 0 8px }}
h2 {{ font-size: 20px; margin: 36px 0 8px }}
p {{ max-width: 70ch; margin: 8px 0 }}
.wide {{ overflow-x: auto }}
.numbers {{ border-collapse: collapse; margin: 12px 0; font-size: 15px }}
.numbers th, .numbers td {{ padding: 4px 14px 4px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ccc }}
.numbers small {{ color: #595959; white-space: nowrap }}
.tiles {{ display: grid; gap: 8px; padding: 0; margin: 12px 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)) }}
.tiles li {{ border: 1px solid #d4d4d4; padding: 6px; font-size: 12px; line-height: 1.35;
  position: relative; scroll-margin: 12px }}
.tiles li.off {{ border-color: #b3261e; box-shadow: inset 0 0 0 2px #b3261e }}
.tiles li.off::after {{ content: "differs"; position: absolute; top: 6px; right: 6px;
  background: #b3261e; color: #fff; padding: 0 6px; font-weight: 600 }}
.tiles li:target {{ background: #fff3c4 }}
.picture {{ width: {SCALE * WIDTH}px; height: {SCALE * WIDTH}px; image-rendering: pixelated;
  background-size: {SCALE * WIDTH * COLUMNS}px {SCALE * WIDTH * ROWS}px }}
.tiles table {{ border-collapse: collapse; margin-top: 4px; width: 100%; table-layout: fixed }}
.tiles th, .tiles td {{ padding: 1px; text-align: left; font-weight: 400 }}
.tiles th {{ color: #595959; width: 20% }}
.tiles td:last-child {{ width: 25% }}
.tiles tr.judge {{ background: #efefef }}
.tiles td.no {{ color: #8a4b00 }}
.tiles td.off {{ background: #b3261e; color: #fff }}
@media (max-width: 480px) {{
  .tiles {{ grid-template-columns: 1fr 1fr }}
  .tiles li {{ padding: 5px; font-size: 11px }}
}}
"""


def tile(number: int, row: pd.Series, said: pd.Series, off: set[str]) -> str:
    """One image with its labels, the judge's answer below."""
    place = f"-{SCALE * WIDTH * (number % COLUMNS)}px -{SCALE * WIDTH * (number // COLUMNS)}px"
    asked = " ".join(str(row[c]) for c in ("protocol", "setting") if row[c])
    title = f"run {row.run}, sample {row['sample']}, step {row.step}, {asked}, {row.concept_class}"
    lines = []
    for who in (1, 2, 3, "judge"):
        cells = ""
        for aspect in ("color", "size", "valid"):
            word = said[aspect] if who == "judge" else row[f"{aspect}_{who}"]
            shown = {"yes": "valid", "no": "invalid"}.get(word, word)
            mark = "off" if who == "judge" and aspect in off else "no" if word == "no" else ""
            cells += f'<td class="{mark}">{shown}</td>' if mark else f"<td>{shown}</td>"
        kind = ' class="judge"' if who == "judge" else ""
        lines.append(f'<tr{kind}><th scope="row">{who}</th>{cells}</tr>')
    return (
        f'<li id="i{number}"{" class=off" if off else ""} title="{escape(title)}">{number}'
        f'<div class="picture" role="img" aria-label="image {number}" '
        f'style="background-position:{place}"></div><table>{"".join(lines)}</table></li>\n'
    )


def introduction(table: pd.DataFrame, said: pd.DataFrame) -> Iterator[str]:
    """What was labelled and how, and who agrees with whom."""
    separations = " and ".join(f"{value:g}" for value in table["separation"].unique())
    runs = table["run"].nunique()
    yield f"""<h1>{len(table)} generated images, labelled by eye</h1>
<p>Images of 16×16 pixels, from {runs} runs with color separations {separations}: early, middle and
late in training; asked for plainly, by overprompting, and by latent interventions with their
controls. Each image was labelled three times, independently: enlarged, in random order, beside
real examples of each class, on sheets that show neither its prompt nor an answer of the judge. A
label says the object's color (red, blue, neither), its size (large, small, neither), and whether
there is one valid object.</p>
<p>The judge says “neither” within {HALF_WAY:g} of half-way from mean 0 (at 0) to mean 1 (at 1). Its
agreement in color and size is counted on images that the labels call valid. Its thresholds were set
on these very images, by labels 1 and 3; label 2 came later. Below each image: labels 1, 2, 3 and
the judge.</p>
"""
    heads = ("two labels agree", "judge, where all three agree", "judge, with the majority")
    yield '<div class="wide"><table class="numbers"><tr><th scope="col"></th>'
    yield "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr>\n"
    for name, series in summary(table, said):
        cells = (f"<td>{share(s)}<br><small>{s.sum()} of {len(s)}</small></td>" for s in series)
        yield f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>\n'
    yield "</table></div>\n"


def page() -> str:
    """The whole page."""
    table = labels()
    said = in_words(read(table)[0], SURE)
    off: dict[int, set[str]] = {int(number): set() for number in table.index}
    differences = []
    for aspect in ASPECTS:
        same = of_unanimous(said, table, aspect)
        differing = [int(number) for number in same.index[~same]]
        for number in differing:
            off[number].add(aspect)
        links = ", ".join(f'<a href="#i{number}">{number}</a>' for number in differing)
        differences.append(f"{'validity' if aspect == 'valid' else aspect}: {links}")
    sheet = b64encode(SHEET.read_bytes()).decode()
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Labelled images and the judge</title>\n<style>{STYLE}"
        f".picture {{ background-image: url(data:image/png;base64,{sheet}) }}\n</style>\n",
        *introduction(table, said),
        f"<p>Where all three labels agree and the judge differs (marked red below): "
        f"{'; '.join(differences)}.</p>\n",
    ]
    for separation, part in table.groupby("separation"):
        counts = ", ".join(
            f"{name} {share(series[1])}" for name, series in summary(part, said.loc[part.index])
        )
        parts.append(
            f"<h2>Color separation {separation:g}</h2>\n"
            f"<p>{len(part)} images. The judge, where all three labels agree: {counts}.</p>\n"
            '<ul class="tiles">\n'
        )
        parts += [tile(int(n), row, said.loc[n], off[int(n)]) for n, row in part.iterrows()]
        parts.append("</ul>\n")
    return "".join(parts) + "</html>\n"


if __name__ == "__main__":
    PAGE.write_text(page())
