"""What people have beside the images that are read here, told by its content, and what to convert it with."""

import re

# brands of the container that HEIC, AVIF, Canon's raw files and most videos share (ISO/IEC 14496-12, 4.3)
_BRANDS = {
    b"avif": ("AVIF", "avifdec"),
    b"avis": ("AVIF", "avifdec"),
    b"crx ": ("a camera's raw file", "darktable-cli"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), ("HEIC", "heif-convert")),
}
# what a file of a kind begins with, its name, and a program that converts it
_STARTS = (
    (rb"(?:II\*\0|MM\0\*).{4}CR|FUJIFILMCCD-RAW|IIR[OS]\x08|MMOR|IIU\0|FOVb|\0MRM", "a camera's raw file", "darktable-cli"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "TIFF or a camera's raw file (DNG, NEF, ARW)", "magick or darktable-cli"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL", "djxl"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000", "opj_decompress"),
    (rb"GIF8[79]a", "GIF", "magick"),
    (rb"8BPS", "a Photoshop file", "magick"),
    (rb"%PDF", "PDF", "pdftoppm"),
    (rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg", "SVG", "magick"),
    (rb"(?i)\s*<(?:!doctype html|html|head|body)", "a page of the web that stands in the image's place", ""),
    (rb"RIFF.{4}AVI |\x1a\x45\xdf\xa3", "a video", "ffmpeg"),
)


def named(content: bytes) -> str | None:
    """What the bytes are, if it is another kind of image or what is found in an image's place, and what to do; else None."""
    if content[4:8] == b"ftyp":
        brands = [content[8:12], *(content[at : at + 4] for at in range(16, min(int.from_bytes(content[:4], "big"), 64), 4))]
        kind, program = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), ("a video", "ffmpeg"))
        return _advice(kind, program)
    for start, kind, program in _STARTS:
        if re.match(start, content[:512], re.DOTALL):
            return _advice(kind, program)
    return None


def _advice(kind: str, program: str) -> str:
    return f"it is {kind}" + (f"; convert it to PNG or JPEG, for instance with {program}" if program else "; fetch it again")
