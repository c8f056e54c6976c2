"""Sphinx extension: pages that need no network, are run again when code or data change, and have no broken buttons."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import plotly
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]


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


def fingerprint() -> str:
    """sha256 over everything that a notebook's output depends on and its own text does not show: the library and the data."""
    digest = hashlib.sha256()
    for folder in ("lib", "data"):
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.is_file() and path.suffix != ".pyc" and not path.name.startswith("."):
                digest.update(f"{path.relative_to(ROOT)}".encode() + path.read_bytes())
    return digest.hexdigest()


def forget_old_outputs(app: Sphinx) -> None:
    """Drop the cached notebooks and the pages made from them if the library or the data have changed since."""
    stamp = Path(app.outdir).parent / "fingerprint"
    if not stamp.exists() or stamp.read_text() != fingerprint():
        for folder in (Path(app.outdir).parent / ".jupyter_cache", Path(app.doctreedir)):
            shutil.rmtree(folder, ignore_errors=True)
        app.env.all_docs.clear()


def remember_outputs(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        (Path(app.outdir).parent / "fingerprint").write_text(fingerprint())


def copy_plotly(app: Sphinx, error: Exception | None) -> None:
    """Put the installed plotly.js beside the pages, where lib/marginface/plots/figure.js looks for it."""
    if error is None and app.builder.format == "html":
        source = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        shutil.copyfile(source, Path(app.outdir) / "_static" / source.name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_css_file("marginface.css")
    app.connect("config-inited", set_up_theme)
    app.connect("builder-inited", forget_old_outputs)
    app.connect("html-page-context", drop_thebe)
    app.connect("build-finished", remember_outputs)
    app.connect("build-finished", copy_plotly)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
