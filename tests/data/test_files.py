"""Reading and writing whole files."""

from pathlib import Path

import pytest

from marginface.data.files import read_bytes, read_lines, writing
from marginface.data.types import DataMissingError


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
