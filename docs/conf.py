"""Sphinx builds the documentation from this file: `make docs`."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
# What is described is this checkout, whatever else is installed.
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent / "src")]

project = "Unmix"
author = "The Unmix developers"
copyright = author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "python_reference",
    "reference_pages",
    "site_check",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(torch|numpy|collections|pathlib)\..*|Tensor")]  # described elsewhere
highlight_language = "none"  # of blocks that name no language: command lines, and what they print
smartquotes = False  # as typed: a quote in a text is one of the command line

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "cache"  # filled by tests/test_notebooks.py, which also runs the notebooks
nb_execution_cache_path = str(DOCS / "_build" / ".jupyter_cache")
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # seconds of a cell

default_role = "code"  # single backticks in docstrings
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_custom_sections = ["Shape", "Source"]
napoleon_use_param = False
napoleon_use_rtype = False
maximum_signature_line_length = 80

html_theme = "furo"
html_title = "Unmix"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["search_files.js"]
html_copy_source = False
