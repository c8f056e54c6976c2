"""What an encoded image claims to be, read before a decoder sees it: its format, its size, and whether it is whole.

A decoder believes a header and allocates what it claims, and follows every extension of a format into code that few have
used. Here sizes are known beforehand, and animations, colour profiles and texts do not reach the decoder.
"""

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np

FORMATS = "JPEG, PNG, WebP, BMP or PNM"
_SPACE = rb"(?:\s|#[^\n]*\n)+"
_PNM_SIZE = re.compile(rb"P\d" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})")
_PNM_WHITE = re.compile(_SPACE + rb"(\d{1,9})\s")
_PNG = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"tRNS", b"eXIf")  # of the chunks that a PNG may do without: transparency, and which side is up


class DamagedError(ValueError):
    """The bytes are of a known format, and not a whole image; the message says why, where that is known."""


def look(content: bytes) -> tuple[int, int, bytes] | None:
    """Width, height, and the bytes to decode; None for other formats than `FORMATS` but JPEG, of which see `jpegs`.

    Raises: DamagedError where the header is damaged or the content cut short.
    """
    if content.startswith(_PNG[:4]):
        return _png(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    if content.startswith(b"BM"):
        width, height = (abs(int.from_bytes(content[at : at + 4], "little", signed=True)) for at in (18, 22))
        return width, height, content
    if content[:1] == b"P" and content[1:2] in b"123456":
        return _pnm(content)
    return None


def _pnm(content: bytes) -> tuple[int, int, bytes]:
    """A PNM whose white is 255: OpenCV takes another white for a grey where numbers are bytes.

    Source: Netpbm's pages pgm and ppm: after the size comes the number that is white, up to 65,535, and one space; numbers are
    text in P2 and P3, else bytes, or two each, the larger first, where white is above 255. P1 and P4 are black and white.
    """
    if not (size := _PNM_SIZE.match(content)):
        raise DamagedError("it has no size")
    width, height, kind = int(size[1]), int(size[2]), content[:2]
    if kind in (b"P1", b"P4"):
        return width, height, content
    if not (found := _PNM_WHITE.match(content, size.end())) or not 0 < int(found[1]) < 2**16:
        raise DamagedError("it does not say which number is white")
    if (white := int(found[1])) == 255:
        return width, height, content
    values = _pnm_values(content[found.end() :], kind, width * height * (3 if kind in (b"P3", b"P6") else 1), white)
    binary = b"P5" if kind in (b"P2", b"P5") else b"P6"
    scaled = (values * 255 + white // 2) // white
    return width, height, b"%b %d %d 255\n" % (binary, width, height) + scaled.astype(np.uint8).tobytes()


def _pnm_values(content: bytes, kind: bytes, count: int, white: int) -> np.ndarray:
    """The numbers (count,) int64 of a PNM, from 0 to `white`."""
    if count > len(content):
        raise DamagedError("cut short")
    try:
        if kind in (b"P2", b"P3"):
            texts = re.sub(rb"#[^\n]*", b"", content).split(maxsplit=count)[:count]
            values = np.fromiter(map(int, texts), np.int64, count)
        else:
            values = np.frombuffer(content, ">u2" if white > 255 else np.uint8, count).astype(np.int64)
    except (ValueError, OverflowError) as error:
        raise DamagedError("cut short, or not numbers") from error
    if count and not 0 <= values.min() <= values.max() <= white:
        raise DamagedError(f"it has numbers beyond its white, {white}")
    return values


def _png(content: bytes) -> tuple[int, int, bytes]:
    """A PNG up to its end, without the chunks that a decoder can do without.

    Those of animations (acTL, fcTL, fdAT) made OpenCV 4.11 write where it must not, and it reads on after IEND where there
    was no IDAT. What stays has its checksum compared here, because libpng says what it finds on stderr.

    Source: PNG, 5.2 and 5.3: after eight bytes chunks of a length, a name, that many bytes, and a checksum of four.
    """
    if not content.startswith(_PNG):
        raise DamagedError("its first eight bytes are not those of a PNG")
    kept, names = [_PNG], []
    for name, chunk in _chunks(content):
        optional = bool(name[0] & 0x20)  # a small first letter says so
        if optional and name not in _KEPT:
            continue
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            if optional:
                continue
            raise DamagedError(f"the checksum of its {name.decode('ascii', 'backslashreplace')} is wrong")
        kept.append(chunk)
        names.append(name)
    if not names or names[0] != b"IHDR" or len(kept[1]) != 25 or names.count(b"IHDR") > 1:
        raise DamagedError("it does not start with one IHDR of 13 bytes")
    if b"IDAT" not in names:
        raise DamagedError("it has no IDAT")
    return *struct.unpack_from(">II", kept[1], 8), b"".join(kept)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and whole chunks of a PNG, up to IEND."""
    at, name = 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(content):
            raise DamagedError("cut short")
        yield name, content[at:end]
        at = end


def _webp(content: bytes) -> tuple[int, int, bytes]:
    """A WebP up to the end that its header gives. Animations are refused.

    Source: RFC 9649, 2.3 to 2.7 and 3.4: after RIFF, a length and WEBP chunks of a name, a length and that many bytes, filled
    up to an even number; one of them, VP8 or VP8L, is the image. RFC 6386, 9.1: a key frame of VP8 starts with three bytes
    and 9d 01 2a, and its sizes have 14 bits.
    """
    end, at = 8 + int.from_bytes(content[4:8], "little"), 12
    if end > len(content):
        raise DamagedError("cut short")
    sizes, canvas = [], None
    while at + 8 <= end:
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + min(length, 10)]
        at += 8 + length + length % 2
        if at > end:
            raise DamagedError("cut short")
        if name in (b"ANIM", b"ANMF") or (name == b"VP8X" and body[:1] and body[0] & 2):
            raise DamagedError("an animation")
        if name == b"VP8X" and len(body) == 10:
            canvas = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        if name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) == 10:
            width, height = struct.unpack_from("<HH", body, 6)
            sizes.append((width & 0x3FFF, height & 0x3FFF))
        if name == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:
            bits = int.from_bytes(body[1:5], "little")
            sizes.append((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
    if len(sizes) != 1 or (canvas or sizes[0]) != sizes[0]:
        raise DamagedError("it does not hold one image of the size of its header")
    return *sizes[0], content[:end]
