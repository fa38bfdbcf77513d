"""Sphinx: `make docs`. Nothing is downloaded; pages of losses and peers are generated (catalogue.py)."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent
# The modules beside this file; the table of equivalents that the tests read as well.
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import fastloss  # noqa: E402

project = "fastloss"
author = "The fastloss developers"
copyright = f"2026, {author}"
version = release = fastloss.__version__

extensions = [
    "catalogue",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "**/*.py", "**/*.ipynb", "generated/report"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(catboost|dask|lightgbm|numpy|onnx|scipy|sklearn|torch|xgboost)\..*"),  # their pages are not looked at
    ("py:obj", "[a-z_]+"),  # parameters: the default role links what can be imported, and some of them can
]
templates_path = ["_templates"]
default_role = "autolink"

autodoc_typehints = "none"  # numpydoc's sections have them, in words
autodoc_mock_imports = ["dask", "torch"]  # large, and not needed for signatures and docstrings
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_rcparams = {
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
plot_apply_rcparams = True
# Examples whose library is not there are shown without being run.
MISSING = [
    stem
    for stem, library in {"digits_keras": "tensorflow", "digits_torch": "torch"}.items()
    if importlib.util.find_spec(library) is None
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "filename_pattern": rf"/plot_(?!{'|'.join([*MISSING, '$'])})",
    "gallery_dirs": "generated/gallery",
    "reset_argv": "catalogue.arguments_of_examples",
    "reset_modules": ("matplotlib", "catalogue.forget_mocked_torch"),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}

html_sidebars = {page: [] for page in ("start", "guide", "generated/api")}
html_theme = "pydata_sphinx_theme"
html_title = "fastloss"
html_static_path = ["_static"]
html_extra_path = ["generated/report"]  # what `fastloss compare` writes
html_css_files = ["fastloss.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
}
