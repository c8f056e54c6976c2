"""JPEG: what its header says, and a decoder that hands over what it finds damaged, where others write it to stderr."""

from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from marginface.data.image_headers import DamagedError

START = b"\xff\xd8"
END = b"\xff\xd9"
MAX_SCANS = 64  # of a progressive one, which has some ten; each takes as long as an image


@dataclass(frozen=True)
class Header:
    """The frame's sizes in pixels as they are encoded, its number of colours, where its data begins, and which side is up.

    `orientation` is Exif's, 1 to 8; from 5 on width and height change places.
    """

    width: int
    height: int
    colours: int
    data: int
    orientation: int


def read_header(content: bytes) -> Header:
    """What comes before the first scan. Raises: DamagedError where it is not whole.

    Source: ITU-T T.81, B.1 and B.2.2: segments of 0xff, a marker and a length; the frame headers are SOF0 to SOF15, and SOS
    starts a scan. Exif 2.3, 4.5: it stands in a segment APP1 after six bytes.
    """
    at, frame, orientation = 2, 0, 1
    while at + 9 <= len(content):
        marker = content[at + 1]
        if content[at] != 0xFF:  # decoders skip what stands between segments, and so do we
            at = content.find(b"\xff", at) % (len(content) + 1)
            continue
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2  # fill bytes, and markers that stand alone
            continue
        if marker == 0xDA:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = frame or at
        elif marker == 0xE1 and content[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(content[at + 10 : at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")])
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    else:
        raise DamagedError("it has no frame header" if not frame else "it has no image data")
    if not frame:
        raise DamagedError("it has no frame header")
    height, width = (int.from_bytes(content[frame + i : frame + i + 2], "big") for i in (5, 7))
    return Header(width, height, content[frame + 9], at, orientation)


def _orientation(tiff: bytes) -> int:
    """Source: TIFF 6.0, section 2: the first directory is a count and entries of twelve bytes; the tag of this one is 0x112."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)  # type: ignore[arg-type]

    if order is not None:
        start = number(4, 4)
        for at in range(start + 2, min(start + 2 + 12 * number(start, 2), len(tiff) - 11), 12):
            if number(at, 2) == 0x112 and 1 <= number(at + 8, 2) <= 8:
                return number(at + 8, 2)
    return 1


def decode(content: bytes, header: Header) -> tuple[np.ndarray, str | None]:
    """The image (H, W, 3) uint8 in the order of OpenCV, and what is damaged in it, if anything: then parts of it are wrong.

    Raises: DamagedError where there is no image, or one cut short.
    """
    if content.count(b"\xff\xda", header.data) > MAX_SCANS:
        raise DamagedError("it has more scans than any image needs")
    colours = "CMYK" if header.colours == 4 else "BGR"
    damage = None
    try:
        image = simplejpeg.decode_jpeg(content, colours)
    except ValueError as error:
        damage = str(error)
        if END not in content[header.data :]:
            raise DamagedError("cut short") from error
        try:
            image = simplejpeg.decode_jpeg(content, colours, strict=False)
        except ValueError:
            raise DamagedError(damage) from error
    return _upright(image if colours == "BGR" else _to_bgr(image), header.orientation), damage


def _to_bgr(cmyk: np.ndarray) -> np.ndarray:
    """Four colours as OpenCV makes three of them: cameras have none, but images from the web may."""
    colours, black = cmyk[..., :3].astype(np.uint16), cmyk[..., 3:].astype(np.uint16)
    return np.ascontiguousarray((black - ((255 - colours) * black >> 8)).astype(np.uint8)[..., ::-1])


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Source: Exif 2.3, 4.6.4: 5 to 8 have rows for columns; the others are flips."""
    if orientation >= 5:
        image = cv2.transpose(image)
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    return cv2.flip(image, flips[orientation]) if orientation in flips else image
