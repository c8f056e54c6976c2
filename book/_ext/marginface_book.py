"""Sphinx extension: pages that need no network, are run two or more at a time, and again when code or data have changed."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jupyter_cache import get_cache
from myst_nb.core.read import create_nb_reader
from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.typing import stringify_annotation

import marginface
from marginface.book.building import Page, PageError, is_cached, run_pages

LOGGER = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(marginface.__file__).parent
NAMES = "(Arguments|Returns|Yields|Raises|Warns|Source)"
FIELD = rf"^{NAMES}: (\S.*(?:\n(?!{NAMES}:)(?=.*\S).*)*)"  # with the lines up to the next or to an empty one
SECTION = """
## {name}

```{{eval-rst}}
.. automodule:: {module}
   :members:
   :ignore-module-all:
```
"""


def complete(toc: dict[str, Any], notebooks: Iterable[str]) -> dict[str, Any]:
    """A table of contents with a further part for each paper that it does not name, before the audit.

    Arguments:
        notebooks: those that there are, as "notebooks/paper/table1".
    """
    named = {toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])}
    left = sorted(set(notebooks) - named)
    if not left:
        return toc
    from marginface.book.papers import ITEMS

    captions = {f"notebooks/{item.notebook}": item.paper for item in ITEMS}
    parts: dict[str, list[dict[str, str]]] = {}
    for name in left:
        parts.setdefault(captions.get(name, name.split("/")[-2]), []).append({"file": name})
    added = [{"caption": caption, "chapters": chapters} for caption, chapters in parts.items()]
    audit = [part["caption"] for part in toc["parts"]].index("The audit")
    return toc | {"parts": [*toc["parts"][:audit], *added, *toc["parts"][audit:]]}


def find_papers(app: Sphinx, config: Config) -> None:
    """Give notebooks and references of papers that were added their place in the book, without their being listed."""
    source, folder = Path(app.srcdir), Path(app.doctreedir)
    there = [path.relative_to(source) for path in sorted(source.glob("notebooks/*/*")) if path.suffix in (".ipynb", ".bib")]
    toc = yaml.safe_load((source / "_toc.yml").read_text())
    notebooks = [path.with_suffix("").as_posix() for path in there if path.suffix == ".ipynb"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toc.yml").write_text(yaml.safe_dump(complete(toc, notebooks), sort_keys=False))
    config.external_toc_path = str(folder / "toc.yml")
    config.bibtex_bibfiles = [*config.bibtex_bibfiles, *(path.as_posix() for path in there if path.suffix == ".bib")]


def set_up_theme(app: Sphinx, config: Config) -> None:
    """Light or dark as the system is; what a search puts first; version and date on each page; buttons for an address."""
    config.html_search_scorer = str(Path(__file__).with_name("scorer.js"))
    config.html_context.setdefault("default_mode", "auto")
    options = config.html_theme_options
    options["navbar_persistent"] = []  # one search field, in the sidebar, is enough
    options["extra_footer"] = f"<p>marginface {version('marginface')}, built {date.today().isoformat()}</p>"
    if options.get("repository_url"):
        options |= {"use_repository_button": True, "use_issues_button": True}
        services = {"colab_url": "https://colab.research.google.com", "binderhub_url": "https://mybinder.org"}
        options["launch_buttons"] = services


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
    """Drop the cached notebooks and the pages made from them if the library or the data have changed since.

    What is run from now on belongs to what they are now, whether or not the build comes to its end.
    """
    stamp, now = Path(app.outdir).parent / "fingerprint", fingerprint()
    if not stamp.exists() or stamp.read_text() != now:
        for folder in (Path(app.outdir).parent / ".jupyter_cache", Path(app.doctreedir)):
            shutil.rmtree(folder, ignore_errors=True)
        app.env.all_docs.clear()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(now)


def make_boxes(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Write what stands atop each page, and what it offers to take along, where the library or the data have changed."""
    folder, now = Path(app.outdir) / "_static" / "taken", fingerprint()
    if app.builder.format == "html" and not ((stamp := folder / "fingerprint").exists() and stamp.read_text() == now):
        subprocess.run([sys.executable, "-m", "marginface.book.boxes", str(folder)], check=True)
        stamp.write_text(now)


def add_box(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Put the box of a table or figure beneath the title of its page."""
    found = Path(app.outdir) / "_static" / "taken" / "boxes.json"
    box = json.loads(found.read_text()).get(page) if found.exists() else None
    if box:
        box = box.replace("{root}", "../" * page.count("/"))
        context["body"] = context["body"].replace("</h1>", f"</h1>{box}", 1)


def run_outdated(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run the pages that Sphinx is about to read, as far as nobody has, so that it finds their outputs in the cache."""
    cache = get_cache(env.mystnb_config.execution_cache_path)  # type: ignore[attr-defined]
    pages = [page for name in sorted(docnames) if (page := notebook_page(env, name)) and not is_cached(page, cache)]
    if not pages:
        return
    # records stand on rehearsals: each is played once, and not by every page that shows it, which would say what is wrong
    subprocess.run([sys.executable, "-m", "marginface.book.rehearsals"], check=False)
    seconds = Path(app.outdir).parent / "seconds.json"
    jobs = min(os.cpu_count() or 1, len(pages))
    try:
        run_pages(pages, cache, seconds, timeout=app.config.nb_execution_timeout, jobs=jobs, say=LOGGER.info)
    except PageError as error:
        raise ExtensionError(str(error)) from None


def notebook_page(env: BuildEnvironment, name: str) -> Page | None:
    """A document that is a notebook, as myst-nb will read it; None for text alone."""
    path = Path(env.doc2path(name))
    content = path.read_text(encoding="utf-8")
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, content)  # type: ignore[attr-defined]
    return reader and Page(name, path, reader.read(content))


def list_modules(app: Sphinx, name: str, source: list[str]) -> None:
    """Put all modules of a room where a page says so: "% every module of data, first types, catalog"."""

    def sections(found: re.Match[str]) -> str:
        room, first = found[1], found[2].split(", ")
        folder = PACKAGE if room == "losses" else PACKAGE / room
        names = [*first, *sorted({path.stem for path in folder.glob("[a-z]*.py")} - {*first})]
        home = "marginface" if room == "losses" else f"marginface.{room}"
        return "\n".join(SECTION.format(name=name, module=f"{home}.{name}") for name in names)

    source[0] = re.sub(r"^% every module of (\w+), first (.+)$", sections, source[0], flags=re.MULTILINE)


def set_docstring(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Turn a docstring, which is plain text with code in backticks, into what Sphinx reads.

    A line such as "Raises: ValueError for …" becomes a field, one that says what a field of a dataclass is, a definition; an
    indented block keeps its lines. Sections with an argument a line are left to napoleon.
    """
    plain = re.compile(r"(`[^`]*`)|(?<=\w)_(?!\w)|[*|]")  # signs that would be markup elsewhere
    text = plain.sub(lambda found: found[1] or "\\" + found[0], "\n".join(lines))
    text = re.sub(r"(?<=\n\n)(?: {4}.+\n)+", lambda block: re.sub(r"^ {4}", "    | ", block[0], flags=re.MULTILINE), text)
    text = re.sub(FIELD, lambda found: f"\n:{found[1]}: " + re.sub(r"\n *", "\n    ", found[2]), text, flags=re.MULTILINE)
    known = getattr(thing, "__annotations__", {}).keys()

    def define(found: re.Match[str]) -> str:
        names = found[1].split(", ")
        return f"\n{', '.join(f'`{name}`' for name in names)}\n    " if known >= {*names} else found[0]

    text = re.sub(r"^(\w+(?:, \w+)*): (?=\S)", define, text, flags=re.MULTILINE)
    text = re.sub(r"^( .+\n)(?=\S)", r"\1\n", text, flags=re.MULTILINE)  # what is indented ends with a blank line
    lines[:] = text.split("\n")


def name_arrays(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Say ArrayLike in a signature, and not the ten types that NumPy means by it; and nothing that is no Python."""
    signature = signature and signature.replace("<factory>", "...")
    for short, kind in (("int | ArrayLike", int | ArrayLike), ("ArrayLike", ArrayLike)):
        signature = signature and signature.replace(stringify_annotation(kind, "smart"), short)
    return signature, returns


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_css_file("marginface.css")
    app.setup_extension("sphinx.ext.autodoc")  # which has the event below
    app.connect("config-inited", find_papers)
    app.connect("config-inited", set_up_theme)
    app.connect("builder-inited", forget_old_outputs)
    app.connect("env-before-read-docs", make_boxes)
    app.connect("env-before-read-docs", run_outdated)
    app.connect("autodoc-process-docstring", set_docstring, priority=400)  # before napoleon reads the sections that remain
    app.connect("source-read", list_modules)
    app.connect("autodoc-process-signature", name_arrays)
    app.connect("html-page-context", drop_thebe)
    app.connect("html-page-context", add_box)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
