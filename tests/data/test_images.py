"""Decoding: colours in the right order, and damage that is named."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.data.images import decode_image, decode_planes, encode_image, read_image

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)


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


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_every_truncation_is_an_error(kind: str) -> None:
    whole = encode_image(IMAGE, kind)
    for end in range(len(whole) - 1):
        with pytest.raises(ValueError, match=r"some image: not a"):
            decode_image(whole[:end], "some image")


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    for content in (b"", b"hello", b"\xff\xd8", b"\xff\xd8" + b"\xff" * 50, b"P5 3 3 255\n", b"II*\0" * 9, b"RIFF\0\0\0\0WEBP"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a") as error:
            read_image(path)
        assert str(path) in str(error.value)
    with pytest.raises(ValueError, match="there is no such file"):
        read_image(tmp_path / "none.jpg")


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


def test_what_follows_an_image_does_not_matter() -> None:
    for kind in (".png", ".jpg"):
        whole = encode_image(IMAGE, kind)
        np.testing.assert_array_equal(decode_image(whole + b"more", "x"), decode_image(whole, "x"))


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from([".jpg", ".png", ".pgm", ".bmp"]),
    flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.none() | st.integers(0, 2**16),
)
def test_mutated_images_decode_or_are_errors(kind: str, flips: list[tuple[int, int]], cut: int | None) -> None:
    content = bytearray(cv2.imencode(kind, IMAGE[..., 0])[1].tobytes())
    for place, value in flips:
        content[place % len(content)] = value
    try:
        image = decode_image(bytes(content[: None if cut is None else cut % len(content)]), "mutant")
    except ValueError as error:
        assert str(error).startswith("mutant: ")  # noqa: PT017
    else:
        assert image.dtype == np.uint8


@pytest.mark.parametrize("image", [IMAGE.astype(np.float32), IMAGE[..., :2], IMAGE[:0], IMAGE[None]])
def test_only_images_are_encoded(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="image must be uint8"):
        encode_image(image)


def test_only_known_kinds_are_encoded() -> None:
    with pytest.raises(ValueError, match=r"'\.gif'"):
        encode_image(IMAGE, ".gif")
