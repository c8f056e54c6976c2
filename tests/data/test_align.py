"""Alignment: landmarks end where the template has them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from marginface.data.align import (
    LFW_A,
    NOTE,
    TEMPLATE,
    align,
    cfp_landmarks,
    crop_of,
    normalise,
    shape_of,
    similarity,
    write_note,
)


@given(
    scale=st.floats(0.05, 20), turn=st.floats(-3, 3), x=st.floats(-500, 500), y=st.floats(-500, 500), seed=st.integers(0, 99)
)
def test_a_similarity_is_found_exactly(scale: float, turn: float, x: float, y: float, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(0, 100, (5, 2))
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([(c, -s, x), (s, c, y)])
    np.testing.assert_allclose(similarity(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix, rtol=1e-6, atol=1e-5)


def test_it_is_the_least_squares_one() -> None:
    """Umeyama's closed form (1991), by singular values, as a second way to the same minimum."""
    numbers = np.random.default_rng(0)
    for _ in range(20):
        points = TEMPLATE + numbers.normal(0, 8, (5, 2))
        p, q = points - points.mean(axis=0), TEMPLATE - TEMPLATE.mean(axis=0)
        u, d, v = np.linalg.svd(q.T @ p)
        sign = np.array([1, np.sign(np.linalg.det(u @ v))])
        expected = (d @ sign) / np.square(p).sum() * u @ np.diag(sign) @ v
        found = similarity(points, TEMPLATE)
        np.testing.assert_allclose(found[:, :2], expected, atol=1e-9)
        np.testing.assert_allclose(found[:, 2], TEMPLATE.mean(axis=0) - expected @ points.mean(axis=0), atol=1e-9)


@pytest.mark.parametrize(("size", "source"), [(112, 250), (160, 250), (56, 250), (64, 1000)])
def test_landmarks_end_on_the_template(size: int, source: int) -> None:
    landmarks = LFW_A * source / 250
    wanted = (TEMPLATE + 0.5) * size / 112 - 0.5
    to_crop = similarity(landmarks, wanted)
    ends = landmarks @ to_crop[:, :2].T + to_crop[:, 2]
    for point, end in zip(landmarks, ends, strict=True):
        image = np.zeros((source, source, 3), np.uint8)
        cv2.circle(image, tuple(int(v) for v in point.round()), source // 60, (255, 255, 255), -1)
        crop = align(image, landmarks, size, grey=True)[0].astype(float)
        rows, columns = np.indices(crop.shape)
        found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        assert np.abs(found - end).max() < 1


def test_shapes_and_grey() -> None:
    image = np.random.default_rng(0).integers(0, 256, (250, 250, 3), dtype=np.uint8)
    assert align(image, LFW_A).shape == (3, 112, 112)
    assert align(image, LFW_A, 64, grey=True).shape == (1, 64, 64)
    assert (align(np.zeros_like(image), LFW_A) == 0).all()


def test_a_width_of_its_own_shows_less_or_more_at_both_sides() -> None:
    """112 × 96 are SphereFace's crops, in which landmarks stand 8 pixels further to the left."""
    image = np.random.default_rng(0).integers(0, 256, (250, 250, 3), dtype=np.uint8)
    square = align(image, LFW_A).astype(int)
    narrow, wide = (align(image, LFW_A, width=width).astype(int) for width in (96, 120))
    assert (narrow.shape, wide.shape) == ((3, 112, 96), (3, 112, 120))
    for found, expected in ((narrow, square[:, :, 8:-8]), (wide[:, :, 4:-4], square)):
        assert np.abs(found - expected).max() < 16, "places are rounded to a 32nd of a pixel"
    with pytest.raises(ValueError, match="width=7 must be at least 8"):
        align(image, LFW_A, width=7)


def test_a_note_has_the_shape_of_faces(tmp_path: Path) -> None:
    assert shape_of(tmp_path) is None
    for size, crop, width, found in ((28, "insightface", None, (28, 28)), (28, "", 24, (28, 24)), (0, "", None, None)):
        write_note(tmp_path, size, crop, width)
        assert shape_of(tmp_path) == found
        assert crop_of(tmp_path) == crop
    (tmp_path / NOTE).write_text('{"crop": "insightface", "size": "large"}')
    assert shape_of(tmp_path) is None


def test_the_two_sides_of_a_face_give_the_same_landmarks_reflected() -> None:
    fiducials = np.random.default_rng(0).uniform(0, 160, (30, 2))
    mirrored = fiducials * (-1, 1)
    for frontal in (True, False):
        one, other = cfp_landmarks(fiducials, frontal), cfp_landmarks(mirrored, frontal)
        np.testing.assert_allclose(other, one[[1, 0, 2, 4, 3]] * (-1, 1), atol=1e-9)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((5, 2)), "all in one place"),
        (np.full((5, 2), np.nan), "NaN or infinity"),
        (np.zeros((1, 2)), "two or more points"),
        (np.zeros((5, 3)), "two or more points"),
    ],
)
def test_landmarks_that_make_no_sense(points: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        similarity(points, TEMPLATE[: len(points)])


def test_images_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8"):
        align(np.zeros((10, 10), np.uint8), LFW_A)
    with pytest.raises(ValueError, match="size=4"):
        align(np.zeros((10, 10, 3), np.uint8), LFW_A, 4)
    with pytest.raises(ValueError, match="CFP has 30 fiducials"):
        cfp_landmarks(np.zeros((29, 2)), True)


def test_normalisations() -> None:
    images = torch.tensor([[[[0, 255], [127, 128]]], [[[9, 9], [9, 9]]]], dtype=torch.uint8)
    torch.testing.assert_close(normalise(images, "unit")[0, 0, 0], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(normalise(images, "fixed")[0, 0, 0], torch.tensor([-127.5 / 128, 127.5 / 128]))
    whitened = normalise(images, "whitened")
    torch.testing.assert_close(whitened[0].mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(whitened[0].square().mean(), torch.tensor(1.0))
    assert (whitened[1] == 0).all()
    torch.testing.assert_close(normalise(images, "none"), images.float())
    with pytest.raises(ValueError, match="unknown normalisation 'mine'"):
        normalise(images, "mine")  # type: ignore[arg-type]


def test_cfp_eyes_are_where_eyes_are(shared: Path) -> None:
    """In the mean of aligned frontal faces the eyes are darker than the cheeks below them."""
    from marginface.data.folders import read_image

    data = shared / "cfp" / "Data"
    crops = []
    for person in range(1, 41):
        fiducials = np.loadtxt(data / "Fiducials" / f"{person:03d}" / "frontal" / "01.txt", delimiter=",")
        image = read_image(data / "Images" / f"{person:03d}" / "frontal" / "01.jpg")
        crops.append(align(image, cfp_landmarks(fiducials, True), grey=True)[0])
    mean = np.mean(crops, axis=0)
    for x, y in TEMPLATE[:2].astype(int):
        assert mean[y - 3 : y + 4, x - 3 : x + 4].mean() < mean[y + 14 : y + 21, x - 3 : x + 4].mean() - 10
