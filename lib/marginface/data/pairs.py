"""Verification protocols: which two images are compared, whether they show the same person, and in which fold.

Names are paths relative to the image folder of the data set, with "/" between their parts on every system: for LFW
"Abel_Pacheco/Abel_Pacheco_0001.jpg", for CFP "001/frontal/01.jpg" (below Data/Images), for YTF the folder of a video,
"Sadie_Frost/1". Folds count from 0.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marginface.data.bins import load_bin
from marginface.data.files import printable, quoted, read_lines
from marginface.data.folders import EXTENSIONS, UNREAD
from marginface.data.types import DataMissingError

__all__ = ["Pairs", "cfp_pairs", "lfw_pairs", "lfw_people", "lfw_view1", "load_bin", "people_of", "read_pairs", "ytf_pairs"]

FOLDS = 10
ANSWERS = dict.fromkeys(("1", "true", "same", "yes"), True) | dict.fromkeys(("0", "false", "different", "no"), False)


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of images: names `left` and `right`, `same` (P,) bool, `fold` (P,) int64."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    same: np.ndarray
    fold: np.ndarray

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("left", "right", "same", "fold")}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"left, right, same and fold must be equally long, got {lengths}")

    def __len__(self) -> int:
        return len(self.left)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once, in the order of first appearance."""
        return tuple(dict.fromkeys(name for pair in zip(self.left, self.right, strict=True) for name in pair))

    def select(self, chosen: np.ndarray) -> "Pairs":
        """The pairs at the given indices (K,) or where a mask (P,) bool is true."""
        indices = np.arange(len(self))[chosen]
        left, right = (tuple(names[i] for i in indices) for names in (self.left, self.right))
        return Pairs(left, right, self.same[indices], self.fold[indices])

    def check(self, folder: str | Path) -> None:
        """Raises: DataMissingError naming the first pair of which an image (or a video's folder) is not below `folder`."""
        folder = Path(folder)
        present = {name for name in self.names if (folder / name).exists()}
        for i, pair in enumerate(zip(self.left, self.right, strict=True)):
            for name in pair:
                if name not in present:
                    raise DataMissingError(f"{printable(folder / name)}: pair {i} of {len(self)} names it, but it is not there")


def lfw_pairs(path: str | Path) -> Pairs:
    """LFW View 2 (pairs.txt): ten folds, each 300 pairs of one person and then 300 of two.

    Source: the README of LFW's View 2; the first line is "folds<tab>pairs of a kind in each".
    Raises: ValueError naming the file and the line.
    """
    return _lfw(path, 2)


def lfw_view1(path: str | Path) -> Pairs:
    """LFW View 1 (pairsDevTrain.txt or pairsDevTest.txt): one fold, its number of pairs of a kind in the first line.

    Raises: ValueError naming the file and the line.
    """
    return _lfw(path, 1)


def _lfw(path: str | Path, header: int) -> Pairs:
    lines = read_lines(path)
    numbers = lines[0].split() if lines else []
    if len(numbers) != header or not all(_counts(number) for number in numbers):
        expected = "the numbers of folds and of pairs" if header == 2 else "the number of pairs alone"
        raise ValueError(f"{printable(path)}, line 1: expected {expected}, got {quoted(lines[0] if lines else '')}")
    folds, each = (int(numbers[0]), int(numbers[1])) if header == 2 else (1, int(numbers[0]))
    if len(lines) != 1 + 2 * folds * each:
        raise ValueError(f"{printable(path)}: {len(lines) - 1} pairs, but line 1 promises {folds} folds of 2 × {each}")
    left, right, same = [], [], np.tile(np.repeat([True, False], each), folds)
    for i, line in enumerate(lines[1:]):
        fields = line.split("\t")
        if len(fields) != (3 if same[i] else 4) or not (_counts(fields[-1]) and _counts(fields[1 if same[i] else -3])):
            expected = "a name and two numbers" if same[i] else "a name, a number, a name and a number"
            raise ValueError(f"{printable(path)}, line {i + 2}: expected {expected} with tabs between, got {quoted(line)}")
        left.append(_lfw_image(fields[0], fields[1]))
        right.append(_lfw_image(fields[-2] if not same[i] else fields[0], fields[-1]))
    return Pairs(tuple(left), tuple(right), same, np.repeat(np.arange(folds), 2 * each))


def _lfw_image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"


def lfw_people(path: str | Path) -> dict[str, tuple[int, int]]:
    """LFW's identity folds (people.txt): name -> (fold from 0, number of images).

    The first line is the number of folds; each fold is a line with its number of people and then a line for each.
    Raises: ValueError naming the file and the line.
    """
    lines = read_lines(path)
    if not lines or not _counts(lines[0]):
        raise ValueError(f"{printable(path)}, line 1: expected the number of folds, got {quoted(lines[0] if lines else '')}")
    people: dict[str, tuple[int, int]] = {}
    at = 1
    for fold in range(int(lines[0])):
        if at >= len(lines) or not _counts(lines[at]):
            got = quoted(lines[at]) if at < len(lines) else "the end of the file"
            raise ValueError(f"{printable(path)}, line {at + 1}: expected the number of people in fold {fold}, got {got}")
        end = at + 1 + int(lines[at])
        if end > len(lines):
            raise ValueError(f"{printable(path)}: it ends inside fold {fold}, which should have {lines[at]} people")
        for i in range(at + 1, end):
            name, _, images = lines[i].partition("\t")
            if not name or not _counts(images) or name in people:
                raise ValueError(
                    f"{printable(path)}, line {i + 1}: expected a new name, a tab and a number, got {quoted(lines[i])}"
                )
            people[name] = (fold, int(images))
        at = end
    if at != len(lines):
        raise ValueError(f"{printable(path)}, line {at + 1}: expected the end after {lines[0]} folds, got {quoted(lines[at])}")
    return people


def read_pairs(path: str | Path) -> Pairs:
    """Pairs in LFW's format (see `lfw_pairs` and `lfw_view1`), or in a table of two paths and whether they show one person.

    Fields of a table are parted by commas or tabs; the third is 1, true, same or yes, or 0, false, different or no. There are
    ten folds of neighbours. A first line of titles is left out: one whose third field is no answer, or "same" as a title.
    Raises: ValueError naming the file and the line.
    """
    lines = read_lines(path)
    numbers = lines[0].split() if lines else []
    if numbers and all(_counts(number) for number in numbers):
        return _lfw(path, len(numbers)) if len(numbers) < 3 else _lfw(path, 2)
    rows = [
        (i, [field.strip() for field in next(csv.reader([line], delimiter="\t" if "\t" in line else ","))])
        for i, line in enumerate(lines, 1)
        if line
    ]
    if rows and _are_titles(*(row for _, row in rows)):
        rows = rows[1:]
    for number, row in rows:
        if len(row) != 3 or not row[0] or not row[1] or row[2].lower() not in ANSWERS:
            got = quoted(lines[number - 1])
            raise ValueError(f"{printable(path)}, line {number}: expected two paths and same or not (1 or 0), got {got}")
    if len(rows) < 2:
        raise ValueError(f"{printable(path)}: there are no pairs in it")
    same = np.array([ANSWERS[row[2].lower()] for _, row in rows])
    fold = np.repeat(np.arange(min(FOLDS, len(rows))), [len(part) for part in np.array_split(same, min(FOLDS, len(rows)))])
    return Pairs(tuple(row[0] for _, row in rows), tuple(row[1] for _, row in rows), same, fold)


def _are_titles(first: list[str], *rows: list[str]) -> bool:
    """Whether the first row of a table of pairs is one of titles: its third field is no answer, and the others are no paths.

    "same" is a title, too, where no other row answers with this word.
    """
    if len(first) != 3 or any(part in path for path in first[:2] for part in "./"):
        return False
    last, words = first[2].lower(), ("same", "different")
    return last not in ANSWERS or (last == words[0] and not any(row[-1].lower() in words for row in rows))


def image_at(folder: Path, name: str) -> Path:
    """The image of a name in a list, whatever its extension, or with one where the name has none.

    `marginface align` writes PNG for every photograph.

    Raises: DataMissingError naming it.
    """
    path = folder / name
    if path.is_file():
        return path
    stem = path.with_suffix("") if path.suffix.lower() in EXTENSIONS + UNREAD else path  # J.Lo_0001 has no extension
    for ending in EXTENSIONS:
        if (other := Path(f"{stem}{ending}")).is_file():
            return other
    raise DataMissingError(f"{printable(path)}: the list names it, but it is not there")


def people_of(pairs: Pairs) -> tuple[np.ndarray, np.ndarray] | None:
    """Who is on the left and the right images, (P,) int64 each, by their folders; None where these contradict the answers."""
    folders = [[name.rpartition("/")[0] for name in names] for names in (pairs.left, pairs.right)]
    agree = all((a == b) == s for a, b, s in zip(*folders, pairs.same.tolist(), strict=True))
    if not agree:
        return None
    who = np.unique(folders[0] + folders[1], return_inverse=True)[1]
    return who[: len(pairs)], who[len(pairs) :]


def cfp_pairs(protocol_folder: str | Path, protocol: str) -> Pairs:
    """CFP's frontal-frontal ("FF") or frontal-profile ("FP") pairs: ten folds, each 350 of one person, then 350 of two.

    `protocol_folder` is the folder Protocol of the data set. In "FP" the left image is frontal, the right one in profile.
    Raises: ValueError naming the file and the line, or the protocol where it is neither of the two.
    """
    if protocol not in ("FF", "FP"):
        raise ValueError(f"protocol must be 'FF' or 'FP', got {protocol!r}")
    folder = Path(protocol_folder)
    lists = [_cfp_list(folder / f"Pair_list_{kind}.txt") for kind in protocol]
    left, right, same, fold = [], [], [], []
    for number in range(10):
        for name in ("same", "diff"):
            path = folder / "Split" / protocol / f"{number + 1:02d}" / f"{name}.txt"
            for i, line in enumerate(read_lines(path)):
                pair = line.split(",")
                if len(pair) != 2 or any(place not in images for place, images in zip(pair, lists, strict=True)):
                    raise ValueError(
                        f"{printable(path)}, line {i + 1}: expected two image numbers of Pair_list_*.txt, got {quoted(line)}"
                    )
                left.append(lists[0][pair[0]])
                right.append(lists[1][pair[1]])
                same.append(name == "same")
                fold.append(number)
    return Pairs(tuple(left), tuple(right), np.array(same), np.array(fold))


def _cfp_list(path: Path) -> dict[str, str]:
    """Number -> name of an image, from lines such as "1 ../Data/Images/001/frontal/01.jpg"."""
    images = {}
    for i, line in enumerate(read_lines(path)):
        number, _, location = line.partition(" ")
        _, found, name = location.partition("Data/Images/")
        if not _counts(number) or not found:
            raise ValueError(f"{printable(path)}, line {i + 1}: expected a number and ../Data/Images/…, got {quoted(line)}")
        images[number] = name
    return images


def ytf_pairs(path: str | Path) -> Pairs:
    """YouTube Faces' pairs of videos (splits.txt): lines "fold, number, video, video, same", a line of titles or none.

    Raises: ValueError naming the file and the line.
    """
    left, right, same, fold = [], [], [], []
    for i, line in enumerate(read_lines(path)):
        fields = [field.strip() for field in line.split(",")]
        if i == 0 and fields[0][:1].isalpha():
            continue
        if len(fields) != 5 or not _counts(fields[0]) or not all(fields[2:4]) or fields[4] not in ("0", "1"):
            raise ValueError(
                f"{printable(path)}, line {i + 1}: expected fold, number, two videos and 0 or 1, got {quoted(line)}"
            )
        left.append(fields[2])
        right.append(fields[3])
        same.append(fields[4] == "1")
        fold.append(int(fields[0]) - 1)
    if not left:
        raise ValueError(f"{printable(path)}: there are no pairs in it")
    return Pairs(tuple(left), tuple(right), np.array(same), np.array(fold))


def _counts(text: str) -> bool:
    """Whether a text is a number from 1 on."""
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0
