"""Encoded images (JPEG, PNG, BMP, PGM and its relatives) to arrays of RGB bytes.

OpenCV decodes more formats than these; what comes from elsewhere does not reach its rarer decoders.
"""

import re
from pathlib import Path

import cv2
import numpy as np

from marginface.data.files import read_bytes

Encoded = bytes | memoryview | np.ndarray
MAX_PIXELS = 2**26  # a damaged header must not make the decoder ask for gigabytes
_PNM_SIZE = re.compile(rb"P\d(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})")


def decode_image(encoded: Encoded, name: str) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB in encoded bytes; grey ones get three equal channels.

    `name` says in the error what the image is. Raises: ValueError where the bytes are no image or one cut short.
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
    size = _claimed_size(content)
    if size is None:
        raise ValueError(f"{name}: not a JPEG, PNG, BMP or PNM image: {_start(content)}")
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"{name}: its header claims {size[0]} × {size[1]} pixels, more than any face image has")
    image = None
    if size[0] and size[1]:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:
            raise ValueError(f"{name}: not an image that OpenCV can decode: {_start(content)} ({error.err})") from error
    if image is None:
        raise ValueError(f"{name}: not a whole image: {_start(content)}")
    return image


def _start(content: bytes) -> str:
    return f"{len(content)} bytes that start with {content[:8].hex(' ') or 'nothing'}"


def read_image(path: str | Path) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB in a file. Raises: ValueError naming the file where it is missing, damaged or none."""
    return decode_image(read_bytes(path), str(path))


def encode_image(image: np.ndarray, kind: str = ".png", quality: int = 95) -> bytes:
    """An image (H, W, 3) uint8 RGB or (H, W) grey as ".png" or ".jpg" bytes, the latter at the given quality."""
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or image.size == 0:
        raise ValueError(f"image must be uint8 of shape (H, W) or (H, W, 3), got {image.dtype} {image.shape}")
    if kind not in (".png", ".jpg"):
        raise ValueError(f"kind must be '.png' or '.jpg', got {kind!r}")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(kind, bgr, [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == ".jpg" else [])[1].tobytes()


def _claimed_size(content: bytes) -> tuple[int, int] | None:
    """Width and height in the header, zeros where it is damaged or cut short; None for other formats than the four."""
    if content.startswith(b"\xff\xd8"):
        return _jpeg_size(content)
    if content.startswith(b"\x89PNG"):
        return _png_size(content)
    if content.startswith(b"BM"):
        width, height = (abs(int.from_bytes(content[at : at + 4], "little", signed=True)) for at in (18, 22))
        return width, height
    if content[:1] == b"P" and content[1:2] in b"123456":
        found = _PNM_SIZE.match(content)
        return (int(found[1]), int(found[2])) if found else (0, 0)
    return None


def _png_size(content: bytes) -> tuple[int, int]:
    """Width and height in the header, or zeros where a chunk is cut short: OpenCV would first allocate what its length claims.

    Source: PNG, 5.2 and 5.3: after eight bytes chunks of a length, a name, that many bytes, and a checksum of four.
    """
    at, name = 8, b""
    while at < len(content) and name != b"IEND":
        name = content[at + 4 : at + 8]
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    whole = name == b"IEND" and at <= len(content)
    return (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) if whole else (0, 0)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height in the frame header, or zeros where there is none.

    Source: ITU-T T.81, B.1 and B.2.2: segments of 0xff, a marker and a length; the frame headers are SOF0 to SOF15.
    """
    at = 2
    while at + 9 <= len(content):
        marker = content[at + 1]
        if content[at] != 0xFF:  # decoders skip what stands between segments, and so do we
            at = content.find(b"\xff", at) % (len(content) + 1)
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")
        elif marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2  # fill bytes, and markers that stand alone
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return 0, 0
