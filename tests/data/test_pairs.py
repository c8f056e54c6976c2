"""Verification protocols: what the real lists say, and what a damaged one says."""

from pathlib import Path

import numpy as np
import pytest

from marginface.data.pairs import Pairs, cfp_pairs, image_at, lfw_pairs, lfw_people, lfw_view1, people_of, read_pairs, ytf_pairs
from marginface.data.types import DataMissingError

LFW = "2\t1\nAnn\t1\t4\nAnn\t2\tBob_C\t3\nEve\t1\t2\nEve\t10\tFay\t1\n"
PEOPLE = "2\n2\nAnn\t4\nBob_C\t1\n1\nEve\t2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.txt"


def test_lfw_view2(path: Path) -> None:
    path.write_text(LFW)
    pairs = lfw_pairs(path)
    assert pairs.left == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Eve/Eve_0001.jpg", "Eve/Eve_0010.jpg")
    assert pairs.right == ("Ann/Ann_0004.jpg", "Bob_C/Bob_C_0003.jpg", "Eve/Eve_0002.jpg", "Fay/Fay_0001.jpg")
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_lfw_people(path: Path) -> None:
    path.write_text(PEOPLE)
    assert lfw_people(path) == {"Ann": (0, 4), "Bob_C": (0, 1), "Eve": (1, 2)}


def test_ytf_with_and_without_titles(path: Path) -> None:
    rows = "1, 1, A_B/1, A_B/5, 1\r\n2, 1, C/0, D/10, 0"
    for text in (rows, "split number, pair number, first, second, is the same\r\n" + rows):
        path.write_text(text, newline="")
        pairs = ytf_pairs(path)
        assert (pairs.left, pairs.right) == (("A_B/1", "C/0"), ("A_B/5", "D/10"))
        assert (pairs.same.tolist(), pairs.fold.tolist()) == ([True, False], [0, 1])


def cfp(folder: Path, same: str = "2,1\n") -> Path:
    (folder / "Pair_list_F.txt").write_text("1 ../Data/Images/001/frontal/01.jpg\n2 ../Data/Images/002/frontal/01.jpg\n")
    (folder / "Pair_list_P.txt").write_text("1 ../Data/Images/002/profile/03.jpg\n")
    for fold in range(1, 11):
        split = folder / "Split" / "FP" / f"{fold:02d}"
        split.mkdir(parents=True)
        (split / "same.txt").write_text(same)
        (split / "diff.txt").write_text("1,1\n")
    return folder


def test_cfp_takes_the_left_from_the_frontal_list(tmp_path: Path) -> None:
    pairs = cfp_pairs(cfp(tmp_path), "FP")
    assert (pairs.left[0], pairs.right[0]) == ("002/frontal/01.jpg", "002/profile/03.jpg")
    assert pairs.left[1] == "001/frontal/01.jpg"
    assert (pairs.same[:4].tolist(), pairs.fold[:4].tolist()) == ([True, False, True, False], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the numbers of folds and of pairs, got ''"),
        ("10\n", "line 1: expected the numbers"),
        ("-1\t5\n", "line 1: expected the numbers"),
        ("9999999999\t1\n", "line 1: expected the numbers"),
        (LFW + "Gil\t1\t2\n", "5 pairs, but line 1 promises 2 folds of 2 × 1"),
        (LFW.replace("Ann\t1\t4", "Ann\t1\tBob\t4"), "line 2: expected a name and two numbers"),
        (LFW.replace("Ann\t2\tBob_C\t3", "Ann\t2\t3"), "line 3: expected a name, a number, a name and a number"),
        (LFW.replace("\t4", "\tx"), "line 2: expected"),
        (LFW.replace("\t10", "\t0"), "line 5: expected"),
    ],
)
def test_a_damaged_pairs_file_names_the_line(text: str, message: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        lfw_pairs(path)
    assert str(path) in str(error.value)


def test_view_2_is_not_view_1(path: Path) -> None:
    path.write_text(LFW)
    with pytest.raises(ValueError, match="expected the number of pairs alone"):
        lfw_view1(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the number of folds, got ''"),
        ("3" + PEOPLE[1:], "line 7: expected the number of people in fold 2, got the end"),
        (PEOPLE[:-6], "ends inside fold 1"),
        (PEOPLE + "1\n", "line 7: expected the end after 2 folds"),
        (PEOPLE.replace("Eve", "Ann"), "line 6: expected a new name"),
        (PEOPLE.replace("Ann\t4", "Ann"), "line 3: expected a new name, a tab and a number, got 'Ann'"),
    ],
)
def test_a_damaged_people_file_names_the_line(text: str, message: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        lfw_people(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("row", ["0, 1, a/1, b/1, 1", "1, 1, a/1, b/1", "1, 1, a/1, , 1", "1, 1, a/1, b/1, 2"])
def test_a_damaged_ytf_list_names_the_line(row: str, path: Path) -> None:
    path.write_text("1, 1, a/1, a/2, 1\n" + row)
    with pytest.raises(ValueError, match=r"list\.txt, line 2: expected fold"):
        ytf_pairs(path)


def test_an_empty_ytf_list_is_an_error(path: Path) -> None:
    path.write_text("split, pair, first, second, same\n")
    with pytest.raises(ValueError, match="no pairs"):
        ytf_pairs(path)


def test_damaged_cfp_protocols_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="protocol must be 'FF' or 'FP', got 'PP'"):
        cfp_pairs(tmp_path, "PP")
    with pytest.raises(DataMissingError, match=r"Pair_list_F\.txt"):
        cfp_pairs(tmp_path, "FF")
    cfp(tmp_path, same="2,1\n2,2\n")
    with pytest.raises(ValueError, match=r"01.same\.txt, line 2: expected two image numbers"):
        cfp_pairs(tmp_path, "FP")
    (tmp_path / "Pair_list_P.txt").write_text("1 001/profile/01.jpg\n")
    with pytest.raises(ValueError, match=r"Pair_list_P\.txt, line 1"):
        cfp_pairs(tmp_path, "FP")


def test_text_in_another_encoding_is_an_error(path: Path) -> None:
    path.write_bytes(LFW.replace("Ann", "Zoë").encode("latin1"))
    with pytest.raises(ValueError, match=r"not a text file in UTF-8 \(byte 6 is 0xeb\)"):
        lfw_pairs(path)


def test_a_missing_image_is_named_with_its_pair(path: Path, tmp_path: Path) -> None:
    path.write_text(LFW)
    pairs = lfw_pairs(path)
    for name in pairs.names[:-1]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataMissingError, match=r"Fay_0001\.jpg: pair 3 of 4 names it"):
        pairs.check(tmp_path)
    pairs.select(np.arange(3)).check(tmp_path)


def test_selection_and_names() -> None:
    pairs = Pairs(("a", "b", "a"), ("b", "c", "d"), np.array([True, False, True]), np.array([0, 0, 1]))
    assert pairs.names == ("a", "b", "c", "d")
    for chosen in (np.array([1, 2]), np.array([False, True, True])):
        some = pairs.select(chosen)
        assert (some.left, some.right, len(some)) == (("b", "a"), ("c", "d"), 2)
        assert (some.same.tolist(), some.fold.tolist()) == ([False, True], [0, 1])
    with pytest.raises(ValueError, match="equally long"):
        Pairs(("a",), ("b", "c"), np.array([True]), np.array([0]))


def test_the_real_lists(shared: Path) -> None:
    protocols = shared / "protocols"
    lfw, people = lfw_pairs(protocols / "lfw_pairs.txt"), lfw_people(protocols / "lfw_people.txt")
    assert len(lfw) == 6000
    assert np.bincount(lfw.fold, lfw.same).tolist() == [300] * 10
    assert (len(people), sum(images for _, images in people.values())) == (5749, 13_233)
    # identities of one fold never meet those of another: this is what makes the folds independent
    for names in (lfw.left, lfw.right):
        assert [people[name.split("/")[0]][0] for name in names] == lfw.fold.tolist()
    lfw.check(shared / "lfw")
    views = [lfw_view1(protocols / "lfw_view1" / f"pairsDev{part}.txt") for part in ("Train", "Test")]
    assert [len(view) for view in views] == [2200, 1000]
    assert all(set(view.fold) == {0} for view in views)
    ytf = ytf_pairs(protocols / "ytf_splits.txt")
    assert np.bincount(ytf.fold, ytf.same).tolist() == [250] * 10
    for pairs in (lfw, *views, ytf):
        assert [left.split("/")[0] == right.split("/")[0] for left, right in zip(pairs.left, pairs.right, strict=True)] == list(
            pairs.same
        )


@pytest.mark.parametrize("protocol", ["FF", "FP"])
def test_the_real_cfp(protocol: str, shared: Path) -> None:
    pairs = cfp_pairs(shared / "cfp" / "Protocol", protocol)
    assert np.bincount(pairs.fold, pairs.same).tolist() == [350] * 10
    assert [left[:3] == right[:3] for left, right in zip(pairs.left, pairs.right, strict=True)] == pairs.same.tolist()
    assert {name.split("/")[1] for name in pairs.right} == {"frontal" if protocol == "FF" else "profile"}
    pairs.check(shared / "cfp" / "Data" / "Images")


TABLES = {
    "commas": "a/1.png,a/2.png,1\na/1.png,b/1.png,0\n",
    "titles": "left,right,same\na/1.png,a/2.png,1\na/1.png,b/1.png,0\n",
    "tabs and words": "a/1.png\ta/2.png\tTrue\n\na/1.png\tb/1.png\tdifferent\n",
    "quotes": '"a/1.png","a/2.png",yes\n"a/1.png","b/1.png",no\n',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_two_paths_and_same_or_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(TABLES[name])
    pairs = read_pairs(tmp_path / "pairs.csv")
    assert (pairs.left, pairs.right) == (("a/1.png", "a/1.png"), ("a/2.png", "b/1.png"))
    assert (pairs.same.tolist(), pairs.fold.tolist()) == ([True, False], [0, 1])
    who = people_of(pairs)
    assert who is not None
    assert [side.tolist() for side in who] == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    "text",
    [
        "ann/1,ann/2,1\nann/1,bob/1,0\nbob/1,bob/2,1\n",
        "ann1,ann2,1\nann1,bob1,0\nbob1,bob2,1\n",
        "ann1,ann2,same\nann1,bob1,different\nbob1,bob2,same\n",
        "ann/1,ann/2,same\nann/1,bob/1,0\nbob/1,bob/2,1\n",
        "left,right,same\nann1,ann2,1\nann1,bob1,0\nbob1,bob2,1\n",
        "left,right,same person\nann1,ann2,same\nann1,bob1,different\nbob1,bob2,same\n",
    ],
)
def test_the_first_pair_is_no_title_where_names_have_no_extension(text: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    pairs = read_pairs(tmp_path / "pairs.csv")
    assert pairs.same.tolist() == [True, False, True]
    assert pairs.left[0].startswith("ann")


def test_images_are_found_whatever_their_extension(tmp_path: Path) -> None:
    for name in ("J.png", "J.Lo_0001.png", "K.webp", "K.jpg.png"):
        (tmp_path / name).touch()
    found = {"J.Lo_0001": "J.Lo_0001.png", "J.Lo_0001.JPG": "J.Lo_0001.png", "J.heic": "J.png", "J": "J.png", "K.jpg": "K.webp"}
    assert {name: image_at(tmp_path, name).name for name in found} == found
    for missing in ("J.Lo_0002", "J.Lo_0002.jpg", "/", "..", ""):
        with pytest.raises(DataMissingError, match="the list names it, but it is not there"):
            image_at(tmp_path, missing)


def test_who_is_who_is_not_guessed_where_folders_contradict_the_answers(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("1.png,2.png,1\n1.png,3.png,0\n")
    assert people_of(read_pairs(tmp_path / "pairs.csv")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there are no pairs in it"),
        ("a.png,b.png\nc.png,d.png,1\n", "line 1: expected two paths and same or not"),
        ("a/1,b/1,maybe\na/1,a/2,1\nb/1,b/2,1\n", "line 1: expected two paths and same or not"),
        ("a.png,b.png,1\nc.png,d.png,2\n", "line 2: expected two paths and same or not .1 or 0., got 'c.png,d.png,2'"),
        ("3\t2\nAnn\t1\t2\n", "1 pairs, but line 1 promises 3 folds of 2 × 2"),
    ],
)
def test_what_is_wrong_in_a_list_of_pairs_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_pairs(tmp_path / "pairs.txt")


def test_lfws_own_list_is_known_by_its_first_line(shared: Path) -> None:
    ours, own = read_pairs(shared / "protocols" / "lfw_pairs.txt"), lfw_pairs(shared / "protocols" / "lfw_pairs.txt")
    assert (ours.left, ours.right) == (own.left, own.right)
    assert people_of(ours) is not None
