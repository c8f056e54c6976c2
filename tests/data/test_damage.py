"""What is damaged and can be used all the same is named once, however often it is read, and by whom."""

import pickle
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from marginface.data.bins import load_bin
from marginface.data.catalog import load
from marginface.data.damage import MOST_NAMES, counted, note
from marginface.data.images import encode_image, read_image
from marginface.data.recordio import RecordDataset, write_records
from marginface.data.types import DataWarning
from marginface.margins import NormFace
from marginface.training import Recipe, train

SMOOTH = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8), (9, 9), 3)
WHOLE = encode_image(SMOOTH, ".jpg")
DAMAGED = WHOLE[:-60] + WHOLE[-30:]  # as if something on the way had lost it


def write_set(folder: Path) -> None:
    write_records(folder, [WHOLE, DAMAGED, WHOLE, WHOLE, DAMAGED, WHOLE], [0, 0, 0, 1, 1, 1])


def test_it_is_told_at_once_where_nobody_counts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(DAMAGED)
    with pytest.warns(DataWarning, match=r"face\.jpg: it is damaged, and parts of it are wrong \(Corrupt JPEG data: .*\)$"):
        image = read_image(path)
    assert (image[:8] == read_whole(tmp_path)[:8]).all(), "what comes before the damage is right"
    assert (image != read_whole(tmp_path)).any()
    assert capfd.readouterr() == ("", "")


def read_whole(folder: Path) -> np.ndarray:
    (folder / "whole.jpg").write_bytes(WHOLE)
    return read_image(folder / "whole.jpg")


def test_each_is_named_once_and_all_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    dataset = RecordDataset(tmp_path)
    with pytest.warns(DataWarning) as warned:
        _read_often(dataset)
    assert len(warned) == 1
    message = str(warned[0].message)
    assert message.startswith("2 images are damaged, which are used all the same")
    assert re.findall(r"train\.rec, record (\d) \(Corrupt JPEG", message) == ["1", "4"]
    assert list((tmp_path / "temporary").iterdir()) == []
    assert capfd.readouterr() == ("", "")


@counted()
def _read_often(dataset: RecordDataset) -> None:
    for _ in range(20):
        with counted():  # as in a reader within a reader
            for i in range(len(dataset)):
                assert dataset[i][0].shape == (3, 32, 32)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(dataset.__getitem__, [1, 4] * 50))) == 100


@pytest.mark.slow
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_it_is_told_of_processes_that_read(start: str, workers: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path)
    loader = DataLoader(RecordDataset(tmp_path), batch_size=2, num_workers=workers, multiprocessing_context=start)
    with pytest.warns(DataWarning, match="^2 images are damaged") as warned, counted():
        assert len(list(loader)) == len(list(loader)) == 3
    assert len(warned) == 1
    assert "Corrupt" not in capfd.readouterr().err


def test_whole_images_are_nothing_to_warn_of(tmp_path: Path) -> None:
    with counted():
        read_whole(tmp_path)


def test_an_error_does_not_hide_it() -> None:
    @counted()
    def fail() -> None:
        note("a.jpg", "why")
        raise KeyError

    with pytest.warns(DataWarning, match="^an image is damaged"), pytest.raises(KeyError):
        fail()


def test_of_many_the_first_are_named() -> None:
    @counted()
    def read() -> None:
        for i in range(MOST_NAMES + 7):
            note(f"{i}.jpg", "why")

    with pytest.warns(DataWarning, match=f"^{MOST_NAMES + 7} images are damaged") as warned:
        read()
    lines = str(warned[0].message).splitlines()
    assert (len(lines), lines[-1].strip()) == (MOST_NAMES + 2, "and 7 more")


def test_verification_sets(tmp_path: Path) -> None:
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(([DAMAGED, WHOLE, WHOLE, DAMAGED], [True, False])))
    with pytest.warns(DataWarning, match="^2 images are damaged") as warned:
        load_bin(path)
    assert len(warned) == 1
    assert re.findall(r"lfw\.bin, image (\d) \(", str(warned[0].message)) == ["0", "3"]


def test_training_tells_it_at_its_end(tmp_path: Path) -> None:
    write_set(tmp_path / "faces")
    with pytest.warns(DataWarning) as warned:
        run = train(
            Recipe(NormFace(16), data="faces", backbone="LResNet10E-IR-w16", embedding_dim=8, batch_size=2, epochs=2),
            load("faces", tmp_path),
        )
    assert len(run.curves["loss"]) == 6
    assert [str(warning.message).partition(",")[0] for warning in warned] == ["2 images are damaged"]
