"""The site: pages in Markdown, the reference from docstrings. ``make docs`` builds it."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate

from conceptspace import __version__

generate.write(HERE / "generated")

project = "conceptspace"
author = "The conceptspace developers"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
templates_path = ["_templates"]
root_doc = "README"
exclude_patterns = ["_build", "_templates", "examples"]

html_theme = "furo"
html_title = f"conceptspace {release}"

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
myst_url_schemes = {"http": None, "https": None, "mailto": None}

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\.md[^)]*\)")
"""Links to pages of the repository that are not part of the site."""


def without_links_outside(app, name, source):
    """Keep the text of links that lead out of the site."""
    source[0] = OUTSIDE.sub(r"\1", source[0])


def setup(app):
    app.connect("source-read", without_links_outside)


doctest_global_setup = """
import numpy as np
import pandas as pd
import torch
from conceptspace import *
"""
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
nitpicky = False
