"""Faces found in photographs, with the five landmarks that `align.align` needs: what comes before every aligned set.

    marginface align photographs/ aligned/

The detector is libfacedetection's, by its own authors; its package holds the weights, and is the optional extra [detector].
"""

import importlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from marginface.data.align import TEMPLATE_SIZE, align, write_note
from marginface.data.damage import counted
from marginface.data.files import new_folder, printable
from marginface.data.folders import list_people
from marginface.data.images import encode_image
from marginface.data.progress import track

LONG_SIDE = 640  # what the detector sees of any image; it gives whole pixels, so that small images must be enlarged


@dataclass(frozen=True, eq=False)
class Detection:
    """A face: `landmarks` (5, 2) float64 as `align.align` takes them, `box` x, y, width and height in pixels, `confidence`
    in [0, 1]."""

    landmarks: np.ndarray
    box: tuple[float, float, float, float]
    confidence: float


def detect(image: np.ndarray, confidence: float = 0.5) -> list[Detection]:
    """The faces in an image (H, W, 3) uint8 RGB, the largest first; those of less confidence are left out.

    Landmarks come in steps of a 640th of the longer side.
    Raises: ValueError for another image or a confidence outside [0, 1]; ModuleNotFoundError without the extra [detector].
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence={confidence} must be in [0, 1]")
    scale = LONG_SIDE / max(image.shape[:2])
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    seen = cv2.cvtColor(cv2.resize(image, size, interpolation=how), cv2.COLOR_RGB2BGR)
    stretch = np.array(image.shape[1::-1]) / size  # of x and y, which rounding tells apart
    found = [
        Detection(
            (points.reshape(5, 2) + 0.5) * stretch - 0.5, tuple((box.reshape(2, 2) * stretch).ravel().tolist()), sure / 100
        )
        for sure, box, points in zip(*_detector().detect(seen, confidence), strict=True)
    ]
    return sorted(found, key=lambda face: -face.box[2] * face.box[3])


@dataclass(frozen=True)
class Aligned:
    """What became of photographs: how many `faces` were written, which are `faceless`, and why some are `unreadable`."""

    faces: int
    faceless: tuple[str, ...]
    unreadable: dict[str, str]


@counted()
def align_people(
    photographs: str | Path, to: str | Path, size: int = TEMPLATE_SIZE, confidence: float = 0.5, width: int | None = None
) -> Aligned:
    """The largest face of every photograph in a folder of people, aligned, as a PNG of the same name in the new folder `to`.

    Faces are squares of `size` pixels, or have a `width` of their own (see `align.align`). `own.load` and `insightface.load`
    train on what comes out. `to` is written whole or not at all, with a note on how faces were cut out. Photographs without a
    face, and those that cannot be read, are not in it.
    Raises: what `list_people` and `detect` raise; ValueError where `to` exists, where two photographs differ only in their
        extension, or where no photograph has a face.
    """
    people, to = list_people(photographs), Path(to)
    names = [Path(path).with_suffix(".png") for path in people.paths]
    for side, pixels in (("size", size), ("width", size if width is None else width)):
        if pixels < 1:
            raise ValueError(f"{side}={pixels} must be at least 1 pixel")
    if twice := {name for name, count in Counter(names).items() if count > 1}:
        raise ValueError(
            f"{printable(people.root)}: {printable(min(twice))} would be written twice, "
            "because photographs differ only in their extension"
        )
    faceless, unreadable = [], {}
    with new_folder(to) as folder:
        for i, name in enumerate(track(names, "aligning")):
            try:
                image = people.read(i)
            except ValueError as error:
                unreadable[people.paths[i]] = str(error)
                continue
            if not (faces := detect(image, confidence)):
                faceless.append(people.paths[i])
                continue
            crop = align(image, faces[0].landmarks, size, width=width).transpose(1, 2, 0)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(encode_image(crop))
        left = len(names) - len(faceless) - len(unreadable)
        if not left:
            raise ValueError(f"{printable(people.root)}: no face was found in any of its {len(names)} photographs")
        write_note(folder, size, width=width)
    return Aligned(left, tuple(faceless), unreadable)


def _detector() -> Any:
    try:
        return importlib.import_module("yuface")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("finding faces needs an optional package: pip install 'marginface[detector]'") from error
