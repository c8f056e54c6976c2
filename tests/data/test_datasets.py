"""The catalogue of data sets: that it is complete; that what is fetched is what it should be, or is not there at all."""

import dataclasses
import gzip
import hashlib
import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from html import escape
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from marginface.data import datasets
from marginface.data.datasets import DataSet, catalogue, fetch, find, read_catalogue
from marginface.data.files import data_folder
from marginface.data.types import DataMissingError

MINIMAL = """
[lfw]
name = "LFW"
kind = "test"
what = "faces"
state = "available"
terms = "none"
"""


def test_every_data_set_that_a_paper_prints_a_number_on_is_there() -> None:
    named = {paper: {key for key, entry in catalogue().items() if paper in entry.used_by} for paper in datasets.PAPERS}
    assert named["InterFace"] >= {
        "casia-webface",
        "ms1mv2",
        "ms1mv2-8",
        "lfw",
        "agedb",
        "calfw",
        "cplfw",
        "cfp",
        "ijb-b",
        "ijb-c",
    }
    assert named["InterFace"] >= {"megaface", "facescrub", "ms-celeb-1m"}
    assert named["ArcFace"] >= {"vggface2", "ms-celeb-1m", "ms1m-ibug", "lfw", "cfp", "agedb", "megaface", "facescrub", "fgnet"}
    assert named["IAM"] == {"mnist", "casia-webface", "lfw", "cfp", "ytf", "megaface", "facescrub"}
    assert named["PAM"] == {"vggface2", "lfw", "ytf", "megaface", "facescrub"}


def test_columns_of_the_printed_tables_have_an_entry() -> None:
    """A data set that a printed table reports on must be in the catalogue as used by that paper."""
    names = {"lfw": "lfw", "agedb": "agedb", "calfw": "calfw", "cplfw": "cplfw", "cfp": "cfp", "ytf": "ytf", "ijb-b": "ijb-b"}
    names |= {"ijbb": "ijb-b", "ijb-c": "ijb-c", "ijbc": "ijb-c", "megaface": "megaface", "mnist": "mnist"}
    met = set()
    for path in sorted((data_folder() / "published").glob("*_table*.csv")):
        paper = {name.lower(): name for name in datasets.PAPERS}[path.stem.split("_")[0]]
        text = pd.read_csv(path, dtype=str).to_csv().lower().replace("_", "-")
        for name, key in names.items():
            if re.search(rf"\b{name}\b", text):
                met.add(key)
                assert paper in catalogue()[key].used_by, (path.name, name)
    assert met >= {"lfw", "agedb", "calfw", "cplfw", "cfp", "ytf", "megaface"}


def test_what_was_taken_back_is_not_fetched() -> None:
    for key in ("ms-celeb-1m", "ms1m-ibug", "ms1mv2", "vggface2", "megaface", "megaface-training", "ijb-b", "ijb-c"):
        entry = find(key)
        assert entry.state == "withdrawn"
        assert entry.since
        assert entry.why
        assert not entry.files
        with pytest.raises(DataMissingError, match=f"is not fetched: withdrawn since {entry.since}"):
            fetch(key)


def test_entries_say_what_a_reader_must_know() -> None:
    for entry in catalogue().values():
        assert entry.what, entry.key
        assert entry.terms, entry.key
        assert entry.source or entry.key == "synthetic", entry.key
        assert entry.why or entry.key == "digiface-1m", entry.key
        for text in (entry.what, entry.why):
            assert not text or text.endswith("."), (entry.key, text)


def test_what_reads_a_data_set_exists() -> None:
    for entry in catalogue().values():
        for module in entry.read_by:
            assert find_spec(module), f"{entry.key} is read by {module}, which there is not"


def test_checksums_are_those_of_the_real_files(shared: Path) -> None:
    places = {"mnist": "mnist/{}", "pairs.txt": "protocols/lfw_pairs.txt"}
    places |= {f"pairsDev{part}.txt": f"protocols/lfw_view1/pairsDev{part}.txt" for part in ("Train", "Test")}
    for file in find("mnist").files:
        content = (shared / "mnist" / file.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() == file.plain_sha256
    for file in find("lfw").files:
        if file.name in places:
            assert hashlib.sha256((shared / places[file.name]).read_bytes()).hexdigest() == file.sha256


@pytest.mark.slow
def test_counts_are_those_of_the_real_files(shared: Path) -> None:
    people = [folder for folder in (shared / "lfw").iterdir() if folder.is_dir()]
    assert len(people) == find("lfw").identities == find("lfw-a").identities
    assert sum(len(os.listdir(folder)) for folder in people) == find("lfw").images
    assert len(list((shared / "cfp").rglob("*.jpg"))) == find("cfp").images
    assert len(list((shared / "orl_faces").rglob("*.pgm"))) == find("orl").images


def test_an_unknown_data_set_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'lwf'; known: agedb, .*, ytf"):
        find("lwf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", None),
        ("identities = 3\nimages = 9\nsince = 2020", None),
        ("[[", "not TOML"),
        ('nmae = "LFW"', "lfw: unknown field nmae"),
        ("identities = 0", "identities=0 makes no sense"),
        ('identities = "many"', r"identities='many' is not int"),
        ("identities = true", "identities=True is not int"),
        ("approximate = 1", "approximate=1 is not"),
        ("since = 19", "since=19 makes no sense"),
        ('source = "lfw.org"', "source='lfw.org' makes no sense"),
        ('used_by = { ArcFaces = "x" }', "used_by=.* makes no sense"),
        ("used_by = { ArcFace = 1 }", "used_by=.* is not"),
        ('read_by = "marginface"', "read_by='marginface' is not a list"),
        ("read_by = [1]", r"read_by=\(1,\) is not"),
        ("files = 1", "files=1 is not a list"),
        ("files = [1]", "lfw, files: expected a table, not 1"),
        ('[[lfw.files]]\nname = "a"\nurl = "http://a"', "files: field sha256 is missing"),
        ('[[lfw.files]]\nname = "a"\nurl = "http://a"\nsha256 = "00"', "files, a: sha256='00' is not 64"),
        (f'[[lfw.files]]\nname = "../a"\nurl = "http://a"\nsha256 = "{"0" * 64}"', "must be a file's name"),
        (f'[[lfw.files]]\nname = "a"\nurl = "ftp://a"\nsha256 = "{"0" * 64}"', "must be a file's name"),
    ],
)
def test_a_catalogue_that_makes_no_sense_is_named(change: str, message: str | None, tmp_path: Path) -> None:
    path = tmp_path / "datasets.toml"
    path.write_text(MINIMAL + change)
    if message is None:
        assert read_catalogue(path)["lfw"].name == "LFW"
        return
    with pytest.raises(ValueError, match=message) as error:
        read_catalogue(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("field", ["name", "kind", "what", "state", "terms"])
def test_a_missing_field_is_named(field: str, tmp_path: Path) -> None:
    path = tmp_path / "datasets.toml"
    path.write_text(re.sub(rf"(?m)^{field} = .*$", "", MINIMAL))
    with pytest.raises(ValueError, match=f"lfw: field {field} is missing"):
        read_catalogue(path)


@pytest.mark.parametrize(("field", "value"), [("kind", "faces"), ("state", "gone")])
def test_an_unknown_word_is_named(field: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "datasets.toml"
    path.write_text(re.sub(rf"(?m)^{field} = .*$", f'{field} = "{value}"', MINIMAL))
    with pytest.raises(ValueError, match=f"lfw: {field}='{value}' makes no sense"):
        read_catalogue(path)


def test_a_set_that_is_not_open_may_have_no_files(tmp_path: Path) -> None:
    path = tmp_path / "datasets.toml"
    file = f'[[lfw.files]]\nname = "a"\nurl = "http://a"\nsha256 = "{"0" * 64}"'
    path.write_text(MINIMAL.replace("available", "withdrawn") + file)
    with pytest.raises(ValueError, match=r"files=.* makes no sense"):
        read_catalogue(path)


CONTENT = b"faces" * 1000
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def whole(request: http.server.BaseHTTPRequestHandler, content: bytes = CONTENT) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def truncated(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(CONTENT)))
    request.end_headers()
    request.wfile.write(CONTENT[:1234])


def shorter(request: http.server.BaseHTTPRequestHandler) -> None:
    whole(request, CONTENT[:1234])


def another(request: http.server.BaseHTTPRequestHandler) -> None:
    whole(request, CONTENT[::-1])


def nothing(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_error(404)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Answer]]:
    """A local host with one file, which answers as one tells it, and a catalogue of two data sets that knows the file."""
    answers: list[Answer] = [whole]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers[0](self)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/faces"
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = tuple(datasets.File(name, url, digest) for name in ("faces.bin", "more.bin"))
    entry = DataSet("lfw", "LFW", "test", "faces", "available", "none", files=files)
    asked = dataclasses.replace(entry, key="cfp", state="on request", why="Ask.", files=())
    monkeypatch.setattr(datasets, "catalogue", lambda: {"lfw": entry, "cfp": asked})
    yield answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_is_verified_and_kept(host: list[Answer], tmp_path: Path) -> None:
    paths = fetch("lfw", folder=tmp_path)
    assert paths == [tmp_path / "lfw" / "faces.bin", tmp_path / "lfw" / "more.bin"]
    assert all(path.read_bytes() == CONTENT for path in paths)
    host[0] = nothing
    assert fetch("lfw", "more.bin", folder=str(tmp_path)) == paths[1:]


def test_a_download_that_takes_long_says_how_far_it_is(
    host: list[Answer], tmp_path: Path, everything_is_told: None, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("lfw", "faces.bin", folder=tmp_path)
    assert "fetching faces.bin: 5.0 kB of 5.0 kB" in capsys.readouterr().err
    fetch("lfw", "faces.bin", folder=tmp_path)
    assert capsys.readouterr().err == ""


def test_without_a_folder_the_users_cache_is_used(host: list[Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.pooch, "os_cache", lambda name: tmp_path / name)
    assert fetch("lfw", "faces.bin") == [tmp_path / "marginface" / "lfw" / "faces.bin"]


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (truncated, DataMissingError, r"fetching faces.bin from http://127.*/faces failed"),
        (nothing, DataMissingError, r"fetching faces.bin from http://127.*/faces failed: HTTPError"),
        (shorter, ValueError, r"faces.bin.*does not match"),
        (another, ValueError, r"faces.bin.*does not match"),
    ],
)
def test_a_download_that_goes_wrong_leaves_nothing(
    answer: Answer, expected: type[Exception], message: str, host: list[Answer], tmp_path: Path
) -> None:
    host[0] = answer
    with pytest.raises(expected, match=message):
        fetch("lfw", "faces.bin", folder=tmp_path)
    assert list((tmp_path / "lfw").iterdir()) == []
    host[0] = whole
    assert fetch("lfw", "faces.bin", folder=tmp_path)[0].read_bytes() == CONTENT


def test_a_damaged_file_is_replaced_and_kept_until_it_is(host: list[Answer], tmp_path: Path) -> None:
    [path] = fetch("lfw", "faces.bin", folder=tmp_path)
    path.write_bytes(b"damaged")
    host[0] = truncated
    with pytest.raises(DataMissingError):
        fetch("lfw", "faces.bin", folder=tmp_path)
    assert [file.name for file in path.parent.iterdir()] == ["faces.bin"]
    host[0] = whole
    fetch("lfw", "faces.bin", folder=tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_to_is_an_error(host: list[Answer], tmp_path: Path) -> None:
    (tmp_path / "lfw").write_text("a file where the folder should be")
    with pytest.raises(DataMissingError, match=r"fetching faces\.bin"):
        fetch("lfw", "faces.bin", folder=tmp_path)


def test_what_cannot_be_fetched_says_why(host: list[Answer], tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"LFW is not fetched: on request. Ask."):
        fetch("cfp", folder=tmp_path)
    with pytest.raises(ValueError, match=r"LFW has no file 'face.bin' to fetch; it has faces.bin, more.bin"):
        fetch("lfw", "faces.bin", "face.bin", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tables_for_the_book_have_every_data_set_once() -> None:
    tables = {kind: datasets.table(kind) for kind in datasets.KINDS}
    for key, entry in catalogue().items():
        cell = f">{escape(entry.name)}</a>" if entry.source else f"<td>{escape(entry.name)}<br>"
        assert [tables[kind].count(cell) for kind in datasets.KINDS] == [int(kind == entry.kind) for kind in datasets.KINDS], (
            key
        )
    assert "&quot;3.8M images of 85k unique identities&quot;" in tables["training"]
