"""Glyphs: which characters are for what, what is left out of the drawings, and what happens without fonts.

Most of it on small fonts made here, whose characters are heaps of rectangles; what needs Debian's is skipped without them.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from torch.utils.data import TensorDataset

from marginface.data import glyph_images, glyphs, typefaces
from marginface.data.catalog import folders, is_known, load, rehearsal_data
from marginface.data.glyphs import Characters
from marginface.data.typefaces import Typeface
from marginface.data.types import AllPairsTest, DataMissingError, FaceData, IdentificationTest, PairTest, TemplateTest

FIRST = 0x4E00
CHARACTERS = 24
GROUPS = ("serif", "sans", "brush", "dots", "pen", "chalk", "round", "square")
PARTS = {"TESTED": 6, "CHOICE": 4, "STRANGERS": 5, "BLOCK": 10, "COMMON": 8, "RARE": 3, "PAIRS": 40, "FOLDS": 2}


def build(path: Path, drawings: dict[int, list[tuple[int, int, int, int]]], same: dict[int, int] | None = None) -> Path:
    """A font with rectangles (left, bottom, width, height) for each code point; `same` gives some another one's glyph."""
    names = {code: f"u{code:x}" for code in drawings}
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names | {code: names[other] for code, other in (same or {}).items()})
    shapes = {".notdef": TTGlyphPen(None).glyph()}
    for code, rectangles in drawings.items():
        pen = TTGlyphPen(None)
        for x, y, width, height in rectangles:
            pen.moveTo((x, y))
            for corner in ((x, y + height), (x + width, y + height), (x + width, y)):
                pen.lineTo(corner)
            pen.closePath()
        shapes[names[code]] = pen.glyph()
    builder.setupGlyf(shapes)
    builder.setupHorizontalMetrics(dict.fromkeys(shapes, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def rectangles(code: int, spread: int) -> list[tuple[int, int, int, int]]:
    """A character of its own, which a typeface spreads out as it likes."""
    numbers = np.random.default_rng(code)
    return [(int(x) + spread * i, int(y), 120, 60 + spread) for i, (x, y) in enumerate(numbers.integers(0, 600, (5, 2)))]


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Typeface, ...]:
    """A list of typefaces whose files lie in the data folder; small numbers of characters; a cache of its own."""
    monkeypatch.setattr("pooch.os_cache", lambda project: str(tmp_path / "cache"))
    monkeypatch.setattr(typefaces, "SYSTEM", ())
    for name, value in PARTS.items():
        monkeypatch.setattr(glyphs, name, value)
    (tmp_path / "data" / "fonts").mkdir(parents=True)
    found = []
    for number, group in enumerate(GROUPS):
        drawings = {FIRST + i: rectangles(FIRST + i, 17 * number) for i in range(CHARACTERS)}
        drawings |= {0x41: [(0, 0, 500, 500)]}  # no ideograph
        if number < 2:
            drawings[FIRST + 100] = rectangles(FIRST + 100, number)  # too rare
        if number < 4:
            drawings[FIRST + 101] = rectangles(FIRST + 101, 17 * number)
        path = build(tmp_path / "data" / "fonts" / f"{group}.ttf", drawings)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        unseen = group in ("round", "square")
        found.append(Typeface(f"fonts-{group}", "1-1", path.name, 0, group, "Regular", group, unseen, "none", sha256))
    monkeypatch.setattr(glyphs, "typefaces", lambda: tuple(found))
    return tuple(found)


@pytest.fixture
def root(listed: tuple[Typeface, ...], tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_list_has_seen_and_unseen_groups_and_whole_hashes() -> None:
    faces = typefaces.typefaces()
    groups = {kind: {face.group for face in faces if face.unseen == kind} for kind in (False, True)}
    assert not groups[False] & groups[True]
    assert 0.2 < len(groups[True]) / len(groups[False] | groups[True]) < 0.3
    assert len({(face.sha256, face.face) for face in faces}) == len(faces) == 87
    assert all(len(face.sha256) == 64 and face.licence and face.version for face in faces)
    families = {face.family: {other.group for other in faces if other.family == face.family} for face in faces}
    assert all(len(own) == 1 for own in families.values())


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "typefaces.tsv"
    path.write_text("package\tface\nfonts-some\tfirst\n")
    with pytest.raises(ValueError, match=r"typefaces\.tsv, line 2: no typeface"):
        typefaces.typefaces(path)


def test_characters_for_testing_choosing_and_training_are_disjoint_and_the_tests_the_same() -> None:
    ordered = np.random.default_rng(0).permutation(30_000)
    few, many = Characters.of(ordered, 1000), Characters.of(ordered, 10_000)
    for name, count in {"tested": 600, "choice": 300, "strangers": 2000}.items():
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name))
        assert len(getattr(few, name)) == count
    every = np.concatenate([many.tested, many.choice, many.strangers, many.trained])
    assert len(set(every)) == len(every) == 12_900
    np.testing.assert_array_equal(many.trained[:1000], few.trained)
    with pytest.raises(ValueError, match="there are 27100 characters to train on, not 27101"):
        Characters.of(ordered, 27_101)


def test_common_characters_come_first_and_the_order_of_two_does_not_depend_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "COMMON", 3)
    monkeypatch.setattr(glyphs, "RARE", 2)
    codes, groups = np.arange(FIRST, FIRST + 40), ("a", "a", "b", "c")
    owners = np.ones((40, 4), dtype=bool)
    owners[10:20, 3] = False  # of two groups
    owners[20:25, 2:] = False  # of one group, though of two typefaces
    order = glyphs.arrange(codes, owners, groups)
    assert set(order[:25]) == {*range(10), *range(25, 40)}
    assert set(order[25:]) == set(range(10, 20))
    assert order[:25].tolist() != sorted(order[:25])
    some = np.array([3, 7, 12, 30])
    expected = [i for i in order.tolist() if i in some]
    assert some[glyphs.arrange(codes[some], owners[some], groups)].tolist() == expected


def test_what_a_font_does_not_draw_or_draws_for_two_characters_is_left_out(tmp_path: Path) -> None:
    own = {FIRST + i: rectangles(FIRST + i, 0) for i in range(3)}
    path = build(tmp_path / "some.ttf", own | {FIRST + 3: [], 0x41: [(0, 0, 9, 9)]}, same={FIRST + 9: FIRST + 2})
    assert glyph_images.ideographs(path, 0) == {FIRST, FIRST + 1, FIRST + 3}
    first, empty = glyph_images.draw(path, 0, [FIRST, FIRST + 3], 32)
    assert empty is None
    assert first is not None
    assert (first.shape, first.dtype) == ((32, 32), np.uint8)


def test_a_drawing_fills_its_box_and_is_in_the_middle(tmp_path: Path) -> None:
    path = build(tmp_path / "some.ttf", {FIRST: [(100, 300, 400, 100)], FIRST + 1: [(0, 0, 50, 800)]})
    wide, high = glyph_images.draw(path, 0, [FIRST, FIRST + 1], 32)
    assert wide is not None
    assert high is not None
    rows, columns = (np.flatnonzero(wide.max(axis=axis)) for axis in (1, 0))
    assert (columns[0], columns[-1], rows[0], rows[-1]) == (2, 29, 12, 18)  # 28 by 7
    assert wide.max() == 255
    np.testing.assert_array_equal(np.flatnonzero(high.max(axis=1)), np.arange(2, 30))


def test_near_copies_are_left_out_and_the_first_stays() -> None:
    numbers = np.random.default_rng(0)
    first, other = numbers.integers(0, 200, (2, 16, 16), dtype=np.uint8)
    images = np.stack([first, first + 15, other, first, other + 17, first + 30])
    assert glyph_images.distinct(images).tolist() == [0, 2, 4, 5]


def test_a_glyph_that_freetype_fails_on_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageDraw

    path = build(tmp_path / "some.ttf", {FIRST + i: rectangles(FIRST + i, 0) for i in range(3)})
    text = ImageDraw.ImageDraw.text

    def fail(self: ImageDraw.ImageDraw, place: tuple[int, int], character: str, **options: object) -> None:
        if ord(character) == FIRST + 1:
            raise OSError("invalid opcode")
        text(self, place, character, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", fail)
    assert [image is None for image in glyph_images.draw(path, 0, [FIRST + i for i in range(3)], 32)] == [False, True, False]


@pytest.mark.slow
def test_tests_are_on_other_characters_and_pairs_across_groups(root: Path, listed: tuple[Typeface, ...]) -> None:
    data = load("glyphs/8/32", root)
    assert isinstance(data, FaceData)
    assert (data.num_classes, data.image_shape, data.mirrored) == (8, (1, 32, 32), False)
    assert "glyphs" in data.label
    assert isinstance(data.train, TensorDataset)
    images, labels = data.train.tensors
    assert (images.dtype, labels.dtype, sorted(set(labels.tolist()))) == (torch.uint8, torch.int64, list(range(8)))
    assert len(images) == 8 * 6  # six seen groups, a typeface each
    few = load("glyphs/8/32/each4", root)
    assert isinstance(few, FaceData)
    assert (len(few.train), few.tests.keys()) == (8 * 4, data.tests.keys())  # type: ignore[arg-type]
    seen, unseen = data.tests["glyphs seen all pairs"], data.tests["glyphs unseen all pairs"]
    assert isinstance(seen, AllPairsTest)
    assert isinstance(unseen, AllPairsTest)
    assert seen.place is not None
    assert seen.kind is not None
    assert unseen.place is not None
    assert unseen.kind is not None
    assert np.bincount(seen.people).tolist() == [6] * 6
    assert np.bincount(unseen.people).tolist() == [8] * 6
    assert np.bincount(unseen.kind).tolist() == [36, 12]
    for person in range(6):
        assert len(set(seen.kind[seen.people == person])) == 6
    everything = np.asarray(seen.images)
    trained = {image.numpy().tobytes() for image in images}
    assert len(trained) == len(images)
    assert not trained & {image.tobytes() for image in everything}
    for name in ("glyphs seen", "glyphs unseen"):
        pairs = data.tests[name]
        assert isinstance(pairs, PairTest)
        assert pairs.same.sum() * 2 == len(pairs.same) == PARTS["PAIRS"]
        owner = dict(zip(unseen.place.tolist(), unseen.people.tolist(), strict=True))
        left, right = ([owner[int(place)] for place in side] for side in (pairs.left, pairs.right))
        assert [a == b for a, b in zip(left, right, strict=True)] == pairs.same.tolist()
        in_folds = [{*np.array(left)[pairs.fold == f], *np.array(right)[pairs.fold == f]} for f in range(2)]
        assert not in_folds[0] & in_folds[1]
        assert len(set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))) == len(pairs.left)
        shown = set(pairs.right.tolist()) <= set(seen.place.tolist())
        assert shown == (name == "glyphs seen")
    templates, identification = data.tests["templates"], data.tests["identification"]
    assert isinstance(templates, TemplateTest)
    assert isinstance(identification, IdentificationTest)
    assert (templates.same.sum(), len(templates.same)) == (6, 36)
    assert np.bincount(identification.people).tolist() == [3] * 6
    assert len(identification.distractors) == 5
    noisy = data.tests["planted identification"]
    assert isinstance(noisy, IdentificationTest)
    assert noisy.noise is not None
    strangers = noisy.distractors[~noisy.noise[noisy.distractors]]
    assert len(strangers) == 5 * 5
    assert not {everything[place].tobytes() for place in strangers} & (
        trained | {everything[place].tobytes() for place in unseen.place}
    )
    doubles = noisy.distractors[noisy.noise[noisy.distractors]]
    assert set(doubles.tolist()) <= set(seen.place.tolist())
    assert not set(identification.distractors.tolist()) & set(unseen.place.tolist())


def test_the_cache_is_enough_and_another_list_is_drawn_anew(
    root: Path, listed: tuple[Typeface, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataMissingError, match="not been drawn"):
        load("glyphs/4/32", root, fetch=False)
    first = load("glyphs/4/32", root)
    for path in (root / "fonts").iterdir():
        path.unlink()
    again = load("glyphs/4/32", root, fetch=False)
    assert again.fingerprint == first.fingerprint
    assert load("glyphs/4/32/choice", root, fetch=False).fingerprint != first.fingerprint
    with pytest.raises(DataMissingError, match="not been drawn"):
        load("glyphs/4/24", root, fetch=False)
    other = (replace(listed[0], group="other"), *listed[1:])
    monkeypatch.setattr(glyphs, "typefaces", lambda: other)
    with pytest.raises(DataMissingError, match="not been drawn"):
        load("glyphs/4/32", root, fetch=False)


def test_the_tests_do_not_depend_on_how_many_are_trained(root: Path) -> None:
    few, many = load("glyphs/2/32", root), load("glyphs/9/32", root)
    assert isinstance(few, FaceData)
    assert isinstance(many, FaceData)
    for name, test in few.tests.items():
        for field, value in vars(test).items():
            if value is not None:
                np.testing.assert_array_equal(value, getattr(many.tests[name], field))
    choice = load("glyphs/9/32/choice", root)
    assert isinstance(choice, FaceData)
    assert isinstance(choice.train, TensorDataset)
    assert isinstance(many.train, TensorDataset)
    for one, other in zip(choice.train.tensors, many.train.tensors, strict=True):
        np.testing.assert_array_equal(one, other)
    tested = {image.tobytes() for image in np.asarray(few.tests["glyphs seen"].images)[:36]}
    assert not tested & {image.tobytes() for image in np.asarray(choice.tests["glyphs seen"].images)[:24]}


def test_overlap_trains_on_tested_characters_in_drawings_that_no_test_shows(root: Path) -> None:
    plain, overlap = load("glyphs/9/32", root), load("glyphs/9/32/overlap", root)
    assert isinstance(plain, FaceData)
    assert isinstance(overlap, FaceData)
    for name, test in plain.tests.items():
        for field, value in vars(test).items():
            if value is not None:
                np.testing.assert_array_equal(value, getattr(overlap.tests[name], field))
    assert isinstance(overlap.train, TensorDataset)
    shown = {image.tobytes() for image in np.asarray(plain.tests["glyphs seen"].images)}
    assert not shown & {image.numpy().tobytes() for image in overlap.train.tensors[0]}
    assert overlap.num_classes == plain.num_classes
    assert overlap.fingerprint != plain.fingerprint


def test_what_is_missing_is_named_with_the_line_that_installs_it(root: Path) -> None:
    (root / "fonts" / "brush.ttf").unlink()
    (root / "fonts" / "dots.ttf").write_bytes(b"another version")
    with pytest.raises(
        DataMissingError, match=r"2 are missing \(there is no brush\.ttf\).*apt-get install.*fonts-brush fonts-dots"
    ):
        load("glyphs/4/32", root)
    assert not list((root.parent / "cache").rglob("*.npz"))


def test_sizes_and_numbers_that_make_no_sense(root: Path) -> None:
    for size in (8, 65):
        with pytest.raises(ValueError, match=f"size={size} is not from 16 to 64"):
            load(f"glyphs/4/{size}", root)
    with pytest.raises(ValueError, match="there are 10 characters to train on, not 11"):
        load("glyphs/11/32", root)  # 24 and the one of four groups


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_known("glyphs/1000/32")
    assert is_known("glyphs/1000/32/choice")
    assert is_known("glyphs/1000/32/overlap")
    assert not is_known("glyphs/0/32")
    monkeypatch.setattr("pooch.os_cache", lambda project: str(tmp_path))
    assert folders("glyphs/1000/32") == (tmp_path / "glyphs",)
    rehearsal = rehearsal_data("glyphs/1000/28/choice")
    assert isinstance(rehearsal, FaceData)
    assert (rehearsal.image_shape, rehearsal.mirrored) == ((1, 28, 28), False)


def test_the_same_pixels_from_debians_fonts() -> None:
    """Two characters in every listed typeface, as the pinned Pillow draws them."""
    faces = typefaces.typefaces()
    try:
        files = typefaces.locate(faces)
    except DataMissingError as missing:
        pytest.skip(str(missing))
    digest = hashlib.sha256()
    for path, face in zip(files, faces, strict=True):
        for image in glyph_images.draw(path, face.face, [0x4EBA, 0x9858], 32):
            digest.update(b"none" if image is None else image.tobytes())
    if PIL.__version__ != "13.0.0":
        pytest.skip("the pixels are known for Pillow 13.0.0 alone")
    assert digest.hexdigest() == "b3a304438992bac2717f1c0ab84659323406f2b8c123d3dc12198de1cb169111"
