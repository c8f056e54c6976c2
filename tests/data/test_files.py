"""Reading and writing whole files."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest

from marginface.data import files
from marginface.data.archives import extract
from marginface.data.bins import load_bin
from marginface.data.datasets import read_catalogue
from marginface.data.files import new_folder, printable, quoted, read_bytes, read_lines, writing
from marginface.data.folders import list_people
from marginface.data.images import read_image
from marginface.data.insightface import load
from marginface.data.lists import ijb_media, ijb_metadata, image_list, noise_list
from marginface.data.mnist import read_idx
from marginface.data.pairs import lfw_pairs, lfw_people, ytf_pairs
from marginface.data.record_file import read_index
from marginface.data.recordio import RecordDataset
from marginface.data.types import DataMissingError
from marginface.training import checkpoints


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with writing(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    with writing(path) as file:
        file.write(b"again")
    assert path.read_bytes() == b"again"
    assert [found.name for found in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("error", [ValueError("half"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_fails(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")

    def write_half() -> None:
        with writing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["old"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """/dev/full takes no byte: what a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def write_more() -> None:
        with writing(tmp_path / "new"), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"more")

    with pytest.raises(OSError, match=r"new was not written: No space left"):
        write_more()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere.new was not written: No such file"), writing(tmp_path / "nowhere" / "new"):
        pass


def write_half(kind: str, path: Path, told: Connection) -> None:
    with getattr(files, kind)(path) as half:
        if isinstance(half, Path):
            (half / "below").mkdir()
            (half / "below" / "1").write_bytes(b"half")
        else:
            half.write(b"half")
            half.flush()
        told.send("half")
        told.recv()


@contextmanager
def other_process(kind: str, path: Path) -> Iterator[tuple[ForkProcess, Connection]]:
    """A process that has written half of it, and goes on when it is told to."""
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=write_half, args=(kind, path, theirs))
    process.start()
    try:
        assert ours.recv() == "half"
        yield process, ours
    finally:
        process.kill()
        process.join()


def write_it(path: Path, kind: str) -> None:
    make: Callable[[Path], AbstractContextManager[Any]] = getattr(files, kind)
    with make(path) as made:
        (made / "1").write_bytes(b"all") if isinstance(made, Path) else made.write(b"all")


@pytest.mark.parametrize("kind", ["writing", "new_folder"])
def test_what_a_killed_process_left_goes_away_when_the_same_is_written_again(kind: str, tmp_path: Path) -> None:
    names = ["[new].rec", "[new].rec2", "n"]
    for name in names:
        with other_process(kind, tmp_path / name) as (process, _):
            process.kill()  # it cannot clean up
            process.join()
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 3
    write_it(tmp_path / names[0], kind)
    now = {path.name for path in tmp_path.iterdir()}
    assert now - left == {"[new].rec"}
    assert {name.rsplit(".", 2)[0] for name in now & left} == {".[new].rec2", ".n"}  # what is left of others is not ours


@pytest.mark.parametrize("kind", ["writing", "new_folder"])
def test_what_a_living_process_writes_stays(kind: str, tmp_path: Path) -> None:
    with other_process(kind, tmp_path / "other") as (process, told):
        (before,) = tmp_path.iterdir()
        write_it(tmp_path / "other", kind)
        assert {path.name for path in tmp_path.iterdir()} == {"other", before.name}
        if kind == "writing":
            told.send("go on")
            process.join()
            assert (process.exitcode, (tmp_path / "other").read_bytes()) == (0, b"half")
            assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    failed = []

    def write_often(content: bytes) -> None:
        try:
            for _ in range(100):
                with writing(tmp_path / "same") as file:
                    file.write(content)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write_often, args=(bytes([i]) * 10,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [path.name for path in tmp_path.iterdir()] == ["same"]
    assert (tmp_path / "same").read_bytes() in [bytes([i]) * 10 for i in range(4)]


def test_without_locks_nothing_of_others_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    left = f".new.{'0' * 32}.tmp"
    (tmp_path / left).touch()
    write_it(tmp_path / "new", "writing")
    assert {path.name for path in tmp_path.iterdir()} == {"new", left}


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "a" / "new") as folder:
            (folder / "1").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "a").iterdir()) == []
    write_it(tmp_path / "a" / "new", "new_folder")
    with pytest.raises(ValueError, match="new: it exists already"), new_folder(tmp_path / "a" / "new"):
        pass


@pytest.mark.parametrize("read", [read_bytes, read_lines])
def test_a_pipe_is_no_file_and_does_not_hang(read: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ValueError, match=r"pipe\.jpg: not a plain file"):
        read(tmp_path / "pipe.jpg")


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    path.write_bytes(b"\xe9")
    assert printable(path) == f"{tmp_path}/caf\\xe9"
    for action in (lambda: read_lines(path), lambda: read_bytes(path / "x"), lambda: write_it(path / "x", "writing")):
        with pytest.raises((ValueError, OSError)) as error:
            action()
        str(error.value).encode()
        assert "caf\\xe9" in str(error.value)


READERS: dict[str, Callable[[Path], object]] = {
    "image": read_image,
    "verification set": load_bin,
    "archive": lambda path: extract(path, path.with_name("new")),
    "records": RecordDataset,
    "index": lambda path: read_index(path, 100),
    "MNIST": read_idx,
    "pairs of LFW": lfw_pairs,
    "people of LFW": lfw_people,
    "pairs of YTF": ytf_pairs,
    "media of IJB": ijb_media,
    "metadata of IJB": ijb_metadata,
    "list of images": image_list,
    "list of noise": noise_list,
    "people": list_people,
    "data": lambda path: load(path.parent, path.name),
    "pages": read_catalogue,
    "checkpoint": checkpoints.read,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"\xff\xfe{", None])
def test_whatever_is_read_errors_can_be_printed(name: str, content: bytes | None, tmp_path: Path) -> None:
    """Also where a folder or a file have names that are no UTF-8."""
    path = tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xe9.dat")
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, OSError)) as error:
        READERS[name](path)
    str(error.value).encode()
    assert "caf\\xe9" in str(error.value)


def test_a_long_text_is_quoted_by_its_start() -> None:
    assert quoted("a\tb") == "'a\\tb'"
    assert quoted("x" * 5000) == f"'{'x' * 80}'… (5,000 characters)"


def test_what_is_not_there_is_missing_data(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataMissingError, match="there is no such file"):
            read_bytes(path)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b" \n\n", []),
        (b"a\nb", ["a", "b"]),
        (b"\xef\xbb\xbfa \r\n\r\n\tb\n\n", ["a", "", "b"]),
        ("é\x85".encode(), ["é"]),
    ],
)
def test_lines(content: bytes, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(content)
    assert read_lines(tmp_path / "text") == lines
