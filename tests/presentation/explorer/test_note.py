"""A note becomes text and a few known tags; nothing of the author's is markup."""

from __future__ import annotations

import re

import pytest

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.note import LARGEST, note_html, read_note
from conceptspace.presentation.explorer.render import page

KNOWN = {"h3", "h4", "p", "ul", "ol", "li", "strong", "em", "code", "pre", "a", "blockquote"}


def test_the_markdown_that_is_known() -> None:
    assert note_html("# Why\nWe *ran* **twelve** seeds, see `best`.\n\n- one\n- two") == (
        "<h3>Why</h3><p>We <em>ran</em> <strong>twelve</strong> seeds, see <code>best</code>.</p>"
        "<ul><li>one</li><li>two</li></ul>"
    )
    assert note_html("1. a\n2. b\n\n> said") == (
        "<ol><li>a</li><li>b</li></ol><blockquote>said</blockquote>"
    )
    assert note_html("```py\na <b> *c*\n```") == "<pre>a &lt;b&gt; *c*</pre>"
    link = note_html("[paper](https://arxiv.org/abs/2406.19370_v_)")
    assert '<a href="https://arxiv.org/abs/2406.19370_v_" rel="noreferrer">paper</a>' in link
    assert note_html("") == ""


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        '[x](https://a"onmouseover="alert(1))',
        "![x](https://tracker.example/p.png)",
        "`<b>` **<i>** # <h1>",
        "</div></section><style>*{display:none}</style>",
        "\x000\x00 [a](https://b) \x005\x00",
    ],
)
def test_nothing_of_the_author_is_markup(text: str) -> None:
    html = str(note_html(text))
    tags = re.findall(r"<(/?)([a-z0-9]+)([^>]*)>", html)
    assert {name for _, name, _ in tags} <= KNOWN
    for _, name, attributes in tags:
        allowed = r'( href="(https?://|mailto:)[^"<> ]*" rel="noreferrer")?' if name == "a" else ""
        assert re.fullmatch(allowed, attributes)


def test_it_stands_on_the_page_and_only_when_there_is_one() -> None:
    assert '<div id="note-text"><p>Mind the seed.</p></div>' in page(
        "t", {}, connect=False, note="Mind the seed."
    )
    assert 'id="note-text"' not in page("t", {}, connect=False)


def test_what_is_no_note_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot be read as UTF-8 text"):
        read_note(tmp_path / "none.md")
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as UTF-8 text"):
        read_note(tmp_path / "binary.md")
    (tmp_path / "long.md").write_text("x" * (LARGEST + 1))
    with pytest.raises(UserError, match=f"at most {LARGEST} fit"):
        read_note(tmp_path / "long.md")
