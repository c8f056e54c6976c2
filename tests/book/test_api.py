"""The pages of the library: every module of its rooms has a place on one, and docstrings become what Sphinx reads."""

import importlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

import marginface

ROOT = Path(__file__).parents[2]
PACKAGE = Path(marginface.__file__).parent
sys.path.insert(0, str(ROOT / "book"))

from _ext.marginface_book import list_modules, name_arrays, set_docstring  # noqa: E402


def test_every_module_of_the_library_is_on_a_page_once() -> None:
    found: list[str] = []
    for path in sorted((ROOT / "book" / "api").glob("*.md")):
        source = [path.read_text()]
        list_modules(None, path.stem, source)  # type: ignore[arg-type]
        found += re.findall(r"^\.\. automodule:: (\S+)$", source[0], re.MULTILINE)
    rooms = (".", "backbones", "data", "evaluation", "training", "book")
    paths = [path for room in rooms for path in (PACKAGE / room).glob("[a-z]*.py")]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths]
    assert sorted(found) == sorted(["marginface.backbones", *modules])


def test_the_drawing_links_to_what_there_is() -> None:
    links = re.findall(r'href="api/(\w+)\.html#(module-)?(marginface\.[\w.]+)"', (ROOT / "book" / "made.md").read_text())
    assert len(links) == 4
    for page, module, name in links:
        assert (ROOT / "book" / "api" / f"{page}.md").exists()
        home, _, thing = name.rpartition(".")
        assert importlib.import_module(name) if module else hasattr(importlib.import_module(home), thing)


@dataclass
class Thing:
    """Nothing."""

    left: int
    right: int


def read(docstring: str, thing: Any = Thing) -> str:
    lines = docstring.splitlines()
    set_docstring(None, "class", "Thing", thing, None, lines)  # type: ignore[arg-type]
    return "\n".join(lines)


def test_what_a_docstring_says_in_a_line_becomes_a_field_or_a_definition() -> None:
    text = (
        "A thing.\n\nleft, right: ways\n    to go.\nNote: as it is.\nReturns: one\nor two.\nRaises: ValueError for\n    none."
    )
    definition = "`left`, `right`\n    ways\n    to go."
    fields = ":Returns: one\n    or two.\n\n:Raises: ValueError for\n    none."
    assert read(text) == f"A thing.\n\n\n{definition}\n\nNote: as it is.\n\n{fields}"
    assert "left, right: ways" in read(text, thing=read), "which has no such fields"


def test_plain_signs_are_no_markup() -> None:
    assert read("IJBC_ has `a_` in *.bin, |u| and w_y") == "IJBC\\_ has `a_` in \\*.bin, \\|u\\| and w_y"


def test_an_indented_block_keeps_its_lines() -> None:
    assert read("With\n\n    f = 1\n    g = 2\n\nand so on") == "With\n\n    | f = 1\n    | g = 2\n\nand so on"


def test_arrays_have_their_name_in_signatures() -> None:
    x, folds = (stringify_annotation(kind, "smart") for kind in (ArrayLike, int | ArrayLike))
    signature = f"(x: {x}, folds: {folds} = 10, more: list = <factory>)"
    short = "(x: ArrayLike, folds: int | ArrayLike = 10, more: list = ...)"
    assert name_arrays(None, "", "", None, None, signature, "int") == (short, "int")  # type: ignore[arg-type]
