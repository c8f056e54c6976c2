"""Sphinx extension: a book that needs no network, and buttons only where there is an address for them."""

import shutil
from pathlib import Path
from typing import Any

import plotly
from sphinx.application import Sphinx
from sphinx.config import Config


def add_buttons(app: Sphinx, config: Config) -> None:
    """Repository and Colab buttons, if _config.yml knows where the repository is."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options |= {"use_repository_button": True, "use_issues_button": True}
        options["launch_buttons"] = {"colab_url": "https://colab.research.google.com"}


def copy_plotly(app: Sphinx, error: Exception | None) -> None:
    """Put the installed plotly.js beside the pages, where lib/marginface/figure.js looks for it."""
    if error is None and app.builder.format == "html":
        source = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        shutil.copyfile(source, Path(app.outdir) / "_static" / source.name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_css_file("marginface.css")
    app.connect("config-inited", add_buttons)
    app.connect("build-finished", copy_plotly)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
