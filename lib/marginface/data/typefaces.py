"""The typefaces of the glyphs: files of Debian's packages, known by their sha256, and where this machine has them.

python -m marginface.data.typefaces      the packages, for apt-get install
"""

import csv
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from marginface.data.files import data_folder, printable
from marginface.data.types import DataMissingError

SYSTEM = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
INSTALL = "sudo apt-get install --no-install-recommends"


@dataclass(frozen=True)
class Typeface:
    """A face of a font file, a row of data/typefaces.tsv.

    `face` is its number within the file, 0 unless that is a collection. Families that share outlines, and the weights of one
    family, are of one `group`. Typefaces of an `unseen` group are for testing alone.
    """

    package: str
    version: str
    file: str
    face: int
    family: str
    style: str
    group: str
    unseen: bool
    licence: str
    sha256: str


def typefaces(path: Path | None = None) -> tuple[Typeface, ...]:
    """The list in a file; None is the project's. Raises: ValueError naming the file and the line that makes no sense."""
    return _read(path or data_folder() / "typefaces.tsv")


@cache
def _read(path: Path) -> tuple[Typeface, ...]:
    found = []
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="\t"), 2):
            try:
                values: dict[str, Any] = dict(row)
                values |= {"face": int(row["face"]), "unseen": {"yes": True, "no": False}[row["unseen"]]}
                found.append(Typeface(**values))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: no typeface ({type(error).__name__}: {error})") from error
    return tuple(found)


def packages(faces: Sequence[Typeface]) -> list[str]:
    """The packages that these are in."""
    return sorted({face.package for face in faces})


def places(root: Path | None) -> tuple[Path, ...]:
    """The folders in which fonts are looked for: "fonts" of the data folder, and the system's."""
    own = () if root is None else (root / "fonts",)
    return (*own, *(Path(place).expanduser() for place in SYSTEM))


def locate(faces: Sequence[Typeface], root: Path | None = None) -> list[Path]:
    """The file of each typeface on this machine. One counts only if its sha256 is the listed one.

    Raises: DataMissingError naming the packages of those that are missing, and the line that installs them.
    """
    wanted = {face.file for face in faces}
    candidates = [
        Path(folder, name)
        for place in places(root)
        for folder, _, names in os.walk(place)
        for name in sorted(names)
        if name in wanted
    ]
    known: dict[tuple[str, str], Path] = {}
    for path in candidates:
        with open(path, "rb") as file:
            known.setdefault((path.name, hashlib.file_digest(file, "sha256").hexdigest()), path)
    missing = [face for face in faces if (face.file, face.sha256) not in known]
    if missing:
        raise DataMissingError(_missing(missing, len(faces), candidates))
    return [known[face.file, face.sha256] for face in faces]


def _missing(faces: list[Typeface], of: int, candidates: list[Path]) -> str:
    first = faces[0]
    other = next((printable(path) for path in candidates if path.name == first.file), None)
    why = f"{other} is not the file of {first.package} {first.version}" if other else f"there is no {first.file}"
    names = " ".join(packages(faces))
    return (
        f"glyphs are drawn with {of} typefaces, of which {len(faces)} are missing ({why}); "
        f"Debian 12 has them: {INSTALL} {names} (elsewhere: put the files of these packages into fonts/ of the data folder)"
    )


if __name__ == "__main__":
    print(*packages(typefaces()))
