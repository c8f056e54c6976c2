"""Face alignment: five landmarks to a crop of a fixed geometry, and pixels to what a network reads.

Landmarks are (5, 2) float, x and y in pixels: the eye and, last but one, the mouth corner at the left of the image come before
those at its right, the tip of the nose between them.
"""

import json
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from torch import Tensor

from marginface.data.files import printable, read_bytes, writing

# where InsightFace's 112 × 112 crops have the five landmarks, x and y in pixels
TEMPLATE = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)])
TEMPLATE_SIZE = 112

# where the mean of LFW-a's 250 × 250 images has them; its faces were aligned already, each to this place
LFW_A = np.array([(102.5, 112.0), (148.0, 112.0), (125.2, 138.5), (107.0, 159.0), (143.5, 159.0)])


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift that bring points (K, 2) nearest to target (K, 2) in least squares, as (2, 3) float64.

    Without a reflection, x' = a x - b y + c and y' = b x + a y + d: four unknowns in a linear system.
    Raises: ValueError where the points are not finite, fewer than two, or all in one place.
    """
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    if points.shape != target.shape or points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise ValueError(f"need two or more points (K, 2) and as many targets, not {points.shape} and {target.shape}")
    if not (np.isfinite(points).all() and np.isfinite(target).all()):
        raise ValueError("landmarks hold NaN or infinity")
    if np.ptp(points, axis=0).max() == 0:
        raise ValueError(f"landmarks are all in one place, {points[0].tolist()}")
    x, y, one, zero = points[:, 0], points[:, 1], np.ones(len(points)), np.zeros(len(points))
    system = np.concatenate([np.stack([x, -y, one, zero], axis=1), np.stack([y, x, zero, one], axis=1)])
    a, b, c, d = np.linalg.lstsq(system, target.T.reshape(-1), rcond=None)[0]
    return np.array([(a, -b, c), (b, a, d)])


def align(
    image: np.ndarray, landmarks: np.ndarray, size: int = TEMPLATE_SIZE, grey: bool = False, width: int | None = None
) -> np.ndarray:
    """The face in an image (H, W, 3) uint8 RGB, as (C, size, size) uint8 with its landmarks on the template; black outside.

    At sizes other than 112, such as the 160 of the Inception networks, the template grows with the crop. `grey` gives C = 1.
    `width` gives (C, size, width): less or more at both sides of the same face, as in SphereFace's crops of 112 × 96.
    """
    width = size if width is None else width
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    for name, pixels in (("size", size), ("width", width)):
        if pixels < 8:
            raise ValueError(f"{name}={pixels} must be at least 8")
    scale = size / TEMPLATE_SIZE
    to_crop = similarity(landmarks, (TEMPLATE + 0.5) * scale - 0.5 + ((width - size) / 2, 0))
    shrunk = np.hypot(*to_crop[0, :2])  # pixels of the crop to one of the image
    if shrunk < 0.5:  # a bilinear look-up reads four pixels, and would leave out most of a large image
        image = cv2.resize(image, None, fx=2 * shrunk, fy=2 * shrunk, interpolation=cv2.INTER_AREA)
        grow, shift = 0.5 / shrunk, 0.25 / shrunk - 0.5  # pixels are counted from the middle of the first
        to_crop = to_crop @ np.array([(grow, 0, shift), (0, grow, shift), (0, 0, 1)])
    crop = cv2.warpAffine(image, to_crop, (width, size), flags=cv2.INTER_LINEAR)
    return cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[None] if grey else np.ascontiguousarray(crop.transpose(2, 0, 1))


NOTE = "alignment.json"  # in a folder of people or of record files: how the faces in it were cut out
CROPS = ("insightface", "")  # as `align` does it, and nobody knows how


def write_note(folder: Path, size: int, crop: str = CROPS[0], width: int | None = None) -> None:
    """Say in a folder how the faces in it were cut out, `width` where they are no squares. A size of 0 is not known."""
    shape = {"size": size} if width in (None, size) else {"size": size, "width": width}
    with writing(folder / NOTE) as file:
        file.write(json.dumps({"crop": crop, **shape}).encode())


def crop_of(folder: Path, otherwise: str = "") -> str:
    """How the faces in a folder were cut out, one of `CROPS`. Raises: ValueError naming a note that says something else."""
    note = _note(folder)
    if note is None:
        return otherwise
    if (crop := note["crop"]) not in CROPS:
        raise ValueError(f"{printable(folder / NOTE)}: crop={crop!r} must be one of {', '.join(map(repr, CROPS))}")
    return crop


def shape_of(folder: Path) -> tuple[int, int] | None:
    """Height and width of the faces in a folder, as its note says. Raises: ValueError naming a note that is none."""
    note = _note(folder)
    if note is None or not isinstance(size := note.get("size"), int) or size < 1:
        return None
    width = note.get("width", size)
    return (size, width) if isinstance(width, int) and width > 0 else None


def _note(folder: Path) -> dict[str, Any] | None:
    path = folder / NOTE
    if not path.exists():
        return None
    try:
        note = json.loads(read_bytes(path))
        note["crop"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{printable(path)}: not a note on an alignment ({type(error).__name__})") from error
    return dict(note)


def cfp_landmarks(fiducials: np.ndarray, frontal: bool) -> np.ndarray:
    """Five landmarks from the 30 fiducials (30, 2) of CFP, which lie on one half of the face and on its middle line.

    Seen in the images: 12 to 17 surround the eye, 18 is the bridge of the nose, 21 its tip, 25 the mouth's corner, 26 and 28
    its middle. The other half of a frontal face is the reflection at the line from the bridge to the mouth's middle; a
    profile's is hidden, and the two middle points stand for it, which is where detectors put it.
    """
    if fiducials.shape != (30, 2):
        raise ValueError(f"CFP has 30 fiducials (30, 2), not {fiducials.shape}")
    eye, bridge, tip, corner = fiducials[12:18].mean(axis=0), fiducials[18], fiducials[21], fiducials[25]
    mouth = fiducials[[26, 28]].mean(axis=0)
    if frontal:
        along = (mouth - bridge) / np.linalg.norm(mouth - bridge)
        other_eye, other_corner = (2 * (bridge + ((p - bridge) @ along) * along) - p for p in (eye, corner))
    else:
        other_eye, other_corner = bridge, mouth
    half = np.stack([eye, other_eye, tip, corner, other_corner])
    return half if eye[0] <= other_eye[0] else half[[1, 0, 2, 4, 3]]


def normalise(images: Tensor, how: Literal["unit", "fixed", "whitened", "none"] = "fixed") -> Tensor:
    """What a network reads, (N, C, H, W) float, from images (N, C, H, W) uint8.

    "unit" lies in [-1, 1] (InterFace §III); "fixed" is (x - 127.5) / 128 (ArcFace §3.2); "whitened" gives each image mean 0 and
    variance 1, as the Inception networks of IAM and PAM had it, with a deviation of at least 1/√(values), so that a flat
    image stays finite. "none" leaves 0 to 255, for networks that do it themselves.
    """
    x = images.float()
    if how == "none":
        return x
    if how == "unit":
        return x.div_(127.5).sub_(1)
    if how == "fixed":
        return x.sub_(127.5).div_(128)
    if how == "whitened":
        least = x[0].numel() ** -0.5
        deviation, mean = x.std(dim=(1, 2, 3), keepdim=True, correction=0), x.mean(dim=(1, 2, 3), keepdim=True)
        return (x - mean) / deviation.clamp_min(least)
    raise ValueError(f"unknown normalisation {how!r}; known: unit, fixed, whitened")
