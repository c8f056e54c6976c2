"""InsightFace's training sets: both layouts, damage of every kind, workers. What MXNet says is in test_recordio_mxnet.py."""

import os
import pickle
import stat
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from marginface.data.images import encode_image
from marginface.data.record_file import MAGIC, pack_record, read_record, scan
from marginface.data.recordio import HEADER, RecordDataset, write_records
from marginface.data.types import DataMissingError, DataWarning

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), dtype=np.uint8)
PNG = [encode_image(image) for image in IMAGES]
LABELS = [2, 2, 0, 1, 1, 1, 3]
MAGIC_BYTES = struct.pack("<I", MAGIC)


def write_raw(folder: Path, records: list[bytes], keys: list[int] | None = None) -> Path:
    """A .rec of any records, and an index where keys are given."""
    packed = [pack_record(record) for record in records]
    (folder / "train.rec").write_bytes(b"".join(packed))
    if keys is not None:
        starts = np.cumsum([0] + [len(record) for record in packed])
        (folder / "train.idx").write_text("".join(f"{key}\t{at}\n" for key, at in zip(keys, starts, strict=False)))
    return folder


def record(label: float | list[float], image: bytes = PNG[0], flag: int | None = None) -> bytes:
    if isinstance(label, list):
        return HEADER.pack(len(label) if flag is None else flag, 0, 0, 0) + np.array(label, "<f4").tobytes() + image
    return HEADER.pack(flag or 0, label, 0, 0) + image


def content(dataset: RecordDataset) -> tuple[np.ndarray, list[int]]:
    items = [dataset[i] for i in range(len(dataset))]
    return np.stack([image.permute(1, 2, 0).numpy() for image, _ in items]), [label for _, label in items]


@pytest.mark.parametrize("identities", [False, True])
@pytest.mark.parametrize("encoded", [False, True])
def test_what_is_written_is_read(identities: bool, encoded: bool, tmp_path: Path) -> None:
    path = write_records(tmp_path / "set", PNG if encoded else IMAGES, LABELS, identities=identities, kind=".png")
    for source in (path, path.parent):
        dataset = RecordDataset(source)
        images, labels = content(dataset)
        np.testing.assert_array_equal(images, IMAGES)
        assert labels == LABELS == dataset.labels.tolist()
        assert (len(dataset), dataset.num_classes, dataset.labels.dtype) == (7, 4, np.int64)
    image, label = dataset[-1]
    assert (image.shape, image.dtype, type(label), label) == ((3, 5, 4), torch.uint8, int, 3)
    assert (path.parent / "property").read_text() == "4,5,4\n"
    assert {file.name for file in path.parent.iterdir()} == {"train.rec", "train.idx", "property"}


def test_jpeg_and_grey_images(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(IMAGES[0], (9, 9), 5).repeat(8, 0).repeat(8, 1)
    write_records(tmp_path, [smooth, smooth[..., 0]], [0, 1])
    images, _ = content(RecordDataset(tmp_path))
    assert np.abs(images[0].astype(int) - smooth).mean() < 8
    assert (images[1] == images[1][..., :1]).all()
    assert np.abs(images[1][..., 0].astype(int) - smooth[..., 0]).max() < 8


def test_the_transform_gets_the_image(tmp_path: Path) -> None:
    write_records(tmp_path, PNG, LABELS)
    image, _ = RecordDataset(tmp_path, transform=lambda image: image.float().div(255))[3]
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), IMAGES[3] / 255, rtol=1e-6)


def test_an_index_in_any_order(tmp_path: Path) -> None:
    """Without record 0 of ranges the order is that of the index, with it that of the keys."""
    write_records(tmp_path, PNG, LABELS)
    lines = (tmp_path / "train.idx").read_text().splitlines()
    order = [3, 0, 6, 1, 2, 5, 4]
    (tmp_path / "train.idx").write_text("\n".join(lines[i] for i in order))
    dataset = RecordDataset(tmp_path)
    np.testing.assert_array_equal(content(dataset)[0], IMAGES[order])
    assert dataset.labels.tolist() == [LABELS[i] for i in order]

    write_records(tmp_path / "other", PNG, LABELS, identities=True)
    index = tmp_path / "other" / "train.idx"
    index.write_text("\n".join(reversed(index.read_text().splitlines())))
    dataset = RecordDataset(tmp_path / "other")
    np.testing.assert_array_equal(content(dataset)[0], IMAGES)
    assert dataset.labels.tolist() == LABELS


@pytest.mark.parametrize("identities", [False, True])
def test_a_missing_index_is_rebuilt_and_kept(identities: bool, tmp_path: Path) -> None:
    path = write_records(tmp_path, PNG, LABELS, identities=identities)
    index = path.with_suffix(".idx")
    as_written = index.read_text()
    index.unlink()
    assert RecordDataset(path).labels.tolist() == LABELS
    assert index.read_text() == as_written


def test_a_missing_index_in_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_records(tmp_path, PNG, LABELS)
    path.with_suffix(".idx").unlink()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)  # a folder without permission does not stop root
    dataset = RecordDataset(path)
    assert content(dataset)[1] == LABELS
    assert {file.name for file in tmp_path.iterdir()} == {"train.rec", "property"}


def test_labels_in_a_list_and_records_in_parts(tmp_path: Path) -> None:
    """A PNG with the magic number after its end, once at a multiple of 4 and once not, and once at the very end."""
    noise = [MAGIC_BYTES, b"x" + MAGIC_BYTES, MAGIC_BYTES * 3]
    images = [png + bytes(-len(png) % 4) + more for png, more in zip(PNG, noise, strict=False)]
    records = [record([3.0, 9.0], images[0]), record(1.0, images[1]), record([2.0], images[2]), record(0.0)]
    write_raw(tmp_path, records, [5, 6, 7, 8])
    dataset = RecordDataset(tmp_path)
    assert content(dataset)[1] == dataset.labels.tolist() == [3, 1, 2, 0]
    assert dataset.num_classes == 4
    np.testing.assert_array_equal(content(dataset)[0][:3], IMAGES[:3])
    (tmp_path / "train.idx").unlink()
    assert RecordDataset(tmp_path).labels.tolist() == [3, 1, 2, 0]


def test_a_magic_number_inside_the_header(tmp_path: Path) -> None:
    """The label's own bytes may be it: then the first part holds four bytes."""
    flagged = HEADER.pack(1, 0, MAGIC, 0) + struct.pack("<f", 6) + PNG[1]
    write_raw(tmp_path, [flagged, record(2.0)], [0, 1])
    dataset = RecordDataset(tmp_path)
    assert dataset.labels.tolist() == content(dataset)[1] == [6, 2]


@settings(deadline=None, max_examples=200)
@given(pieces=st.lists(st.sampled_from([MAGIC_BYTES, b"a", b"\0" * 4, MAGIC_BYTES[:2]]), max_size=12), before=st.integers(0, 3))
def test_any_content_survives_packing(pieces: list[bytes], before: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces.rec"
    contents = [b"".join(pieces), *[b"first"] * before]
    path.write_bytes(b"".join(pack_record(content) for content in contents))
    starts = scan(path)
    with open(path, "rb") as file:
        assert [bytes(read_record(file.fileno(), int(at), "x")) for at in starts] == contents
    # a reader that looks for the magic number at multiples of 4 finds only starts of parts
    words = np.frombuffer(path.read_bytes(), "<u4")
    assert (words == MAGIC).sum() == len(starts) + sum(_count(content) for content in contents)


def _count(content: bytes) -> int:
    return sum(content[i : i + 4] == MAGIC_BYTES for i in range(0, len(content), 4))


def test_large_records_take_a_second_read(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    write_records(tmp_path, [image, IMAGES[0], image], [0, 1, 2], kind=".png")
    assert (tmp_path / "train.rec").stat().st_size > 40_000
    found, _ = RecordDataset(tmp_path)[2]
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), image)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers(start: str, workers: int, tmp_path: Path) -> None:
    write_records(tmp_path, PNG, LABELS, identities=True)
    dataset = RecordDataset(tmp_path)
    assert dataset[0][1] == 2  # the file is open now
    loader = DataLoader(dataset, batch_size=3, num_workers=workers, multiprocessing_context=start)
    batches = list(loader)
    np.testing.assert_array_equal(torch.cat([images for images, _ in batches]).permute(0, 2, 3, 1).numpy(), IMAGES)
    assert torch.cat([labels for _, labels in batches]).tolist() == LABELS
    assert dataset[6][1] == 3


def test_pickled_it_opens_the_file_again(tmp_path: Path) -> None:
    write_records(tmp_path, PNG, LABELS)
    dataset = RecordDataset(tmp_path)
    assert dataset[4][1] == 1
    assert content(pickle.loads(pickle.dumps(dataset)))[1] == LABELS


def test_labels_with_identities_look_at_few_records(tmp_path: Path) -> None:
    """And where the identities do not add up, at all of them."""
    write_records(tmp_path, PNG, LABELS, identities=True)
    dataset = RecordDataset(tmp_path)
    spans = dataset._spans()
    assert spans is not None
    assert spans.tolist() == [[1, 3], [3, 4], [4, 7], [7, 8]]
    images = [record(float(label)) for label in LABELS]
    for second in ([3.0, 5.0], [2.0, 4.0], [3.0, 3.0], [float("nan"), 4.0], [3.0]):
        ranges = [record(span, b"") for span in ([1.0, 3.0], second, [4.0, 7.0], [7.0, 8.0])]
        write_raw(tmp_path, [record([8.0, 12.0], b""), *images, *ranges], list(range(12)))
        dataset = RecordDataset(tmp_path)
        assert dataset._spans() is None
        assert dataset.labels.tolist() == LABELS


def test_mixed_labels_in_the_range_of_an_identity_are_found_at_its_ends(tmp_path: Path) -> None:
    images = [record(float(label)) for label in (0, 0, 1)]
    write_raw(tmp_path, [record([4.0, 5.0], b""), *images, record([1.0, 4.0], b"")], list(range(5)))
    assert RecordDataset(tmp_path).labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rec: rec[:-30], r"record 6: \d+ bytes long, but the file ends after"),
        (lambda rec: rec[:100] + b"\xff" * 40 + rec[140:], "record 0: not a whole image"),
        (lambda rec: b"\0" + rec[1:], "record 0: it starts with 0xced72300, not with the magic number 0xced7230a"),
        (lambda rec: rec[:7] + b"\x40" + rec[8:], "record 0: it starts with part 2 of a record"),
        (lambda rec: rec[:7] + b"\x20" + rec[8:], "record 0: part 2 says that it is part 0"),
        (lambda rec: rec[:4] + struct.pack("<I", 2**29 - 1) + rec[8:], "record 0: 536870911 bytes long, but the file ends"),
        (lambda rec: rec[:4] + struct.pack("<I", 20) + rec[8:], "record 0: 20 bytes, fewer than the 24 of its header"),
        (lambda rec: rec[:8] + b"\xff\xff\xff\xff" + rec[12:], "record 0: 4294967295 labels in"),
        (
            lambda rec: rec[:12] + struct.pack("<f", 4) + rec[16:],
            "record 0: its label is 4.0, expected a whole number from 0 to 3",
        ),
        (lambda rec: rec[:12] + struct.pack("<f", -1) + rec[16:], "record 0: its label is -1.0"),
        (lambda rec: rec[:12] + struct.pack("<f", 0.5) + rec[16:], "record 0: its label is 0.5"),
        (lambda rec: rec[:12] + struct.pack("<f", np.nan) + rec[16:], "record 0: its label is nan"),
        (lambda rec: rec[:12] + struct.pack("<f", np.inf) + rec[16:], "record 0: its label is inf"),
        (lambda rec: b"", "key 0 is said to be at byte 0 of a file of 0 bytes"),
        (lambda rec: rec[:200], "key 2 is said to be at byte"),
    ],
)
def test_a_damaged_record_is_named(damage: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    path = write_records(tmp_path, PNG, LABELS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as error:
        content(RecordDataset(path))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("value", [4.0, -1.0, 0.5, np.nan, np.inf])
@pytest.mark.parametrize("identities", [False, True])
def test_labels_are_checked_all_at_once(value: float, identities: bool, tmp_path: Path) -> None:
    path = write_records(tmp_path, PNG, LABELS, identities=identities)
    rec = bytearray(path.read_bytes())
    at = int(scan(path)[2 + identities])
    rec[at + 12 : at + 16] = struct.pack("<f", value)
    path.write_bytes(rec)
    with pytest.raises(ValueError, match=f"record {2 + identities}: its label is"):
        _ = RecordDataset(path).labels


def test_labels_of_a_truncated_file(tmp_path: Path) -> None:
    path = write_records(tmp_path, PNG, LABELS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"record 6: \d+ bytes long, but the file ends"):
        _ = RecordDataset(path).labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected lines of a key, a tab and a byte"),
        ("0 0\n", "line 1: expected a key, a tab and a byte, got '0 0'"),
        ("0\t0\t0\n", "line 1: expected a key"),
        ("a\tb\n", "line 1: expected a key"),
        ("0\t\n", "line 1: expected a key"),
        ("0\t0\n1\t1.5\n", "line 2: expected a key"),
        ("0\t99999999999999999999\n", "line 1: expected a key"),
        (f"0\t0\n{2**63}\t0\n", f"line 2: expected a key, a tab and a byte, got '{2**63}"),
        ("0\t0\n" + "1\t" * 5000, r"line 2: expected a key.*\(10,000 characters\)$"),
        ("\xff\xfe", "line 1: expected a key"),
        ("0\t0\n0\t0\n", "1 keys occur more than once"),
        ("0\t-4\n", "key 0 is said to be at byte -4"),
        ("0\t2\n", "key 0 is said to be at byte 2"),
        ("0\t0\n7\t100000\n", "key 7 is said to be at byte 100000"),
        ("0\t4\n", "record 0: it starts with"),
    ],
)
def test_a_damaged_index_is_named(text: str, message: str, tmp_path: Path) -> None:
    write_records(tmp_path, PNG, LABELS)
    (tmp_path / "train.idx").write_text(text, encoding="latin1")
    with pytest.raises(ValueError, match=message) as error:
        content(RecordDataset(tmp_path))
    assert "train." in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "4", "4,112", "a,b,c", "0,112,112", "4,112,-1", "99999999999,1,1", "4,112,112,3", "nan,1,1", "4\x1e,5,4", "९,5,4"],
)
def test_a_damaged_property_file_is_named(text: str, tmp_path: Path) -> None:
    write_records(tmp_path, PNG, LABELS)
    (tmp_path / "property").write_text(text)
    with pytest.raises(ValueError, match=r"property: expected 'classes,height,width', got"):
        RecordDataset(tmp_path)


@pytest.mark.parametrize("text", ["9" * 5000 + ",5,4", "4,5,4\n" * 1000])
def test_a_long_property_file_is_quoted_in_part(text: str, tmp_path: Path) -> None:
    write_records(tmp_path, PNG, LABELS)
    (tmp_path / "property").write_text(text)
    with pytest.raises(ValueError, match=r"property: expected 'classes,height,width', got .* \(5,\d+ characters\)$") as error:
        RecordDataset(tmp_path)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("identities", [False, True])
def test_what_property_promises_and_is_not_there_is_said_at_loading(identities: bool, tmp_path: Path) -> None:
    path = write_records(tmp_path, PNG, LABELS, identities=identities)
    (tmp_path / "property").write_text("400, 5, 4\n")
    with pytest.warns(DataWarning, match=r"property: it promises 400 classes, but only 4 of them have images") as said:
        assert RecordDataset(path).num_classes == 400
    assert [Path(warning.filename).name for warning in said] == [Path(__file__).name]
    (tmp_path / "property").write_text("3,5,4\n")
    with pytest.raises(ValueError, match=f"record {6 + identities}: its label is 3.0, expected a whole number from 0 to 2"):
        RecordDataset(path)
    (tmp_path / "property").write_text("4,112,112\n")
    message = rf"property: it promises images of 112 × 112 pixels \(height × width\), but record {int(identities)} has 5 × 4"
    with pytest.raises(ValueError, match=message):
        RecordDataset(path, transform=torch.clone)


@pytest.mark.parametrize("with_property", [False, True])
def test_an_image_of_another_size_is_named(with_property: bool, tmp_path: Path) -> None:
    write_records(tmp_path, [*PNG[:4], encode_image(IMAGES[4][:, :3])], [0, 0, 1, 1, 1])
    if not with_property:
        (tmp_path / "property").unlink()
    dataset = RecordDataset(tmp_path)
    message = r"train\.rec, record 4: an image of 5 × 3 pixels \(height × width\), where others have 5 × 4"
    with pytest.raises(ValueError, match=message):
        list(DataLoader(dataset, batch_size=5))
    cropped = RecordDataset(tmp_path, transform=lambda image: image[:, :3, :3])
    assert next(iter(DataLoader(cropped, batch_size=5)))[0].shape == (5, 3, 3, 3)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ([9.0, 12.0], "promises records 1 to 8, but the index has 7"),
        ([float("nan"), 12.0], "range of identities as nan to 12.0"),
        ([8.0, 2.0], "range of identities as 8.0 to 2.0"),
        ([8.0, float("inf")], "range of identities as 8.0 to inf"),
        ([3e38, 3.1e38], "promises records 1 to 3"),
        ([1.0, 1.0], "there are no images"),
    ],
)
def test_a_damaged_record_of_ranges_is_named(first: list[float], message: str, tmp_path: Path) -> None:
    write_raw(tmp_path, [record(first, b""), *[record(0.0)] * 7], list(range(8)))
    with pytest.raises(ValueError, match=message):
        RecordDataset(tmp_path)


def test_a_file_that_is_missing_and_an_image_past_the_end(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"train\.rec: there is no such file"):
        RecordDataset(tmp_path)
    write_records(tmp_path, PNG, LABELS)
    for index in (7, -8, 10**20):
        with pytest.raises(IndexError, match=f"there is no image {index}, only 7"):
            RecordDataset(tmp_path)[index]


@pytest.mark.parametrize(
    ("rec", "message"),
    [
        (b"", "the file is empty"),
        (b"abc", "record 0 at byte 0: the file ends in its header"),
        (pack_record(b"abcd") + b"12345678", "record 1 at byte 12: it starts with 0x34333231"),
        (pack_record(b"abcd")[:-1], "record 0 at byte 0: 4 bytes long, but the file ends 1 bytes before its end"),
        (pack_record(MAGIC_BYTES)[:8], "record 0 at byte 0: the file ends before its last part"),
        (pack_record(MAGIC_BYTES)[8:], "record 0 at byte 0: part 3 of a record that never began"),
        (pack_record(MAGIC_BYTES)[:8] + pack_record(b""), "record 0 at byte 8: part 0 of a record expected to go on"),
    ],
)
def test_a_damaged_file_without_an_index_is_named(rec: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.rec").write_bytes(rec)
    with pytest.raises(ValueError, match=message):
        RecordDataset(tmp_path)
    assert not (tmp_path / "train.idx").exists()


@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        (PNG, LABELS[:-1], {}, "more images than 6 labels"),
        (PNG[:-1], LABELS, {}, "6 images for 7 labels"),
        ([], [], {}, "labels must be a list of integers"),
        (PNG, [0.5] * 7, {}, "labels must be a list of integers, got float64"),
        (PNG, [-1] * 7, {}, "labels must be from 0"),
        (PNG, [2**24] * 7, {}, "labels must be from 0 to 16777215"),
        (PNG, [0, 1, 0, 1, 0, 1, 0], {"identities": True}, "must follow each other"),
        ([b"no image", *PNG[1:]], LABELS, {}, r"images\[0\]: not a JPEG, PNG"),
        ([IMAGES[0][..., :2]], [0], {}, "image must be uint8"),
        (IMAGES, LABELS, {"kind": ".gif"}, "'.gif'"),
    ],
)
def test_nothing_is_left_of_a_failed_writing(images: Any, labels: Any, options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write_records(tmp_path, images, labels, **options)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = write_records(tmp_path, PNG, LABELS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="exists already"):
        write_records(tmp_path, PNG, LABELS)
    assert path.read_bytes() == before
    assert path.stat().st_mode & stat.S_IRGRP  # and others may read it, as any file


@settings(deadline=None, max_examples=200)
@given(
    identities=st.booleans(),
    flips=st.lists(
        st.tuples(st.sampled_from(["rec", "idx", "property"]), st.integers(0, 2**16), st.integers(0, 255)), max_size=4
    ),
    cut=st.tuples(st.sampled_from(["rec", "idx", "property"]), st.integers(0, 2**16)) | st.none(),
    without=st.sampled_from(["", "idx", "property"]),
)
@example(identities=False, flips=[("idx", 5, ord("E"))], cut=None, without="")
def test_mutants_are_read_or_are_errors(
    identities: bool, flips: list[tuple[str, int, int]], cut: tuple[str, int] | None, without: str, mutants: Path
) -> None:
    for name in ("train.rec", "train.idx", "property"):
        mutated = bytearray((mutants / str(identities) / name).read_bytes())
        for kind, place, value in flips:
            if name.endswith(kind):
                mutated[place % len(mutated)] = value
        end = cut[1] % len(mutated) if cut and name.endswith(cut[0]) else None
        (mutants / name).write_bytes(mutated[:end])
        if without and name.endswith(without):
            (mutants / name).unlink()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # property may promise more classes
            dataset = RecordDataset(mutants)
        assert len(dataset.labels) == len(dataset)
        content(dataset)
    except ValueError as error:
        assert str(mutants) in str(error)  # noqa: PT017


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutants")
    for identities in (False, True):
        write_records(folder / str(identities), PNG[:3], LABELS[:3], identities=identities)
    return folder
