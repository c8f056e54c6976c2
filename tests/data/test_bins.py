"""InsightFace's verification sets, as every writer that people used wrote them."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.data import pickles
from marginface.data.images import encode_image
from marginface.data.pairs import load_bin

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
ENCODED = [encode_image(image) for image in IMAGES]
SAME = [True, False, True]


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def python_2(images: list[bytes], same: list[bool], protocol: int) -> bytes:
    """The same in the bytes that Python 2 wrote: its strings are no longer written by anyone."""
    if protocol == 0:
        strings = b"".join(b"S'" + b"".join(b"\\x%02x" % byte for byte in image) + b"'\na" for image in images)
        return b"((l" + strings + b"(l" + b"".join(b"I%02d\na" % answer for answer in same) + b"t."
    strings = b"".join(b"T" + len(image).to_bytes(4, "little") + image for image in images)
    return b"\x80\x02](" + strings + b"e](" + b"".join(b"\x88" if answer else b"\x89" for answer in same) + b"e\x86."


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("encoded", "same"),
    [
        (ENCODED, SAME),
        (tuple(ENCODED), [1, 0, 1]),
        (ENCODED, np.array(SAME)),
        (ENCODED, [np.bool_(answer) for answer in SAME]),
        (ENCODED, np.array(SAME).astype(np.int64)),
        ([np.frombuffer(image, np.uint8) for image in ENCODED], SAME),
        ([np.frombuffer(image, np.uint8).view(np.int8) for image in ENCODED], SAME),
        ([image.decode("latin1") for image in ENCODED], SAME),
    ],
    ids=["lists", "tuples", "array of bools", "numpy bools", "array of ints", "arrays", "mxnet's int8", "latin1 text"],
)
def test_python_3(encoded: Any, same: Any, protocol: int, tmp_path: Path) -> None:
    images, answers = load_bin(write(tmp_path / "lfw.bin", (encoded, same), protocol))
    np.testing.assert_array_equal(images, IMAGES)
    assert images.dtype == np.uint8
    assert (answers.tolist(), answers.dtype) == (SAME, bool)


@pytest.mark.parametrize("protocol", [0, 2])
def test_python_2(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "agedb_30.bin"
    path.write_bytes(python_2(ENCODED, SAME, protocol))
    assert pickle.loads(path.read_bytes(), encoding="bytes")[1] == SAME
    images, answers = load_bin(path)
    np.testing.assert_array_equal(images, IMAGES)
    assert answers.tolist() == SAME


def test_a_pickle_that_calls_is_refused_and_does_nothing(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'mark'}",)

    path = write(tmp_path / "lfw.bin", (ENCODED, [Attack(), True, True]))
    with pytest.raises(ValueError, match=r"lfw\.bin: .* wants to call posix\.system|lfw\.bin: .* wants to call nt\.system"):
        load_bin(path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (5, "expected a pair of lists, got int"),
        ((ENCODED, SAME, 1), "expected a pair of lists, got tuple of 3"),
        ((ENCODED, None), "got NoneType in it"),
        ((b"".join(ENCODED), SAME), "got bytes of"),
        ((ENCODED, np.bool_(True)), "got bool"),
        (
            (ENCODED, np.array(True)),
            r"lfw\.bin: not a verification set: expected a pair of lists, got array of shape \(\) in it",
        ),
        (np.array(3), r"expected a pair of lists, got array of shape \(\)$"),
        ((ENCODED, [True, np.array(True), True]), r"answer 1 is neither true nor false: array of shape \(\)"),
        (([np.array(3), *ENCODED[1:]], SAME), r"image 0: expected bytes, got array of shape \(\)"),
        (([], []), "0 images for 0 pairs"),
        ((ENCODED[:-1], SAME), "5 images for 3 pairs"),
        ((ENCODED, [True, False, 2]), "answer 2 is neither"),
        ((ENCODED, np.zeros((3, 2), bool)), "answer 0 is neither"),
        (([*ENCODED[:2], b"text", *ENCODED[3:]], SAME), "image 2: not a JPEG, PNG, WebP, BMP or PNM image: 4 bytes"),
        (([*ENCODED[:2], "Ωmega", *ENCODED[3:]], SAME), "image 2: text instead"),
        (([*ENCODED[:2], 7, *ENCODED[3:]], SAME), "image 2: expected bytes, got int"),
        (([*ENCODED[:2], ENCODED[2][:-9], *ENCODED[3:]], SAME), "image 2: not a whole image"),
        (
            ([*ENCODED[:5], encode_image(IMAGES[5][:3])], SAME),
            r"image 5: an image of 3 × 4 pixels \(height × width\), where others have 5 × 4",
        ),
    ],
)
def test_bad_content_names_the_file_and_the_record(content: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "lfw.bin", content)
    with pytest.raises(ValueError, match=message) as error:
        load_bin(path)
    assert str(path) in str(error.value)


def test_one_large_image_named_many_times_is_refused(tmp_path: Path) -> None:
    """Measured: 190 KB that stood for 190 GB, since a pickle may name a value again and again."""
    large = encode_image(np.zeros((2000, 2000, 3), np.uint8))
    path = write(tmp_path / "lfw.bin", ([large] * 200, [True] * 100))
    assert path.stat().st_size < 50_000
    with pytest.raises(
        ValueError, match=r"lfw\.bin: 200 images of \(2000, 2000, 3\) are 2,400,000,000 bytes, too many for a file"
    ):
        load_bin(path)


def test_copies_that_a_pickle_asks_for_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that is made to bytes again and again: a few characters for each copy of it."""
    monkeypatch.setattr(pickles, "most_unpacked", lambda size: 10 * size)
    text = b"X" + (2**16).to_bytes(4, "little") + b"a" * 2**16 + b"q\0"
    copy = b"c_codecs\nencode\n(h\0X\6\0\0\0latin1tR"
    path = tmp_path / "lfw.bin"
    path.write_bytes(b"\x80\2" + text + copy * 5 + b".")
    with pytest.raises(ValueError, match="expected a pair of lists, got bytes of 65536"):
        load_bin(path)
    path.write_bytes(b"\x80\2" + text + copy * 50 + b".")
    with pytest.raises(ValueError, match="its arrays are larger than a file of its size can stand for"):
        load_bin(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lfw\.bin: there is no such file"):
        load_bin(tmp_path / "lfw.bin")


@settings(deadline=None, max_examples=200)
@given(
    protocol=st.sampled_from([0, 2, 4, 5]),
    flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=5),
    cut=st.none() | st.integers(0, 2**16),
)
def test_mutants_load_or_are_errors(
    protocol: int, flips: list[tuple[int, int]], cut: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(pickle.dumps((ENCODED[:2], np.array([True])), protocol))
    for place, value in flips:
        content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "mutant.bin"
    path.write_bytes(content[: None if cut is None else cut % len(content)])
    try:
        images, same = load_bin(path)
    except ValueError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
    else:
        assert (len(images), same.dtype) == (2 * len(same), bool)
