"""Archives that must not write elsewhere, nor without end."""

import gzip
import io
import lzma
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.data.archives import MEMBER, extract
from marginface.data.files import most_unpacked
from marginface.data.types import DataMissingError


def tar(path: Path, members: list[tuple[str, bytes | None]], mode: Any = "w:gz", kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mode = tarfile.DIRTYPE if content is None else kind, len(content or b""), 0o4777
            info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(content or b""))
    return path


def zipped(path: Path, members: list[tuple[str, bytes | None]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name if content is not None else f"{name}/", content or b"")
    return path


MEMBERS: list[tuple[str, bytes | None]] = [
    ("set", None),
    ("set/a/1.txt", b"one"),
    ("./set/b.txt", b"x" * 70_000),
    ("empty", None),
]


@pytest.mark.parametrize(
    "pack", [zipped, tar, lambda path, members: tar(path, members, "w"), lambda path, m: tar(path, m, "w:xz")]
)
def test_archives_come_out_whole(pack: Callable[..., Path], tmp_path: Path) -> None:
    to = extract(pack(tmp_path / "any-name", MEMBERS), tmp_path / "new" / "data")
    assert sorted(path.relative_to(to).as_posix() for path in to.rglob("*")) == [
        "empty",
        "set",
        "set/a",
        "set/a/1.txt",
        "set/b.txt",
    ]
    assert (to / "set" / "a" / "1.txt").read_bytes() == b"one"
    assert len((to / "set" / "b.txt").read_bytes()) == 70_000
    assert not (to / "set" / "b.txt").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)
    assert [path.name for path in to.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_zip_at_the_end_of_a_tar_stays_one(mode: str, tmp_path: Path) -> None:
    """A .zip is known by its end, too, which is there in a plain .tar; and a member's name is what one of these starts with."""
    inner = zipped(tmp_path / "inner", [("inner.txt", b"inner")]).read_bytes()
    to = extract(tar(tmp_path / "archive", [("BZ/a.txt", b"one"), ("protocol.zip", inner)], mode), tmp_path / "data")
    assert sorted(path.name for path in to.rglob("*")) == ["BZ", "a.txt", "protocol.zip"]
    assert (to / "protocol.zip").read_bytes() == inner


@pytest.mark.parametrize("pack", [zipped, tar])
@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/tmp/evil", "C:\\evil", "..\\evil", "\\evil", "a/../b"])
def test_nothing_outside_the_root(pack: Callable[..., Path], name: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / "archive", [("fine", b"1"), (name, b"evil")])
    with pytest.raises(ValueError, match=r"archive: member '.*' lies outside the folder"):
        extract(archive, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    archive = tar(tmp_path / "archive", [("set/link", b"")], kind=kind)
    with pytest.raises(ValueError, match=r"archive: member 'set/link' is a link, a device or a sparse file"):
        extract(archive, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_links_in_zip_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ValueError, match="member 'link' is a link"):
        extract(tmp_path / "archive", tmp_path / "data")


@pytest.mark.parametrize("members", [[("a", b"1"), ("a", b"2")], [("a", b"1"), ("a/b", b"2")], [("a/b", b"1"), ("a", b"2")]])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_contradict_each_other_are_refused(members: list[tuple[str, bytes | None]], tmp_path: Path) -> None:
    for pack in (zipped, tar):
        archive = pack(tmp_path / pack.__name__, members)
        with pytest.raises(ValueError, match="occurs twice, or as a file and as a folder"):
            extract(archive, tmp_path / "data")
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("pack", [zipped, tar, lambda path, members: tar(path, members, "w:xz")])
def test_what_unpacks_to_more_than_is_allowed_is_refused(pack: Callable[..., Path], tmp_path: Path) -> None:
    archive = pack(tmp_path / "archive", [("a", bytes(10**6)), ("b", None), ("c", b"c")])
    size = 10**6 + 1 + 3 * MEMBER
    with pytest.raises(ValueError, match=rf"archive: more than {size - 1:,} bytes come out of it"):
        extract(archive, tmp_path / "data", most=size - 1)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    extract(archive, tmp_path / "data", most=size)


def test_without_a_limit_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marginface.data.archives.most_unpacked", lambda size: most_unpacked(size) - 2**28)
    noise = os.urandom(20_000)
    extract(zipped(tmp_path / "fine", [("a", noise), ("b", bytes(10**6))]), tmp_path / "data")
    with pytest.raises(ValueError, match=r"bomb: more than \d\d\d,\d\d\d bytes come out of it"):
        extract(zipped(tmp_path / "bomb", [("a", bytes(10**6)), ("b", bytes(10**6))]), tmp_path / "other")
    with pytest.raises(ValueError, match=r"many: more than .* bytes come out of it"):
        extract(tar(tmp_path / "many", [(f"{i}", b"") for i in range(3000)], "w:xz"), tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb", "data", "fine", "many"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
@pytest.mark.parametrize("opener", [open, gzip.open, lzma.open])
def test_a_header_that_claims_gigabytes_is_refused_without_them(kind: bytes, opener: Any, tmp_path: Path) -> None:
    """Measured: tarfile reads headers of names and attributes at once, and ended in a MemoryError that named no file."""
    info = tarfile.TarInfo("attributes")
    info.type, info.size = kind, 3 * 2**30
    with opener(tmp_path / "archive", "wb") as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(2**24))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"archive: damaged, .*a header of 3,221,225,472 bytes"):
        extract(tmp_path / "archive", tmp_path / "data")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**24, "what xz needs"
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_are_unpacked_without_measure_are_refused(method: int, tmp_path: Path) -> None:
    """zipfile unpacks what it has read of these at once, a megabyte to gigabytes."""
    with zipfile.ZipFile(tmp_path / "archive", "w", method) as archive:
        archive.writestr("set/a.txt", b"a")
    with pytest.raises(ValueError, match=r"archive: member 'set/a\.txt' is packed by another method than deflate"):
        extract(tmp_path / "archive", tmp_path / "data")


def test_long_names_are_quoted_in_part(tmp_path: Path) -> None:
    for pack in (zipped, tar):
        with pytest.raises(ValueError, match=r"member '\.\./x+'… \(30,003 characters\) lies outside") as error:
            extract(pack(tmp_path / pack.__name__, [("../" + "x" * 30_000, b"x")]), tmp_path / "data")
        assert len(str(error.value)) < 400


def test_what_is_there_already_or_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="archive: there is no such file"):
        extract(tmp_path / "archive", tmp_path / "data")
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match="data: it exists already"):
        extract(tar(tmp_path / "archive", MEMBERS), tmp_path / "data")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tar(tmp_path / "archive", MEMBERS)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("marginface.data.archives._write", full)
    with pytest.raises(OSError, match=r"archive was not unpacked into .*data: No space left on device"):
        extract(archive, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(["zip", "w:gz", "w:xz", "w:bz2", "w"]),
    flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.integers(0, 2**16),
)
def test_mutants_come_out_or_are_errors(
    kind: str, flips: list[tuple[int, int]], cut: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mutant")
    members: list[tuple[str, bytes | None]] = [("set/a.txt", b"one"), ("set/b.txt", b"two" * 100), ("c", None)]
    archive = zipped(folder / "archive", members) if kind == "zip" else tar(folder / "archive", members, kind)
    content = bytearray(archive.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    archive.write_bytes(content[: None if cut is None else cut % len(content)])
    try:
        extract(archive, folder / "data")
    except ValueError as error:
        assert str(error).startswith(str(archive))  # noqa: PT017
        assert os.listdir(folder) == ["archive"]
    else:
        assert sorted(os.listdir(folder)) == ["archive", "data"]
