"""Sets of faces from one form to another: a folder of people, InsightFace's record files, and its .bin of pairs.

Nothing is encoded anew that need not be. What is left out is counted, by why it is.
"""

import csv
import io
import pickle
import re
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np

from marginface.data.align import crop_of, write_note
from marginface.data.bins import encoded_pairs
from marginface.data.files import new_folder, printable, read_bytes, writing
from marginface.data.folders import People
from marginface.data.images import decode_image, encode_image, scaled
from marginface.data.insightface import NAMES, names_beside
from marginface.data.own import people_in
from marginface.data.pairs import Pairs, image_at, read_pairs
from marginface.data.progress import track
from marginface.data.record_parts import RecordParts, folder_of, has_records, open_records, write_record_parts
from marginface.data.recordio import RecordDataset, write_records

KINDS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"BM": ".bmp", b"P5": ".pgm", b"P6": ".ppm"}


@dataclass
class Converted:
    """How many images or pairs were `written`, of how many `people` (0 for pairs), and how many were left out, by why."""

    written: int = 0
    people: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def to_records(source: str | Path, to: str | Path, size: int | None = None, part: int | None = None) -> Converted:
    """A folder of people or a list (see `own.read_list`) as record files, with people's names beside them.

    Without `size` images stay as they are, and those of another size than most are left out; with it those of another size are
    scaled to size × size and written as PNG. With `part` so many images at most are in a file (see `record_parts`), in a
    new folder.
    Raises: ValueError where no image can be read, or `to` has record files already or is a .rec of another name than train.rec.
    """
    to = folder_of(to)
    if has_records(to):
        raise ValueError(f"{printable(to)}: there are record files in it already")
    people, done = people_in(Path(source)), Converted()
    kept, encoded = _readable(people, size, done)
    present, labels = np.unique(people.labels[kept], return_inverse=True)
    names = [people.names[i] for i in present]
    images = (encoded(place) for place in track(kept, "writing records"))
    if part is None:
        to.mkdir(parents=True, exist_ok=True)
    with nullcontext(to) if part is None else new_folder(to) as folder:  # some of the parts would look like a whole set
        with writing(folder / NAMES) as file:  # before the records, which nobody shall find without them
            file.write("".join(f"{name}\n" for name in names).encode(errors="surrogateescape"))
        _write_note(Path(source), folder, size)
        if part is None:
            write_records(folder, images, labels, identities=True)
        else:
            write_record_parts(folder, images, labels, part, identities=True)
    done.written, done.people = len(kept), len(names)
    return done


def to_people(source: str | Path, to: str | Path) -> Converted:
    """Record files as a new folder of people: a folder for each, of their name where it is known and else of their number."""
    records, done = open_records(source), Converted()
    names = _names(records)
    counts: Counter[str] = Counter()
    with new_folder(to) as folder:
        for place in track(range(len(records)), "writing images"):
            try:
                label, content = records.encoded(place)
                decode_image(content, "it")
            except ValueError:
                done.left_out["cannot be read"] += 1
                continue
            counts[name := names[label]] += 1
            (folder / name).mkdir(exist_ok=True)
            (folder / name / f"{counts[name]}{_kind(content)}").write_bytes(content)
        if not counts:
            raise ValueError(f"{printable(source)}: none of its images can be read")
        height, width = _size(records)
        if crop := crop_of(records.folder, "insightface" if (height, width) == (112, 112) else ""):
            write_note(folder, height, crop, width)
    done.written, done.people = sum(counts.values()), len(counts)
    return done


def to_bin(
    source: str | Path,
    to: str | Path,
    images: str | Path | None = None,
    pairs: int = 3000,
    seed: int = 0,
    size: int | None = None,
) -> Converted:
    """Pairs as an InsightFace .bin: those of a list, whose images are below `images`, or of a folder of people.

    Of people up to `pairs` of one person and as many of two are drawn at random. Pairs with an image that is not there, cannot
    be read or has another size than most are left out; with `size` those of another size are scaled, as by `to_records`.
    Raises: ValueError where no pair is left.
    """
    source, done = Path(source), Converted()
    if source.is_dir() or source.suffix.lower() in (".lst",):
        people = people_in(source)
        chosen, root = _drawn(people, pairs, seed), people.root
        if not len(chosen):
            raise ValueError(f"{printable(source)}: it takes two people, and two images of one, to draw pairs")
    else:
        chosen, root = read_pairs(source), source.parent if images is None else Path(images)
    content: dict[str, bytes] = {}
    shapes: dict[str, tuple[int, int]] = {}
    for name in track(chosen.names, "reading images"):
        try:
            content[name] = read_bytes(image_at(root, name))
            image = decode_image(content[name], name)
            if size is not None and image.shape[:2] != (size, size):
                image = scaled(image, size)
                content[name] = encode_image(image)
            shapes[name] = image.shape[:2]  # type: ignore[assignment]
        except ValueError:
            content.pop(name, None)
    if not shapes:
        raise ValueError(f"{printable(root)}: none of the images can be read")
    usual = Counter(shapes.values()).most_common(1)[0][0]
    written, answers = [], []
    for left, right, same in zip(chosen.left, chosen.right, chosen.same.tolist(), strict=True):
        if left not in shapes or right not in shapes:
            done.left_out["an image is not there or cannot be read"] += 1
        elif shapes[left] != usual or shapes[right] != usual:
            done.left_out[f"an image of another size than {usual[0]} × {usual[1]} (--size scales them)"] += 1
        else:
            written += [content[left], content[right]]
            answers.append(same)
    if len(set(answers)) < 2:
        raise ValueError(f"{printable(source)}: of its pairs none of one person, or none of two, is left")
    Path(to).parent.mkdir(parents=True, exist_ok=True)
    with writing(to) as file:
        pickle.dump((written, answers), file, protocol=2)
    done.written = len(answers)
    return done


def from_bin(source: str | Path, to: str | Path) -> Converted:
    """A .bin as a new folder of images, with pairs.csv: nobody knows who is on them, so they are no folder of people."""
    encoded, same = encoded_pairs(source)
    done = Converted()
    with new_folder(to) as folder:
        table = io.StringIO()
        writer = csv.writer(table)
        for i, answer in enumerate(track(same.tolist(), "writing images")):
            names = []
            for which in (2 * i, 2 * i + 1):
                try:
                    decode_image(encoded[which], "it")
                except ValueError:
                    break
                names.append(f"{which:06d}{_kind(encoded[which])}")
            if len(names) < 2:
                done.left_out["an image cannot be read"] += 1
                continue
            for name, which in zip(names, (2 * i, 2 * i + 1), strict=True):
                (folder / name).write_bytes(encoded[which])
            writer.writerow([*names, int(answer)])
            done.written += 1
        (folder / "pairs.csv").write_text(table.getvalue(), newline="")
    return done


def _readable(people: People, size: int | None, done: Converted) -> tuple[list[int], Callable[[int], bytes]]:
    """Places of the images to write, and what each is as bytes."""
    shapes: dict[int, tuple[int, int]] = {}
    for place in track(range(len(people.paths)), "looking at images"):
        try:
            height, width, _ = people.read(place).shape
            shapes[place] = height, width
        except ValueError:
            done.left_out["cannot be read"] += 1
    if not shapes:
        raise ValueError(f"{printable(people.root)}: none of its images can be read")
    usual = Counter(shapes.values()).most_common(1)[0][0]
    if size is None:
        others = [place for place, shape in shapes.items() if shape != usual]
        if others:
            done.left_out[f"of another size than {usual[0]} × {usual[1]} (--size scales them)"] += len(others)
        kept = [place for place in shapes if shapes[place] == usual]
    else:
        kept = list(shapes)

    def encoded(place: int) -> bytes:
        if size is None or shapes[place] == (size, size):
            return read_bytes(people.root / people.paths[place])
        return encode_image(scaled(people.read(place), size))

    return kept, encoded


def _write_note(source: Path, to: Path, size: int | None) -> None:
    folder = source if source.is_dir() else source.parent
    write_note(to, size or 0, crop_of(folder) if size is None else "")


def _drawn(people: People, pairs: int, seed: int) -> Pairs:
    """Up to so many pairs of one person and as many of two, in turn, none of them twice.

    With images in the order of people, those behind an image are first of its own person and then of others: so all pairs
    of a kind have numbers, and some of these are drawn, however rare the kind is.
    """
    numbers, order = np.random.default_rng(seed), np.argsort(people.labels, kind="stable")
    who, here = people.labels[order], np.arange(len(order))
    others = np.searchsorted(who, who, side="right")  # where those begin who are behind an image's own person
    halves = []
    for first, end in ((here + 1, others), (others, np.full_like(here, len(here)))):
        ends = np.cumsum(end - first)
        drawn = numbers.choice(int(ends[-1]), min(pairs, int(ends[-1])), replace=False)
        left = np.searchsorted(ends, drawn, side="right")
        halves.append(order[[left, end[left] - (ends[left] - drawn)]])
    most = min(half.shape[1] for half in halves)
    chosen = np.stack([half[:, :most] for half in halves], axis=2).reshape(2, -1)
    left_names, right_names = (tuple(people.paths[i] for i in side.tolist()) for side in chosen)
    return Pairs(left_names, right_names, np.arange(2 * most) % 2 == 0, np.zeros(2 * most, dtype=np.int64))


def _names(records: RecordDataset | RecordParts) -> list[str]:
    """Names of folders; a name that can be none, or that would not be read back, gives way to the number.

    Where somebody else's name is this number, it is the next one that is free, from the number of people on.
    """
    known = names_beside(records.folder, records.num_classes)
    plain = [re.sub(r"[/\\\0]", "_", name) for name in known] or [""] * records.num_classes
    times = Counter(plain)
    fitting = {name for name in plain if name and name[0] != "." and times[name] == 1}
    free = (str(number) for number in count(records.num_classes) if str(number) not in fitting)
    return [name if name in fitting else str(i) if str(i) not in fitting else next(free) for i, name in enumerate(plain)]


def _size(records: RecordDataset | RecordParts) -> tuple[int, int]:
    _, height, width = records[0][0].shape
    return height, width


def _kind(content: bytes) -> str:
    return next((ending for start, ending in KINDS.items() if content.startswith(start)), ".png")
