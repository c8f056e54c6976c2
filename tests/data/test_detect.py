"""Faces found in photographs. What LFW's alignment and CFP's fiducials say of the same images is the witness."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from marginface.data.align import LFW_A, TEMPLATE, align, cfp_landmarks, crop_of
from marginface.data.detect import align_people, detect
from marginface.data.folders import list_people
from marginface.data.images import read_image

MISSING = "yuface is not installed: pip install '.[detector]'"


@pytest.fixture
def photographs(shared: Path) -> list[np.ndarray]:
    """Thirty images of LFW-a, one a person."""
    pytest.importorskip("yuface", reason=MISSING)
    people = sorted(path for path in (shared / "lfw").iterdir() if path.is_dir())
    return [read_image(sorted(person.iterdir())[0]) for person in people[::192]]


def errors(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How far landmarks (N, 5, 2) are from known ones, in distances between the eyes."""
    between_eyes = np.linalg.norm(known[..., 0, :] - known[..., 1, :], axis=-1)
    return np.linalg.norm(found - known, axis=-1) / between_eyes[..., None]


def test_landmarks_of_lfw_lie_around_where_its_alignment_puts_them(photographs: list[np.ndarray]) -> None:
    found = [detect(image) for image in photographs]
    assert sum(map(bool, found)) >= 29
    landmarks = np.stack([faces[0].landmarks for faces in found if faces])
    assert errors(np.median(landmarks, axis=0), LFW_A).max() < 0.06
    assert np.median(errors(landmarks, LFW_A)) < 0.1


def test_landmarks_of_cfp_agree_with_those_that_people_drew(shared: Path) -> None:
    pytest.importorskip("yuface", reason=MISSING)
    found, known = [], []
    for person in range(1, 501, 25):
        name = f"{person:03d}/frontal/01"
        points = np.loadtxt(shared / "cfp" / "Data" / "Fiducials" / f"{name}.txt", delimiter=",")
        if faces := detect(read_image(shared / "cfp" / "Data" / "Images" / f"{name}.jpg")):
            found.append(faces[0].landmarks)
            known.append(cfp_landmarks(points, frontal=True))
    assert len(found) >= 19
    assert np.median(errors(np.stack(found), np.stack(known))) < 0.08


def test_a_face_is_found_wherever_it_is_and_however_large(photographs: list[np.ndarray]) -> None:
    """A photograph on a canvas, enlarged or shrunk: landmarks move with it."""
    for image in photographs[:3]:
        before = detect(image)[0].landmarks
        for scale, right, down in ((1, 30, 100), (3, 0, 0), (0.6, 7, 50)):
            resized = cv2.resize(
                image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            )
            canvas = np.zeros((resized.shape[0] + down, resized.shape[1] + right, 3), np.uint8)
            canvas[down:, right:] = resized
            expected = (before + 0.5) * scale - 0.5 + (right, down)
            moved = errors(detect(canvas)[0].landmarks, expected)
            assert np.median(moved) < 0.1
            assert moved.max() < 0.2


def test_a_detected_face_is_aligned(photographs: list[np.ndarray]) -> None:
    """Aligned by its landmarks, a face has them on the template; so close a crop is not what the detector is used to."""
    crops = [align(image, faces[0].landmarks) for image in photographs[:15] if (faces := detect(image))]
    again = np.stack([faces[0].landmarks for crop in crops if (faces := detect(crop.transpose(1, 2, 0)))])
    assert len(again) >= 14
    assert errors(np.median(again, axis=0), TEMPLATE).max() < 0.12


def test_the_largest_comes_first_and_the_unsure_are_left_out(photographs: list[np.ndarray]) -> None:
    small = cv2.resize(photographs[1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    both = np.zeros((250, 375, 3), np.uint8)
    both[:125, :125], both[:, 125:] = small, photographs[0]
    found = detect(both)
    assert len(found) >= 2
    assert found[0].box[0] > 125
    assert found[0].box[2] * found[0].box[3] > found[1].box[2] * found[1].box[3]
    assert all(0.5 < face.confidence <= 1 for face in found)
    assert detect(both, confidence=1) == []


def test_where_there_is_nobody() -> None:
    pytest.importorskip("yuface", reason=MISSING)
    numbers = np.random.default_rng(0)
    for shape in [(1, 1, 3), (1, 700, 3), (300, 2, 3), (64, 64, 3)]:
        assert detect(numbers.integers(0, 256, shape, dtype=np.uint8)) == []


def test_a_folder_of_people_is_aligned(photographs: list[np.ndarray], tmp_path: Path) -> None:
    nobody = np.zeros((50, 50, 3), np.uint8)
    for name, image in {"b/1.jpg": photographs[0], "a/x/2.png": photographs[1], "a/none.png": nobody}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / name), image[..., ::-1])
    (tmp_path / "in" / "b" / "2.jpg").write_bytes(b"damaged")
    done = align_people(tmp_path / "in", tmp_path / "out", size=160)
    assert (done.faces, done.faceless, list(done.unreadable)) == (2, ("a/none.png",), ["b/2.jpg"])
    assert crop_of(tmp_path / "out") == "insightface"
    aligned = list_people(tmp_path / "out")
    assert aligned.names == ("a", "b")
    assert aligned.paths == ("a/x/2.png", "b/1.png")
    expected = align(photographs[1], detect(photographs[1])[0].landmarks, 160)
    np.testing.assert_array_equal(aligned.read(0).transpose(2, 0, 1), expected)
    with pytest.raises(ValueError, match="exists already"):
        align_people(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "message"),
    [(("a/1.jpg", "a/1.png"), r"a/1\.png would be written twice"), (("a/1.png", "b/1.png"), "in any of its 2")],
)
def test_a_folder_that_cannot_be_aligned_leaves_nothing(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    pytest.importorskip("yuface", reason=MISSING)
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / name), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ValueError, match=message):
        align_people(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_size_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "in" / "a" / "1.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="size=0 must be at least 1 pixel"):
        align_people(tmp_path / "in", tmp_path / "out", size=0)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yuface", None)
    with pytest.raises(ModuleNotFoundError, match=r"marginface\[detector\]"):
        detect(np.zeros((10, 10, 3), np.uint8))


@pytest.mark.parametrize(
    ("image", "confidence", "message"),
    [
        (np.zeros((10, 10), np.uint8), 0.5, r"\(H, W, 3\) uint8, not \(10, 10\)"),
        (np.zeros((10, 10, 3), np.float32), 0.5, "float32"),
        (np.zeros((0, 10, 3), np.uint8), 0.5, r"not \(0, 10, 3\)"),
        (np.zeros((10, 10, 3), np.uint8), 50, "confidence=50"),
    ],
)
def test_what_is_no_image(image: np.ndarray, confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detect(image, confidence)
