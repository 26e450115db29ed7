"""The documentation site: `make docs`. Every warning is an error, so that links and references are checked."""

from __future__ import annotations

from typing import Any

from stormcast_tw import __version__

project = "stormcast-tw"
author = "stormcast-tw"
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx.ext.intersphinx"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"stormcast-tw {__version__}"
html_show_copyright = False

# A notebook is shown as it was executed; tests/test_docs.py executes it anew.
nb_execution_mode = "off"
myst_heading_anchors = 3
myst_enable_extensions = ["linkify"]
suppress_warnings = ["myst.header"]

# Docstrings are plain sentences: a word in single backquotes is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_preserve_defaults = True
nitpicky = False
# Nothing is fetched while building: types of other projects are plain words.
intersphinx_mapping: dict[str, tuple[str, None]] = {}


def _bars_are_bars(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Keep |x - y| in a docstring from being read as a substitution."""
    lines[:] = [line.replace("|", r"\|") for line in lines]


def _contributing_is_a_page(app: Any, name: str, text: list[str]) -> None:
    text[0] = text[0].replace("](../CONTRIBUTING.md)", "](contributing.md)")


def setup(app: Any) -> None:
    """Connect the two hooks."""
    app.connect("autodoc-process-docstring", _bars_are_bars)
    app.connect("source-read", _contributing_is_a_page)
