"""Decoding: colours in the right order, and damage that is named."""

import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from marginface.data.images import decode_bgr, decode_image, decode_planes, encode_image, read_image
from marginface.data.jpegs import MAX_SCANS
from marginface.data.types import DataWarning

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
ALPHA = np.dstack([IMAGE, IMAGE[..., :1]])


def chunk(name: bytes, content: bytes = b"") -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_with(*chunks: bytes, after: bytes = b"") -> bytes:
    """`IMAGE` as a PNG with more chunks behind its header, and more bytes behind its end."""
    png = encode_image(IMAGE)
    return png[:33] + b"".join(chunks) + png[33:] + after


def animated(width: int, height: int, x: int, y: int, frames: int = 2) -> bytes:
    """A PNG that says that it is the first of so many frames, of which only it is there."""
    frame = struct.pack(">IIIIIHHBB", 0, width, height, x, y, 1, 10, 0, 0)
    return png_with(chunk(b"acTL", struct.pack(">II", frames, 0)), chunk(b"fcTL", frame))


def turned(orientation: int, order: str = "<", jpeg: bytes = encode_image(IMAGE, ".jpg")) -> bytes:
    """A JPEG whose Exif says which side is up."""
    entries = [(0x10F, 2, 4, b"cam\0"), (0x112, 3, 1, struct.pack(f"{order}HH", orientation, 0)), (0x128, 3, 1, bytes(4))]
    directory = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries)) + directory + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff + jpeg[2:]


def four_colours() -> bytes:
    """As programs for printing write it, here with the colours as numbers of anything."""
    file = io.BytesIO()
    Image.fromarray(np.dstack([IMAGE, IMAGE[..., :1]]), "CMYK").save(file, "JPEG", quality=90)
    return file.getvalue()


def webp(image: np.ndarray, quality: int = 101) -> bytes:
    """101 is without loss."""
    return cv2.imencode(".webp", image[..., [2, 1, 0, *range(3, image.shape[2])]], [cv2.IMWRITE_WEBP_QUALITY, quality])[
        1
    ].tobytes()


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    content = b"WEBP" + b"".join(n + len(c).to_bytes(4, "little") + c + bytes(len(c) % 2) for n, c in chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def extended(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """The chunk that says what else is in a WebP."""
    sides = (side - 1 for side in (width, height))
    return b"VP8X", bytes([flags, 0, 0, 0]) + b"".join(side.to_bytes(3, "little") for side in sides)


GEOMETRIES = [(7, 9, 0, 0), (7, 9, 10**5, 10**5), (7, 9, 1, 0), (8, 9, 0, 0), (3, 2, 2, 2), (0, 0, 0, 0), (2**31 - 1, 1, 0, 0)]
GEOMETRIES += [(7, 9, 2**32 - 1, 2**32 - 7), (10**5, 10**5, 0, 0), (1, 1, 6, 8)]


def test_png_comes_back_in_rgb_and_in_planes() -> None:
    png = encode_image(IMAGE)
    np.testing.assert_array_equal(decode_image(png, "x"), IMAGE)
    np.testing.assert_array_equal(decode_planes(png, "x"), IMAGE.transpose(2, 0, 1))
    assert decode_planes(png, "x").flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(decode_image(np.frombuffer(png, np.uint8), "x"), IMAGE)


def test_jpeg_keeps_red_red() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    found = decode_image(encode_image(red, ".jpg", quality=98), "x").astype(int)
    assert np.abs(found - red).max() < 6


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 7), (16, 17), (33, 8), (112, 112)])
def test_a_jpeg_has_the_pixels_that_opencv_gives(height: int, width: int) -> None:
    """With which sets were made and networks trained."""
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    samplings = [0x411111, 0x111111, 0x211111, 0x221111, 0x121111]
    for image, sampling, progressive in itertools.product((noise, noise[..., 0]), samplings, (0, 1)):
        options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
        jpeg = cv2.imencode(".jpg", cv2.blur(image, (3, 3)), options)[1]
        np.testing.assert_array_equal(decode_bgr(jpeg, "x"), cv2.imdecode(jpeg, cv2.IMREAD_COLOR))


def test_real_jpegs_have_the_pixels_that_opencv_gives(shared: Path) -> None:
    paths = [*sorted((shared / "cfp" / "Data" / "Images").glob("1*0/*/*.jpg"))]
    assert len(paths) == 140
    for path in paths:
        np.testing.assert_array_equal(decode_bgr(path.read_bytes(), "x"), cv2.imread(str(path)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_says_which_side_is_up(orientation: int, order: str) -> None:
    jpeg = turned(orientation, order)
    found = decode_bgr(jpeg, "x")
    assert found.shape == ((7, 9, 3) if 5 <= orientation <= 8 else (9, 7, 3))
    np.testing.assert_array_equal(found, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_four_colours_become_three_as_in_opencv() -> None:
    jpeg = four_colours()
    np.testing.assert_array_equal(decode_bgr(jpeg, "x"), cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_scans_without_number_are_refused() -> None:
    """Each takes as long as an image, and no more than some ten bytes."""
    jpeg = cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    with pytest.raises(ValueError, match=r"x: not a whole image: .*it has more scans than any image needs"):
        decode_image(jpeg[:-2] + last * MAX_SCANS + jpeg[-2:], "x")
    assert jpeg.count(b"\xff\xda") < MAX_SCANS / 2


@pytest.mark.parametrize("kind", [".png", ".jpg", ".pgm", ".bmp"])
def test_grey_images_get_three_equal_channels(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"grey{kind}"
    cv2.imwrite(str(path), IMAGE[..., 0])
    image = read_image(path)
    assert image.shape == (9, 7, 3)
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 0] == image[..., 2]).all()
    if kind != ".jpg":
        np.testing.assert_array_equal(image[..., 0], IMAGE[..., 0])


@pytest.mark.parametrize("white", [1, 15, 100, 254, 255, 256, 1023, 65535])
@pytest.mark.parametrize("kind", [b"P2", b"P3", b"P5", b"P6"])
def test_white_is_white_whatever_number_a_pnm_has_for_it(kind: bytes, white: int) -> None:
    """OpenCV takes the bytes of P5 and P6 as they are, and of two bytes the larger one."""
    colours = 3 if kind in (b"P3", b"P6") else 1
    values = np.random.default_rng(0).integers(0, white + 1, (9, 7, colours))
    values[0, 0] = white
    header = b"%b\n# by hand\n7 # wide\n9\n%d\n" % (kind, white)
    text = b"\n".join(b"%d" % value for value in values.ravel())
    pixels = text if kind in (b"P2", b"P3") else values.astype(">u2" if white > 255 else np.uint8).tobytes()
    found = decode_image(header + pixels + b"\n", "x")
    expected = np.broadcast_to(np.floor(values * 255 / white + 0.5), (9, 7, 3))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"P5 2 2 100\n\0\1\2", "cut short"),
        (b"P5 2 2 1000\n\0\1\2\3\0\1", "cut short"),
        (b"P5 30000 2000 100\n\0\1\2\3", "cut short"),
        (b"P2 2 2 100\n1 2 3      ", "cut short"),
        (b"P2 2 2 100\n1 2 3 four", "not numbers"),
        (b"P2 2 2 100\n1 2 3 " + b"9" * 30, "not numbers"),
        (b"P2 2 2 100\n1 2 3 " + b"9" * 10**6, "not numbers"),
        (b"P2 2 2 100\n1 2 3 -4", "numbers beyond its white, 100"),
        (b"P5 2 2 100\n\0\1\2\x65", "numbers beyond its white, 100"),
        (b"P5 2 2 0\n\0\1\2\3", "does not say which number is white"),
        (b"P5 2 2 65536\n\0\1\2\3\0\1\2\3", "does not say which number is white"),
        (b"P6 2 2 x", "does not say which number is white"),
        (b"P6 0 2 100\n", "it has no pixels"),
    ],
)
def test_a_damaged_pnm_is_an_error(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"x: not a whole image: .*{why}"):
        decode_image(content, "x")


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_every_truncation_is_an_error(kind: str) -> None:
    whole = encode_image(IMAGE, kind)
    for end in range(len(whole) - 1):
        with pytest.raises(ValueError, match=r"some image: not a"):
            decode_image(whole[:end], "some image")


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    for content in (
        b"",
        b"hello",
        b"\xff\xd8",
        b"\xff\xd8" + b"\xff" * 50,
        b"P5 3 3 255\n",
        b"II*\0" * 9,
        b"RIFF\0\0\0\0WEBP",
        b"GIF89a",
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a") as error:
            read_image(path)
        assert str(path) in str(error.value)
    with pytest.raises(ValueError, match="there is no such file"):
        read_image(tmp_path / "none.jpg")


def container(brand: bytes, *compatible: bytes) -> bytes:
    """The first bytes of HEIC, AVIF, Canon's raw files, and videos."""
    box = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(box)) + b"ftyp" + box + bytes(50)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (container(b"heic", b"mif1", b"heic"), "it is HEIC; convert it to PNG or JPEG, for instance with heif-convert"),
        (container(b"mif1", b"mif1", b"heic"), "it is HEIC"),
        (container(b"avif", b"mif1", b"miaf"), "it is AVIF; convert it to PNG or JPEG, for instance with avifdec"),
        (container(b"crx ", b"isom"), "it is a camera's raw file; convert it .* darktable-cli"),
        (container(b"isom", b"iso2", b"mp41"), "it is a video"),
        (container(b"qt  "), "it is a video"),
        (b"II*\0\x10\0\0\0CR\2\0", "it is a camera's raw file"),
        (b"FUJIFILMCCD-RAW 0201FF383501", "it is a camera's raw file"),
        (b"IIU\0\x18\0\0\0", "it is a camera's raw file"),
        (b"II*\0\x08\0\0\0" + bytes(20), r"it is TIFF or a camera's raw file \(DNG, NEF, ARW\); convert it"),
        (b"MM\0*\0\0\0\x08" + bytes(20), "it is TIFF or a camera's raw file"),
        (b"GIF89a" + bytes(9), "it is GIF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "it is JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "it is JPEG 2000"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "it is SVG"),
        (b"\n<!DOCTYPE HTML><html><h1>404", "it is a page of the web that stands in the image's place; fetch it again"),
    ],
)
@pytest.mark.parametrize("name", ["face.jpg", "face.heic"])
def test_other_kinds_of_images_are_named_and_what_converts_them(content: bytes, what: str, name: str) -> None:
    """Whatever the file's name says."""
    with pytest.raises(ValueError, match=rf"^{name}: not a JPEG, PNG, WebP, BMP or PNM image: \d+ bytes .* \({what}"):
        decode_image(content, name)


def test_other_bytes_are_called_nothing() -> None:
    for content in (b"", b"hello", b"\0" * 60, b"RIFF\0\0\0\0WAVE"):
        with pytest.raises(ValueError, match=r"^x: not a JPEG, .* image: \d+ bytes that start with [0-9a-f nothing]*$"):
            decode_image(content, "x")


def test_a_header_that_claims_gigabytes_is_refused() -> None:
    """Measured: 16,000 × 16,000 claimed by a 9 KB JPEG cost three seconds and a gigabyte, and came out as an image."""
    jpeg = bytearray(encode_image(IMAGE, ".jpg"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 16_000, 15_000)
    with pytest.raises(ValueError, match=r"x: its header claims 15000 × 16000 pixels"):
        decode_image(bytes(jpeg), "x")
    for other in (b"P5\n# a comment\n30000 30000\n255\n", b"P6 30000\n30000 255 ", b"BM" + b"\0" * 16 + b"\x30\x75\0\0" * 2):
        with pytest.raises(ValueError, match=r"x: its header claims 30000 × 30000 pixels"):
            decode_image(other, "x")
    png = bytearray(encode_image(IMAGE))
    png[16:24] = struct.pack(">II", 20_000, 20_000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    with pytest.raises(ValueError, match=r"x: its header claims 20000 × 20000 pixels"):
        decode_image(bytes(png), "x")


def test_a_chunk_that_claims_gigabytes_is_refused() -> None:
    """Measured: OpenCV took five seconds for 140 bytes, to allocate and clear what the length of a chunk claimed."""
    png = bytearray(encode_image(IMAGE))
    png[8] = 0xF9
    with pytest.raises(ValueError, match="x: not a whole image"):
        decode_image(bytes(png), "x")


@pytest.mark.parametrize("whole", [encode_image(IMAGE), encode_image(IMAGE, ".jpg"), webp(IMAGE)], ids=["png", "jpg", "webp"])
def test_what_follows_an_image_does_not_matter(whole: bytes) -> None:
    for more in (b"more", b"\xc0\0\0\0aaaa", animated(7, 9, 10**5, 10**5), chunk(b"fdAT", b"x" * 50)):
        np.testing.assert_array_equal(decode_image(whole + more, "x"), decode_image(whole, "x"))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_an_animated_png_is_its_first_image(geometry: tuple[int, int, int, int]) -> None:
    """Measured: OpenCV 4.11 wrote past its memory for most of these, and gave other pixels for the rest."""
    np.testing.assert_array_equal(decode_image(animated(*geometry), "x"), IMAGE)
    np.testing.assert_array_equal(decode_planes(animated(*geometry), "x"), IMAGE.transpose(2, 0, 1))
    again = animated(*geometry).replace(png_with()[-12:], chunk(b"fdAT", bytes(4) + b"x" * 40) + png_with()[-12:])
    np.testing.assert_array_equal(decode_image(again, "x"), IMAGE)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (encode_image(IMAGE)[:33] + chunk(b"IEND") + b"\xc0\0\0\0aaaa", "it has no IDAT"),
        (encode_image(IMAGE)[:33] + chunk(b"fdAT", b"x" * 50) + chunk(b"IEND"), "it has no IDAT"),
        (encode_image(IMAGE)[:8] + encode_image(IMAGE)[33:], "start with one IHDR"),
        (png_with(encode_image(IMAGE)[8:33]), "start with one IHDR"),
        (encode_image(IMAGE)[:8] + chunk(b"IHDR", b"\0" * 12) + encode_image(IMAGE)[33:], "start with one IHDR"),
        (png_with(b"\x7f\xff\xff\xffIDAT" + b"x" * 50), "cut short"),
        (png_with(chunk(b"IDAT", b"x")[:-1] + b"!"), "the checksum of its IDAT is wrong"),
        (b"\x89PNG" + encode_image(IMAGE)[4:8][::-1] + encode_image(IMAGE)[8:], "not those of a PNG"),
    ],
)
def test_a_png_that_is_none_does_not_reach_the_decoder(content: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured: OpenCV took 7 s and 3.3 GB for the first one, of 53 bytes."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=rf"^x: not a whole image: {len(content)} bytes .*{why}"):
        decode_image(content, "x")


def test_pixels_do_not_depend_on_what_else_a_png_holds() -> None:
    gamma, text = chunk(b"gAMA", struct.pack(">I", 22222)), chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b" * 10**6))
    colours = chunk(b"cHRM", struct.pack(">8I", *range(30000, 38000, 1000)))
    wrong = [chunk(b"tRNS", bytes(6))[:-1] + b"!", chunk(b"iCCP", b"none\0\0" + b"x" * 30), chunk(b"abcd")]
    np.testing.assert_array_equal(decode_image(png_with(gamma, colours, text, *wrong, chunk(b"sBIT", b"\1\1\1")), "x"), IMAGE)


@pytest.mark.parametrize("image", [IMAGE, ALPHA], ids=["opaque", "with alpha"])
def test_webp(image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "face.webp"
    path.write_bytes(webp(image))
    if image is IMAGE:
        np.testing.assert_array_equal(read_image(path), IMAGE)
    smooth = cv2.resize(image, (70, 90), interpolation=cv2.INTER_CUBIC)
    found = decode_image(webp(smooth, quality=95), "x")
    assert found.shape == (90, 70, 3)
    assert np.abs(found.astype(int) - smooth[..., :3])[smooth[..., -1] > 128].mean() < 12


def test_every_truncation_of_a_webp_is_an_error() -> None:
    for whole in (webp(IMAGE), webp(IMAGE, quality=80), webp(ALPHA, quality=80)):
        for end in range(len(whole)):
            with pytest.raises(ValueError, match=r"some image: not a"):
                decode_image(whole[:end], "some image")


def test_a_webp_that_claims_more_than_it_should_does_not_reach_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    lossy = b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383 | 3 << 14) + b"x" * 20
    lossless = b"\x2f" + (16382 | 16381 << 14).to_bytes(4, "little") + b"x" * 20
    for content, message in (
        (riff((b"VP8 ", lossy)), "claims 16383 × 16383 pixels"),
        (riff((b"VP8L", lossless)), "claims 16383 × 16382 pixels"),
        (riff(extended(16383, 16383), (b"VP8 ", lossy)), "claims 16383 × 16383"),
        (riff(extended(2**24, 2**24), (b"VP8 ", lossy)), "not hold one image of the size of its header"),
        (riff(extended(9, 9), (b"VP8 ", lossy)), "not hold one image of the size of its header"),
        (riff((b"VP8L", lossless), (b"VP8 ", lossy)), "not hold one image"),
        (riff((b"EXIF", b"x")), "not hold one image"),
        (riff(extended(16383, 16383, flags=2), (b"VP8 ", lossy)), "an animation"),
        (riff((b"VP8 ", lossy), (b"ANMF", b"x" * 16)), "an animation"),
        (b"RIFF\xff\xff\xff\xffWEBP" + b"x" * 20, "cut short"),
        (b"RIFF\x20\0\0\0WEBPVP8L\xff\xff\xff\xff" + b"x" * 20, "cut short"),
    ):
        with pytest.raises(ValueError, match=message):
            decode_image(content, "x")


def test_damage_is_told_once_and_by_us(capfd: pytest.CaptureFixture[str]) -> None:
    """OpenCV and libpng have lines of their own on stderr, which name no file."""
    noted = 0
    for whole in (encode_image(IMAGE), encode_image(IMAGE, ".jpg"), webp(IMAGE), cv2.imencode(".bmp", IMAGE)[1].tobytes()):
        for place in range(len(whole)):
            for damaged in (whole[:place], whole[:place] + b"!" + whole[place + 1 :]):
                try:
                    decode_image(damaged, "x")
                except ValueError as error:
                    assert str(error).startswith("x: ")  # noqa: PT017
                except DataWarning as warning:
                    assert str(warning).startswith("x: it is damaged, and parts of it are wrong (")  # noqa: PT017
                    noted += 1
    assert noted > 10
    assert capfd.readouterr() == ("", "")


SEEDS = {kind: cv2.imencode(kind, IMAGE[..., 0])[1].tobytes() for kind in (".jpg", ".png", ".pgm", ".bmp")}
SEEDS |= {f"animated {geometry}": animated(*geometry) for geometry in GEOMETRIES}
SEEDS |= {"frames": animated(7, 9, 0, 0)[:-12] + chunk(b"fcTL", bytes(26)) + chunk(b"fdAT", bytes(50)) + chunk(b"IEND")}
SEEDS |= {"turned": turned(6), "four colours": four_colours()}
SEEDS |= {"progressive": cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()}
SEEDS |= {".webp": webp(IMAGE), "lossy": webp(IMAGE, quality=80), "alpha": webp(ALPHA, quality=80)}


@settings(deadline=None, max_examples=400)
@given(
    kind=st.sampled_from(list(SEEDS)),
    flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.none() | st.integers(0, 2**16),
    checksums=st.booleans(),
)
def test_mutated_images_decode_or_are_errors(kind: str, flips: list[tuple[int, int]], cut: int | None, checksums: bool) -> None:
    content = bytearray(SEEDS[kind])
    for place, value in flips:
        content[place % len(content)] = value
    mutant = bytes(content[: None if cut is None else cut % len(content)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            image = decode_image(_with_checksums(mutant) if checksums else mutant, "mutant")
    except ValueError as error:
        assert str(error).startswith("mutant: ")  # noqa: PT017
    else:
        assert image.dtype == np.uint8


def _with_checksums(png: bytes) -> bytes:
    """What is damaged inside the chunks of a PNG must reach the decoder, too."""
    at, parts = 8, [png[:8]]
    while png.startswith(b"\x89PNG") and at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        parts.append(chunk(png[at + 4 : at + 8], png[at + 8 : end - 4]))
        at = end
    return b"".join(parts) if at > 8 else png


@pytest.mark.parametrize("image", [IMAGE.astype(np.float32), IMAGE[..., :2], IMAGE[:0], IMAGE[None]])
def test_only_images_are_encoded(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="image must be uint8"):
        encode_image(image)


def test_only_known_kinds_are_encoded() -> None:
    with pytest.raises(ValueError, match=r"'\.gif'"):
        encode_image(IMAGE, ".gif")
