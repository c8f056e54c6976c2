"""What each data set is, whether it can still be had and on which terms, and fetching of those that anybody may fetch.

The facts stand in data/datasets.toml.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pooch

from marginface.data.files import data_folder, printable, read_bytes
from marginface.data.progress import Meter
from marginface.data.types import DataMissingError

KINDS = {"training": "Training", "test": "Testing", "other": "No faces, or nobody's"}
STATES = ("available", "on request", "withdrawn", "unclear")
PAPERS = ("InterFace", "ArcFace", "IAM", "PAM")


@dataclass(frozen=True)
class File:
    """A file that may be fetched, and how one knows that it is the right one. `plain_sha256` is that of it without gzip."""

    name: str
    url: str
    sha256: str
    plain_sha256: str = ""


@dataclass(frozen=True)
class DataSet:
    """An entry of data/datasets.toml, where the fields are explained. Nothing stands for what is not known: None or ""."""

    key: str
    name: str
    kind: str
    what: str
    state: str
    terms: str
    identities: int | None = None
    images: int | None = None
    approximate: bool = False
    used_by: Mapping[str, str] = field(default_factory=dict)
    since: int | None = None
    why: str = ""
    source: str = ""
    size: str = ""
    read_by: tuple[str, ...] = ()
    files: tuple[File, ...] = ()


@cache
def catalogue() -> Mapping[str, DataSet]:
    """Every data set by its key, in the file's order."""
    return read_catalogue(data_folder() / "datasets.toml")


def read_catalogue(path: Path) -> dict[str, DataSet]:
    """The data sets in a TOML file. Raises: ValueError naming the file, the entry and the field that makes no sense."""
    try:
        tables = tomllib.loads(read_bytes(path).decode())
    except (RecursionError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{printable(path)}: not TOML ({error})") from error
    return {key: _data_set(f"{printable(path)}, {key}", key, table) for key, table in tables.items()}


def find(key: str) -> DataSet:
    """A data set by its key. Raises: ValueError for a key that there is not."""
    if key not in catalogue():
        raise ValueError(f"unknown data set {key!r}; known: {', '.join(sorted(catalogue()))}")
    return catalogue()[key]


def fetch(key: str, *names: str, folder: str | Path | None = None) -> list[Path]:
    """Files of a data set, downloaded where they are not at hand, verified by sha256.

    Arguments:
        key: as in data/datasets.toml.
        names: which of its files; none means all.
        folder: where they are kept; None means the user's cache. They go to a folder of the data set's name in it. A file that
            is there is kept if it is the right one and replaced if it is not.
    Raises: ValueError for an unknown data set or file, or a download that is not the file that it should be; DataMissingError
        where the data set cannot be fetched, saying why, or the download fails. Nothing half-written is left.
    """
    data_set = find(key)
    files = {file.name: file for file in data_set.files}
    if not files:
        why = f" since {data_set.since}" if data_set.since else ""
        raise DataMissingError(
            f"{data_set.name} is not fetched: {data_set.state}{why}. {data_set.why} {data_set.source}".strip()
        )
    for name in names:
        if name not in files:
            raise ValueError(f"{data_set.name} has no file {name!r} to fetch; it has {', '.join(files)}")
    place = Path(folder or pooch.os_cache("marginface")).expanduser() / key
    return [retrieve(files[name], place) for name in names or files]


def retrieve(file: File, folder: Path) -> Path:
    """One file, into this folder; as `fetch`."""
    try:
        with Meter(f"fetching {file.name}", size=True) as meter:
            downloader = pooch.HTTPDownloader(progressbar=meter) if file.url.startswith("http") else None
            return Path(pooch.retrieve(file.url, f"sha256:{file.sha256}", file.name, folder, downloader=downloader))
    except OSError as error:  # every network error of requests and urllib is one
        raise DataMissingError(
            f"fetching {file.name} from {file.url} failed: {error.strerror or type(error).__name__}"
        ) from error


def table(kind: str) -> str:
    """The data sets of a kind as an HTML table for the book."""
    rows = "".join(_row(data_set) for data_set in catalogue().values() if data_set.kind == kind)
    return f'<div class="wide" tabindex="0"><table class="datasets"><tbody>{rows}</tbody></table></div>'


def _row(data_set: DataSet) -> str:
    """Name, state and size; what it is and who uses it; why it is in that state, its terms, what reads it."""
    about, unit = "≈ " if data_set.approximate else "", "classes" if data_set.kind == "other" else "people"
    counts = [f"{about}{count:,} {of}" for count, of in ((data_set.identities, unit), (data_set.images, "images")) if count]
    name = escape(data_set.name)
    title = f'<a href="{escape(data_set.source)}">{name}</a>' if data_set.source else name
    state = data_set.state + (f" since {data_set.since}" if data_set.since else "")
    uses = [f"{escape(paper)}: {escape(use)}." for paper, use in data_set.used_by.items()]
    readers = " ".join(f"<code>{escape(module)}</code>" for module in data_set.read_by)
    notes = [escape(data_set.why), f"Terms: {escape(data_set.terms)}.", f"Read by {readers}." if readers else ""]
    cells = [
        f"{title}<br><strong>{state}</strong>" + "".join(f"<small>{count}</small>" for count in counts),
        "<br>".join([escape(data_set.what), *uses]),
        "<br>".join(filter(None, notes)),
    ]
    return f'<tr class="{data_set.state.replace(" ", "-")}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _data_set(where: str, key: str, values: Any) -> DataSet:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a table, not {values!r}")
    lists = {name: values.get(name, []) for name in ("read_by", "files")}
    for name, value in lists.items():
        if not isinstance(value, list):
            raise ValueError(f"{where}: {name}={value!r} is not a list")
    files = tuple(_file(f"{where}, files", value) for value in lists["files"])
    data_set: DataSet = _checked(where, DataSet, values | {"key": key, "read_by": tuple(lists["read_by"]), "files": files})
    valid = {
        "kind": data_set.kind in KINDS,
        "state": data_set.state in STATES,
        "identities": data_set.identities is None or data_set.identities > 0,
        "images": data_set.images is None or data_set.images > 0,
        "since": data_set.since is None or 1990 < data_set.since < 2100,
        "source": not data_set.source or data_set.source.startswith(("https://", "http://")),
        "used_by": set(data_set.used_by) <= set(PAPERS),
        "files": not files or data_set.state == "available",  # what is not given to anybody is not fetched for anybody
    }
    for name, ok in valid.items():
        if not ok:
            raise ValueError(f"{where}: {name}={getattr(data_set, name)!r} makes no sense here")
    return data_set


def _file(where: str, values: Any) -> File:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a table, not {values!r}")
    file: File = _checked(where, File, values)
    for name in ("sha256", "plain_sha256"):
        digest = getattr(file, name)
        if not (re.fullmatch("[0-9a-f]{64}", digest) or (name == "plain_sha256" and not digest)):
            raise ValueError(f"{where}, {file.name}: {name}={digest!r} is not 64 lower-case hexadecimal digits")
    if Path(file.name).name != file.name or not file.url.startswith(("https://", "http://", "file://")):
        raise ValueError(f"{where}: name={file.name!r} must be a file's name and url={file.url!r} an address")
    return file


def _checked(where: str, kind: type, values: dict[str, Any]) -> Any:
    """A dataclass from a table of TOML. Raises: ValueError naming a field that is unknown, missing or of another type."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    missing_value = dataclasses.MISSING
    required = {name for name, f in fields.items() if f.default is missing_value and f.default_factory is missing_value}
    if unknown := sorted(set(values) - set(fields)):
        raise ValueError(f"{where}: unknown field {unknown[0]}")
    if missing := sorted(required - set(values)):
        raise ValueError(f"{where}: field {missing[0]} is missing")
    for name, value in values.items():
        expected: Any = fields[name].type
        if expected == Mapping[str, str]:
            ok = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
        elif expected == tuple[str, ...]:
            ok = all(isinstance(item, str) for item in value)
        else:
            ok = expected == tuple[File, ...] or (
                isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
            )
        if not ok:
            raise ValueError(f"{where}: {name}={value!r} is not {expected}")
    return kind(**values)
