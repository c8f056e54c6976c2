"""Sphinx extension: a book that needs no network, and buttons only where there is an address for them."""

import shutil
from pathlib import Path
from typing import Any

import plotly
from sphinx.application import Sphinx
from sphinx.config import Config


def set_up_theme(app: Sphinx, config: Config) -> None:
    """Light or dark as the reader's system is; repository and Colab buttons if _config.yml knows where the repository is."""
    config.html_context.setdefault("default_mode", "auto")
    options = config.html_theme_options
    options["navbar_persistent"] = []  # one search field, in the sidebar, is enough
    if options.get("repository_url"):
        options |= {"use_repository_button": True, "use_issues_button": True}
        options["launch_buttons"] = {"colab_url": "https://colab.research.google.com"}


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Remove the scripts that Jupyter Book adds for thebe, which is not used here and would be loaded from a CDN."""
    scripts = context["script_files"]
    context["script_files"] = [s for s in scripts if "thebe" not in f"{s}{getattr(s, 'attributes', '')}".lower()]


def copy_plotly(app: Sphinx, error: Exception | None) -> None:
    """Put the installed plotly.js beside the pages, where lib/marginface/figure.js looks for it."""
    if error is None and app.builder.format == "html":
        source = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        shutil.copyfile(source, Path(app.outdir) / "_static" / source.name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_css_file("marginface.css")
    app.connect("config-inited", set_up_theme)
    app.connect("html-page-context", drop_thebe)
    app.connect("build-finished", copy_plotly)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
