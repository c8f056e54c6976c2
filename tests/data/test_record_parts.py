"""Training sets in several record files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from marginface.data import insightface
from marginface.data.record_parts import RecordParts, record_parts, write_record_parts
from marginface.data.recordio import RecordDataset, write_records
from marginface.data.types import DataMissingError, DataWarning

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 0, 1, 1, 2, 2, 2, 3, 4, 4])


def test_parts_are_the_set_in_one_file(tmp_path: Path) -> None:
    write_records(tmp_path / "one", IMAGES, LABELS, kind=".png")
    written = write_record_parts(tmp_path / "many", IMAGES, LABELS, 4, kind=".png")
    assert [path.parent.name for path in written] == ["part-000", "part-001", "part-002"]
    one, many = RecordDataset(tmp_path / "one"), RecordParts(tmp_path / "many")
    assert len(many) == len(one) == 10
    assert many.num_classes == one.num_classes == 5
    assert many.labels.tolist() == LABELS.tolist()
    for i in (*range(10), -1, -10):
        assert torch.equal(many[i][0], one[i][0])
        assert many[i][1] == one[i][1]
    for i in (10, -11):
        with pytest.raises(IndexError, match="there is no image"):
            many[i]


def test_a_folder_of_parts_is_a_training_set(tmp_path: Path) -> None:
    write_record_parts(tmp_path / "many", IMAGES, LABELS, 4)
    data = insightface.load(tmp_path, "many")
    assert data.label == "many, 10 images of 5 people"
    assert {name.split("/")[0] for name in data.parts} == {"part-000", "part-001", "part-002"}
    before = data.fingerprint, data.parts
    assert (insightface.load(tmp_path, "many").fingerprint, insightface.load(tmp_path, "many").parts) == before
    (tmp_path / "many" / "part-002" / "property").write_text("5,8,8\n\n")
    assert insightface.load(tmp_path, "many").fingerprint != before[0]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="part-000"):
        RecordParts(tmp_path)
    for labels, count, message in ((LABELS, 9, "images for"), (LABELS[:9], 10, "more images than 9 labels")):
        with pytest.raises(ValueError, match=message):
            write_record_parts(tmp_path / f"of {count}", IMAGES[:count], labels, 4)
    with pytest.raises(ValueError, match="size=0"):
        write_record_parts(tmp_path / "none", IMAGES, LABELS, 0)
    write_record_parts(tmp_path / "sizes", IMAGES, LABELS, 4)
    with pytest.raises(ValueError, match="part-000: it exists already"):
        write_record_parts(tmp_path / "sizes", IMAGES, LABELS, 4)
    for path in record_parts(tmp_path / "sizes")[2].iterdir():
        path.unlink()
    write_records(tmp_path / "sizes" / "part-002", IMAGES[8:, :6], LABELS[8:])
    with pytest.raises(ValueError, match=r"part-002/train\.rec, image 0"):
        RecordParts(tmp_path / "sizes")[8]


def test_classes_without_images_are_told_once(tmp_path: Path) -> None:
    write_record_parts(tmp_path, IMAGES, LABELS + (LABELS > 2), 4)
    with pytest.warns(DataWarning, match="6 classes, but only 5 of them have images") as told:
        RecordParts(tmp_path)
    assert len(told) == 1
