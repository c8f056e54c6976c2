"""MXNet's own reader and writer of record files as the witness: what it writes we read, and what we write it reads."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marginface.data.images import encode_image
from marginface.data.record_file import MAGIC, pack_record, read_record, scan
from marginface.data.recordio import RecordDataset, write_records

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mxnet has not been maintained since 2022

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 24, 20, 3), dtype=np.uint8)
LABELS = [0, 0, 1, 1, 2, 2]
MAGIC_BYTES = struct.pack("<I", MAGIC)


def write_by_mxnet(mx: Any, folder: Path, records: list[tuple[Any, bytes]]) -> None:
    """Records (label, image) under the keys 0, 1, …"""
    writer = mx.recordio.MXIndexedRecordIO(str(folder / "train.idx"), str(folder / "train.rec"), "w")
    for key, (label, image) in enumerate(records):
        writer.write_idx(key, mx.recordio.pack(mx.recordio.IRHeader(0, label, key, 0), image))
    writer.close()


def images_by_mxnet(mx: Any, folder: Path, keys: range) -> list[tuple[Any, np.ndarray]]:
    reader = mx.recordio.MXIndexedRecordIO(str(folder / "train.idx"), str(folder / "train.rec"), "r")
    records = [mx.recordio.unpack(reader.read_idx(key)) for key in keys]
    reader.close()
    return [(header.label, mx.image.imdecode(image).asnumpy()) for header, image in records]


@pytest.mark.parametrize("kind", [".png", ".jpg"])
@pytest.mark.parametrize("identities", [False, True])
def test_what_mxnet_writes_we_read(kind: str, identities: bool, mx: Any, tmp_path: Path) -> None:
    encoded = [encode_image(image, kind) for image in IMAGES]
    records: list[tuple[Any, bytes]] = [(float(label), image) for label, image in zip(LABELS, encoded, strict=True)]
    records[3] = ([1.0, 77.0], encoded[3])
    if identities:
        records = [([7.0, 10.0], b""), *records, *(([2.0 * i + 1, 2.0 * i + 3], b"") for i in range(3))]
    write_by_mxnet(mx, tmp_path, records)
    dataset = RecordDataset(tmp_path)
    assert dataset.labels.tolist() == LABELS
    assert (dataset._spans() is not None) == identities
    for (image, label), (_, theirs), expected in zip(
        (dataset[i] for i in range(6)), images_by_mxnet(mx, tmp_path, range(identities, identities + 6)), LABELS, strict=True
    ):
        assert label == expected
        # two builds of the JPEG decoder may round differently
        assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - theirs).max() <= (0 if kind == ".png" else 4)
    index = (tmp_path / "train.idx").read_text()
    (tmp_path / "train.idx").unlink()
    assert RecordDataset(tmp_path).labels.tolist() == LABELS
    assert (tmp_path / "train.idx").read_text() == index


@pytest.mark.parametrize("identities", [False, True])
def test_what_we_write_mxnet_reads(identities: bool, mx: Any, tmp_path: Path) -> None:
    write_records(tmp_path, IMAGES, LABELS, identities=identities, kind=".png")
    found = images_by_mxnet(mx, tmp_path, range(identities, identities + 6))
    assert [label for label, _ in found] == LABELS
    np.testing.assert_array_equal([image for _, image in found], IMAGES)
    if identities:
        reader = mx.recordio.MXIndexedRecordIO(str(tmp_path / "train.idx"), str(tmp_path / "train.rec"), "r")
        headers = [mx.recordio.unpack(reader.read_idx(key))[0] for key in (0, 7, 8, 9)]
        reader.close()
        assert [header.label.tolist() for header in headers] == [[7, 10], [1, 3], [3, 5], [5, 7]]
        assert {header.flag for header in headers} == {2}


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from([MAGIC_BYTES, b"a", b"\0" * 4, MAGIC_BYTES[:2], b"text"]), min_size=1, max_size=10))
def test_the_same_bytes_whatever_is_in_a_record(pieces: list[bytes], mx: Any, tmp_path: Path) -> None:
    """Records with the magic number inside are written in parts by both, and read by each other."""
    content, theirs, ours = b"".join(pieces), tmp_path / "theirs.rec", tmp_path / "ours.rec"
    writer = mx.recordio.MXRecordIO(str(theirs), "w")
    writer.write(content)
    writer.write(b"next")
    writer.close()
    ours.write_bytes(pack_record(content) + pack_record(b"next"))
    assert ours.read_bytes() == theirs.read_bytes()
    with open(theirs, "rb") as file:
        assert [bytes(read_record(file.fileno(), int(at), "x")) for at in scan(theirs)] == [content, b"next"]
    reader = mx.recordio.MXRecordIO(str(ours), "r")
    assert [reader.read(), reader.read()] == [content, b"next"]
    reader.close()
