"""Lists of templates, pairs and noise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.data.lists import ijb_landmarks, ijb_media, ijb_metadata, ijb_pairs, image_list, is_noise, noise_list

POINTS = "1.jpg 46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875 86.450 98.648 0.999\n"
CSV = (
    "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,AGE\n"
    '1,101,img/7.jpg,4,10,20.5,30,40,3\n2,102,"frames/8,a.png",5,,,,,\n'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.txt"


def test_ijb_media(path: Path) -> None:
    path.write_text('1.jpg 1 69544\n2"x.jpg 1 69544\nNA 12115 7\n')
    names, templates, media = ijb_media(path)
    assert names == ("1.jpg", '2"x.jpg', "NA")
    assert (templates.tolist(), media.tolist()) == ([1, 1, 12115], [69544, 69544, 7])
    assert templates.dtype == media.dtype == np.int64


def test_ijb_pairs(path: Path) -> None:
    path.write_text("1 11065 1\n2 7 0\n")
    left, right, same = ijb_pairs(path)
    assert (left.tolist(), right.tolist(), same.tolist()) == ([1, 2], [11065, 7], [True, False])
    assert same.dtype == bool


def test_ijb_landmarks(path: Path) -> None:
    path.write_text(POINTS * 2)
    names, landmarks, scores = ijb_landmarks(path)
    assert names == ("1.jpg", "1.jpg")
    assert (landmarks.shape, landmarks.dtype, scores.dtype) == ((2, 5, 2), np.float32, np.float32)
    np.testing.assert_allclose(landmarks[1, [0, 4]], [[46.06, 62.026], [86.45, 98.648]], rtol=1e-6)
    np.testing.assert_allclose(scores, 0.999)


def test_ijb_metadata(path: Path) -> None:
    path.write_text(CSV)
    table = ijb_metadata(path)
    assert table["FILENAME"].tolist() == ["img/7.jpg", "frames/8,a.png"]
    assert table[["TEMPLATE_ID", "SUBJECT_ID", "SIGHTING_ID"]].to_numpy().tolist() == [[1, 101, 4], [2, 102, 5]]
    np.testing.assert_array_equal(table["FACE_Y"], [20.5, np.nan])
    assert "AGE" not in table
    path.write_text("TEMPLATE_ID,SUBJECT_ID,FILENAME\n5,6,a.jpg\n")
    assert ijb_metadata(path).to_numpy().tolist() == [[5, 6, "a.jpg"]]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (ijb_media, "", "expected lines of name template medium"),
        (ijb_media, "1.jpg 1\n", "line 1: expected name template medium, got '1.jpg 1'"),
        (ijb_media, "1.jpg 1 2 3\n", "line 1: expected name template medium, got"),
        (ijb_media, "1.jpg 1 2\n\n2.jpg 1\n", "line 3: expected name template medium, got '2.jpg 1'"),
        (ijb_media, "1.jpg one 2\n", "line 1: expected name template medium, got"),
        (ijb_media, "1.jpg 1 99999999999999999999\n", "line 1: expected name template medium, got"),
        (ijb_media, f"1.jpg 1 2\n1.jpg {2**63} 2\n", f"line 2: expected name template medium, got '1.jpg {2**63} 2'"),
        (ijb_pairs, f"{2**63} 1 0\n", f"line 1: expected template template same, got '{2**63} 1 0'"),
        (ijb_pairs, "1 2 1\n\n1 2 2\n", "line 3: expected 0 or 1 at its end, got 2"),
        (ijb_pairs, "1 2 1\n1 2 1 0\n", "line 2: expected template template same, got '1 2 1 0'"),
        (ijb_landmarks, POINTS + POINTS.replace("0.999", "inf"), "line 2: expected name, five points .* all finite"),
        (ijb_landmarks, POINTS + POINTS.replace("0.999", "nan"), "line 2: expected name, five points .* 98.648 nan'"),
        (ijb_landmarks, POINTS + "\n" + POINTS.replace("0.999", "1e39"), "line 3: a number is too large for float32"),
        (ijb_landmarks, POINTS.replace(" 0.999", ""), "line 1: expected name, five points"),
        (ijb_metadata, "", "expected a table with the columns TEMPLATE_ID"),
        (ijb_metadata, CSV.replace("FILENAME", "FILE"), "FILENAME is missing"),
        (ijb_metadata, CSV.replace("101", "one"), "row 1: SUBJECT_ID should be a whole number, got 'one'"),
        (ijb_metadata, CSV.replace("102", f"{2**63}"), f"row 2: SUBJECT_ID should be a whole number, got '{2**63}'"),
        (ijb_metadata, CSV.replace("102", "9" * 5000), r"row 2: SUBJECT_ID .* \(5,000 characters\)$"),
        (ijb_metadata, CSV.replace("20.5", "x"), "row 1: FACE_Y should be a finite number or nothing, got 'x'"),
        (ijb_metadata, CSV.replace("20.5", "inf"), "row 1: FACE_Y should be a finite number"),
        (image_list, "", "no images in the list"),
        (image_list, "{", "not JSON"),
        (image_list, '{"path": ' + "[" * 100_000, "not JSON"),
        (image_list, '{"paths": ["a"]}', 'list of paths under "path"'),
        (image_list, '{"path": [1]}', 'list of paths under "path"'),
        (image_list, '{"path": ["a"], "id": []}', 'as many entries under "id" as under "path", 1'),
        (noise_list, "# nothing\n", "no names in the list"),
    ],
)
def test_damaged_lists_are_named(read: Callable[[Path], Any], text: str, message: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(error.value).startswith(str(path))
    path.unlink()
    with pytest.raises(ValueError, match=r"list\.txt: there is no such file"):
        read(path)


@pytest.mark.parametrize("read", [ijb_media, ijb_pairs, ijb_landmarks])
@pytest.mark.parametrize("word", ["x", "9"])
def test_long_lines_are_quoted_in_part(read: Callable[[Path], Any], word: str, path: Path) -> None:
    path.write_text(f"1 {word * 5000} 1")
    with pytest.raises(ValueError, match=r"line 1: .* \(5,004 characters\)$") as error:
        read(path)
    assert len(str(error.value)) < 400


def test_image_lists_of_both_kinds(path: Path) -> None:
    path.write_text(json.dumps({"path": ["A B/A B_1.png", "C/C_2.png"], "id": ["A B", 7]}))
    assert image_list(path) == (("A B/A B_1.png", "C/C_2.png"), ("A B", "7"))
    path.write_text(json.dumps({"path": ["363/1@N00/2_0.jpg"]}))
    assert image_list(path) == (("363/1@N00/2_0.jpg",), None)
    path.write_text("a/b/c.jpg\n\nd/e/f g.jpg\n")
    assert image_list(path) == (("a/b/c.jpg", "d/e/f g.jpg"), None)


def test_noise_by_the_end_of_the_path(path: Path) -> None:
    path.write_text("# comment\n375/3@N00/4_0.jpg\n17\t925/9@N00/3_2.jpg\n")
    noises = noise_list(path)
    assert noises == {"375/3@N00/4_0.jpg", "925/9@N00/3_2.jpg"}
    paths = ["root/375/3@N00/4_0.jpg", "375/3@N00/4_1.jpg", "925/9@N00/3_2.jpg", "4_0.jpg"]
    assert is_noise(paths, noises).tolist() == [True, False, True, False]
    assert is_noise(["A/A_1.png", "A/A_2.png"], frozenset({"A_2.png"})).tolist() == [False, True]
    assert is_noise([], noises).dtype == bool


def test_the_real_noise_lists(shared: Path) -> None:
    megaface = noise_list(shared / "protocols" / "megaface_noises.txt")
    facescrub = noise_list(shared / "protocols" / "facescrub_noises.txt")
    assert "375/37531198@N00/4174611825_0.jpg" in megaface
    assert {name.count("/") for name in megaface} == {2}
    assert "Aaron_Eckhart_136.png" in facescrub
    assert (len(megaface), len(facescrub)) == (707, 605)  # 12 of MegaFace's lines stand there twice


@settings(deadline=None, max_examples=150)
@given(text=st.text(alphabet="012 ,\n\t\"'.#{}[]:ab\x00\r", max_size=60) | st.binary(max_size=40))
def test_garbage_is_a_list_or_an_error(text: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    for read in (ijb_media, ijb_pairs, ijb_landmarks, ijb_metadata, image_list, noise_list):
        try:
            read(path)
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
