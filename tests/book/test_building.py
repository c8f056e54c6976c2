"""Pages run several at a time: each once, in its own folder, with an order, a forecast and errors that say what is wrong."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_cache import get_cache

from marginface.book import building
from marginface.book.building import Page, PageError, is_cached, run_pages

WHERE = "from pathlib import Path\nprint(Path.cwd().name)"
WRONG = "def inner(n):\n    return 1 / n if n == 0 else inner(n - 1)\n\n\ninner(12)"


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    return get_cache(tmp_path / "cache")


def page(folder: Path, name: str, code: str) -> Page:
    """A page with one cell, its file in the folder of its name."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = folder / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return Page(name, path, notebook)


@pytest.mark.slow
def test_pages_are_run_once_and_errors_are_told_in_full(tmp_path: Path, cache: Any) -> None:
    seconds, said = tmp_path / "seconds.json", list[str]()
    good = [page(tmp_path, "one/table", f"{WHERE}  # first"), page(tmp_path, "two/table", f"{WHERE}  # second")]
    bad = page(tmp_path, "one/broken", WRONG)
    with pytest.raises(PageError) as caught:
        run_pages([*good, bad], cache, seconds, timeout=600, jobs=2, say=said.append)
    told = str(caught.value)
    assert "one/broken failed" in told
    assert "ZeroDivisionError: division by zero" in told
    assert told.count("in inner(n)") == 13, "a traceback is told in full"
    assert "\x1b" not in told, "without colours, which a log does not show"
    assert "1 of 3 pages failed" in told
    assert not is_cached(bad, cache)
    for each in good:
        (output,) = cache.get_cache_bundle(cache.match_cache_notebook(each.notebook).pk).nb.cells[0].outputs
        assert output["text"].strip() == each.path.parent.name
    assert said[0].startswith("3 pages to run, 2 at a time")
    assert [line.split("]")[0] for line in said if "running" in line] == ["[1/3", "[2/3", "[3/3"]
    assert set(json.loads(seconds.read_text())) == {"one/table", "two/table", "one/broken"}

    said.clear()
    assert run_pages(good, cache, seconds, timeout=600, jobs=2, say=said.append) == 0
    assert said == []


@pytest.mark.slow
def test_a_kernel_that_dies_is_told_with_its_page(tmp_path: Path, cache: Any) -> None:
    dead = page(tmp_path, "dead", "import os\nos._exit(3)")
    with pytest.raises(PageError, match=r"dead failed:[\s\S]*DeadKernelError"):
        run_pages([dead], cache, tmp_path / "seconds.json", timeout=600, jobs=1, say=lambda line: None)


@pytest.mark.parametrize("damage", ["", "[1, 2]", '{"a": "long"}', "{", "[" * 10**5, '{"a": ' + "1" * 400 + "}"])
def test_what_is_known_of_times_may_be_damaged(tmp_path: Path, damage: str) -> None:
    (tmp_path / "seconds.json").write_text(damage)
    assert building._read_seconds(tmp_path / "seconds.json") == {}
    assert building._read_seconds(tmp_path / "missing.json") == {}


def test_the_forecast_counts_what_is_begun_and_the_longest_page(tmp_path: Path) -> None:
    pages = [page(tmp_path, name, name) for name in "abc"]
    known = {"a": 30.0, "b": 10.0, "c": 2.0}
    assert building._left(pages, [], known, jobs=2) == 30, "one page is not shared by two processes"
    assert building._left(pages, [], known, jobs=1) == 42
    begun = [(pages[0], building.monotonic() - 25.0)]
    assert building._left(pages[1:], begun, known, jobs=1) == pytest.approx(17, abs=1)
    assert building._left(pages[:1], [], {}, jobs=1) == building.GUESS
