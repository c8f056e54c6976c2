"""What is kept between two builds of the book: found again, forgotten with the code that computed it, never in the way."""

import os
import time
from pathlib import Path

import pytest

from marginface.book import memory


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory.pooch, "os_cache", lambda name: tmp_path / name)
    return tmp_path


def test_it_is_computed_once() -> None:
    asked = iter([[0.1 + 0.2]])
    values = [memory.remembered("sums", "one", lambda: next(asked)) for _ in range(3)]
    assert values == [[0.1 + 0.2]] * 3, "to the last bit"


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"nul", b"[" * 10**5, b"1" * 5000])
def test_a_broken_file_is_ignored_and_written_anew(damage: bytes) -> None:
    memory.keep("sums", "one", [1.0])
    path = memory.folder() / "sums" / "one.json"
    path.write_bytes(damage)
    assert memory.recall("sums", "one") is None
    assert memory.remembered("sums", "one", lambda: [2.0]) == [2.0]
    assert memory.recall("sums", "one") == [2.0]


def test_a_cache_that_cannot_be_written_is_no_obstacle(cache: Path) -> None:
    (cache / "marginface").write_text("a file where a folder should be")
    assert memory.remembered("sums", "one", lambda: 3.0) == 3.0
    assert memory.recall("sums", "one") is None


def test_other_code_remembers_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.keep("sums", "one", 1.0)
    monkeypatch.setattr(memory, "code", lambda: "0" * 16)
    assert memory.recall("sums", "one") is None


def test_code_is_what_a_training_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("margins.py", "data/catalog.py", "book/items.py", "book/rehearsals.py", "commands/main.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a = 1\n")
    monkeypatch.setattr(memory.marginface, "__file__", str(tmp_path / "__init__.py"))
    code = memory.code.__wrapped__
    before = code()
    assert code() == before
    for name, changes in {
        "book/items.py": False,
        "commands/main.py": False,
        "book/rehearsals.py": True,
        "margins.py": True,
    }.items():
        (tmp_path / name).write_text("a = 2\n")
        assert (code() != before) == changes, name
        before = code()
    (tmp_path / "margins.py").rename(tmp_path / "margin.py")
    assert code() != before
    before = code()
    monkeypatch.setattr(memory, "version", lambda package: "2.99" if package == "torch" else "1")
    assert code() != before


def test_states_of_the_code_that_are_long_gone_are_removed() -> None:
    states = memory.folder().parent
    old, young = states / "old", states / "young"
    for state in (old, young):
        (state / "sums").mkdir(parents=True)
    long_ago = time.time() - 2 * memory.OLD
    for path in (old / "sums", old):
        os.utime(path, (long_ago, long_ago))
    memory.keep("sums", "one", 1.0)
    assert not old.exists()
    assert young.exists()
