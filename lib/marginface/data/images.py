"""Encoded images (JPEG, PNG, WebP, BMP, PGM and its relatives) to arrays of RGB bytes.

OpenCV decodes more formats than these; what comes from elsewhere does not reach its rarer decoders.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from marginface.data import foreign, jpegs
from marginface.data.damage import note
from marginface.data.files import printable, read_bytes
from marginface.data.image_headers import FORMATS, DamagedError, look

Encoded = bytes | memoryview | np.ndarray
MAX_PIXELS = 2**26  # a damaged header must not make the decoder ask for gigabytes


def decode_image(encoded: Encoded, name: str) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB in encoded bytes; grey ones get three equal channels.

    `name` says in the error what the image is. Raises: ValueError where the bytes are no image or one cut short.
    Warns: DataWarning where parts of it are damaged, once for all images where they are counted (see `damage`).
    """
    return cv2.cvtColor(decode_bgr(encoded, name), cv2.COLOR_BGR2RGB)


def decode_planes(encoded: Encoded, name: str) -> np.ndarray:
    """The same image as three planes (3, H, W), the order of PyTorch."""
    image = decode_bgr(encoded, name)
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, [planes[2], planes[1], planes[0]])  # to RGB and to planes in one pass
    return planes


def decode_bgr(encoded: Encoded, name: str) -> np.ndarray:
    """The same image in the order of OpenCV."""
    content = bytes(encoded)
    try:
        return _decode_jpeg(content, name) if content.startswith(jpegs.START) else _decode(content, name)
    except DamagedError as error:
        why = f" ({error})" if str(error) else ""
        raise ValueError(f"{name}: not a whole image: {_start(content)}{why}") from error


def _decode_jpeg(content: bytes, name: str) -> np.ndarray:
    header = jpegs.read_header(content)
    _check_pixels(header.width, header.height, name)
    image, damage = jpegs.decode(content, header)
    if damage is not None:
        note(name, damage)
    return image


def _decode(content: bytes, name: str) -> np.ndarray:
    found = look(content)
    if found is None:
        what = foreign.named(content)
        raise ValueError(f"{name}: not a {FORMATS} image: {_start(content)}" + (f" ({what})" if what else ""))
    width, height, plain = found
    _check_pixels(width, height, name)
    _quiet()
    try:
        image = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"{name}: not an image that OpenCV can decode: {_start(content)} ({error.err})") from error
    if image is None:
        raise DamagedError
    return image


def _check_pixels(width: int, height: int, name: str) -> None:
    if not width * height:
        raise DamagedError("it has no pixels")
    if width * height > MAX_PIXELS:
        raise ValueError(f"{name}: its header claims {width} × {height} pixels, more than any face image has")


@cache
def _quiet() -> None:
    """OpenCV's own lines about damage name no file, and ours do. Whoever has set its level is obeyed."""
    if "OPENCV_LOG_LEVEL" not in os.environ and hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)


def _start(content: bytes) -> str:
    return f"{len(content)} bytes that start with {content[:8].hex(' ') or 'nothing'}"


def read_image(path: str | Path) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB in a file. Raises: ValueError naming the file where it is missing, damaged or none."""
    return decode_image(read_bytes(path), printable(path))


def check_size(size: Sequence[int], others: Sequence[int], name: str) -> None:
    """That an image has the height and width of the others of its set. Raises: ValueError naming it and both sizes."""
    if tuple(size) != tuple(others):
        here, there = (" × ".join(map(str, each)) for each in (size, others))
        raise ValueError(f"{name}: an image of {here} pixels (height × width), where others have {there}")


def scaled(image: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """An image (H, W, C) uint8 at height × width pixels, by default a square; the very same where it has them."""
    size = (height, height if width is None else width)
    if image.shape[:2] == size:
        return image
    smaller = image.shape[0] > size[0] and image.shape[1] > size[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def encode_image(image: np.ndarray, kind: str = ".png", quality: int = 95) -> bytes:
    """An image (H, W, 3) uint8 RGB or (H, W) grey as ".png" or ".jpg" bytes, the latter at the given quality."""
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or image.size == 0:
        raise ValueError(f"image must be uint8 of shape (H, W) or (H, W, 3), got {image.dtype} {image.shape}")
    if kind not in (".png", ".jpg"):
        raise ValueError(f"kind must be '.png' or '.jpg', got {kind!r}")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(kind, bgr, [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == ".jpg" else [])[1].tobytes()
