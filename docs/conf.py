"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

from han import __version__

project = "han"
author = "The han maintainers"
copyright = "the han maintainers"  # noqa: A001
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nitpicky = False
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes and units
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "alabaster"
html_title = f"han {__version__}"
html_theme_options = {
    "description": "Hierarchical attention networks for documents of any length",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_show_sourcelink = False
