"""Sphinx's settings for the reading edition; `make book` calls it."""

import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = PROJECT["name"].replace("-", "_")
author = PROJECT["authors"][0]["name"]
copyright = author
version = release = PROJECT["version"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings", "mathml", "page"]
html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses on the file system
html_theme_options = {
    "use_download_button": False,  # what it offers is not there; page.py adds a button that prints
    "show_navbar_depth": 1,
    "toc_title": "On this page",
}
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # no state of widgets is stored: explorers are pages of their own
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
default_role = "literal"  # in docstrings `x` is code
autodoc_default_options = {"special-members": "__call__", "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autoclass_content = "both"
napoleon_use_ivar = True  # else attributes of data classes come twice
suppress_warnings = ["ref.python"]  # a field's name that two classes have
add_module_names = False
