"""Records: what is kept, what is found again, what is stale."""

import base64
import json
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginface import regularizers
from marginface.book import packing, records, rehearsals, runs
from marginface.book.items import Item
from marginface.book.obtain import Row
from marginface.data.catalog import load
from marginface.data.files import data_folder
from marginface.margins import ArcFace, CosFace, NormFace, Softmax, SphereFace
from marginface.regularizers import IAM
from marginface.training import Run, train
from marginface.training.recipes import Recipe

QUICK = Recipe(NormFace(10), (IAM(0.2),), data="digits", epochs=1, batch_size=64, optimizer="adam", lr=1e-3)


@pytest.fixture
def run() -> Run:
    return train(QUICK, max_steps=2)


@pytest.mark.parametrize("margin", [Softmax(), NormFace(), CosFace(), ArcFace(fallback="easy"), SphereFace(4, 5.0, None)])
def test_a_recipe_survives_json(margin: NormFace) -> None:
    recipe = Recipe(margin, (IAM(0.1, on="logits"),), seed=3, milestones=(0.1, 0.2, 0.3))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_a_setting_that_came_later_changes_a_key_only_where_it_is_set() -> None:
    """Records of IAM were made when it had no scale of its own."""
    recipe = Recipe(Softmax(), (IAM(0.1),))
    assert recipe.to_json()["regularizers"] == [{"loss": "IAM", "beta": 0.1, "on": "cosines"}]
    scaled = replace(recipe, regularizers=(IAM(0.1, scale=30.0),))
    assert scaled.key != recipe.key
    assert Recipe.from_json(json.loads(json.dumps(scaled.to_json()))) == scaled


def test_every_field_of_a_recipe_is_in_its_key() -> None:
    changed: dict[str, Any] = {
        "margin": NormFace(11),
        "regularizers": (IAM(0.3),),
        "data": "mnist",
        "backbone": "other",
        "embedding_dim": 2,
        "epochs": 2,
        "batch_size": 63,
        "optimizer": "sgd",
        "lr": 2e-3,
        "head_lr_factor": 2.0,
        "momentum": 0.5,
        "weight_decay": 1e-4,
        "milestones": (0.9,),
        "gamma": 0.5,
        "precision": "auto",
        "seed": 1,
        "normalisation": "fixed",
        "schedule": "linear",
        "warmup": 0.1,
        "flip": 0.5,
        "jitter": 0.1,
        "dropout": 0.0,
        "clip": 5.0,
        "average": 0.9,
        "steps": 10,
        "start": QUICK,
        "freeze": 0.1,
        "accumulate": 2,
        "sample_rate": 0.5,
        "corrected": True,
        "block": 100,
    }
    assert set(changed) == {field.name for field in fields(Recipe)}
    keys = {QUICK.key, *(replace(QUICK, **{name: value}).key for name, value in changed.items())}
    assert len(keys) == len(changed) + 1


def test_a_record_comes_back_as_it_was(run: Run, runs_folder: Path) -> None:
    path = records.store(run)
    assert path == runs_folder / f"{QUICK.key}.json"
    found = records.lookup(QUICK)
    assert found is not None
    assert (found.recipe, found.metrics, found.provenance) == (QUICK, run.metrics, run.provenance)
    for name, array in run.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
    record = json.loads(path.read_text())
    assert {"commit", "versions", "device", "duration_s", "rehearsal", "created"} <= set(record["provenance"])
    assert record["data"]["fingerprint"] == load("digits").fingerprint
    assert records.stale(found) is None


def test_every_kind_of_array_comes_back(run: Run, runs_folder: Path) -> None:
    numbers = np.random.default_rng(0)
    run.arrays = {
        "decisions": numbers.random(1003) < 0.8,
        "grid": numbers.random((3, 7)) < 0.5,
        "angles": numbers.normal(size=(5, 9)).astype(np.float16),
        "one number": np.array(12_345_678),
        "turned": np.arange(12, dtype=np.uint16).reshape(3, 4).T,
        "nothing": np.empty((0, 4), dtype=np.float32),
    }
    records.store(run)
    found = records.lookup(QUICK)
    assert found is not None
    assert {name: (a.dtype, a.shape) for name, a in found.arrays.items()} == {
        name: (a.dtype, a.shape) for name, a in run.arrays.items()
    }
    assert all(np.array_equal(found.arrays[name], array) for name, array in run.arrays.items())
    assert found.curves == {name: [float(f"{value:.6g}") for value in values] for name, values in run.curves.items()}


def test_an_older_record_is_read_and_repacked(run: Run, runs_folder: Path) -> None:
    path = records.store(run)
    record = json.loads(path.read_text())
    old = run.arrays | {"pairs scores": np.linspace(-1, 1, 3000).astype(np.float16)}
    record["arrays"] = {
        name: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "zlib_base64": base64.b64encode(zlib.compress(array.tobytes())).decode(),
        }
        for name, array in old.items()
    }
    path.write_text(json.dumps(record, indent=1))
    read = records.lookup(QUICK)
    assert read is not None
    assert all(np.array_equal(read.arrays[name], array) for name, array in old.items())
    records.pack(path, ())
    found = records.lookup(QUICK)
    assert found is not None
    assert list(found.arrays) == list(old), "what has no test of all pairs keeps everything"
    assert all(np.array_equal(found.arrays[name], array) for name, array in old.items())
    assert (found.recipe, found.metrics, found.curves) == (read.recipe, read.metrics, read.curves)
    assert found.provenance == read.provenance


def test_what_no_page_reads_is_left_out(run: Run, runs_folder: Path) -> None:
    """What decides of all pairs stays, and what the pages of a run name; of a candidate metrics alone. Twice is as once."""
    some = np.arange(9, dtype=np.uint16)
    names = ["LFW correct", "LFW all pairs counts", "planted identification cmc", "trained own", "theta_histogram"]
    run.arrays, run.metrics = dict.fromkeys(names, some), {"LFW": 0.9, "LFW all pairs AUC": 0.95}
    for reads, kept in {
        ("theta_histogram", "planted"): names[1:],
        ("LFW correct",): [names[0], names[1], names[3]],
        (): [names[1], names[3]],
        None: [],
    }.items():
        path = records.store(run)
        records.pack(path, reads)
        once, found = path.read_bytes(), records.read(path)
        records.pack(path, reads)
        assert path.read_bytes() == once
        assert list(found.arrays) == kept
        assert (found.metrics, found.curves) == (run.metrics, records.read(path).curves)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: text[:40] + "~~~~" + text[44:], lambda text: "'\"" + text]
)
def test_damaged_arrays_are_named(run: Run, runs_folder: Path, damage: Callable[[str], str]) -> None:
    path = records.store(run)
    record = json.loads(path.read_text())
    record["arrays"]["lzma_base85"] = damage(record["arrays"]["lzma_base85"])
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f"{QUICK.key}.json: not a record"):
        records.lookup(QUICK)


def bomb(form: str, size: int) -> str:
    """So many zeros, as text of a record."""
    if form == "lzma":
        coder = lzma.LZMACompressor(lzma.FORMAT_ALONE, filters=packing.FILTERS)
        return base64.b85encode(b"".join([*(coder.compress(bytes(2**20)) for _ in range(size >> 20)), coder.flush()])).decode()
    packer = zlib.compressobj(1)
    return base64.b64encode(b"".join([*(packer.compress(bytes(2**20)) for _ in range(size >> 20)), packer.flush()])).decode()


@pytest.mark.parametrize("form", ["lzma", "zlib"])
@pytest.mark.parametrize(("shape", "message"), [([3], "but more were packed"), ([2**35], "34,359,738,368 bytes, too many for")])
def test_a_record_that_unpacks_to_gigabytes_is_refused_without_them(
    form: str, shape: list[int], message: str, run: Run, runs_folder: Path
) -> None:
    """Measured: 3 MB took 3 GB."""
    path = records.store(run)
    record = json.loads(path.read_text())
    text = bomb(form, 2**27)
    record["arrays"] = (
        {"layout": {"test_correct": ["uint8", *shape]}, "lzma_base85": text}
        if form == "lzma"
        else {"test_correct": {"dtype": "uint8", "shape": shape, "zlib_base64": text}}
    )
    path.write_text(json.dumps(record))
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"{QUICK.key}\.json: not a record.*{message}"):
        records.lookup(QUICK)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**24


@pytest.mark.parametrize("dtype", ["f4,(", "O", "S4", "datetime64", "<f4", "float128", ["uint8"], None, 3])
@pytest.mark.parametrize("old", [False, True])
def test_types_and_shapes_of_arrays_are_numbers(dtype: Any, old: bool) -> None:
    """NumPy would run its own small language for a type's name, and make objects of bytes."""
    with pytest.raises((ValueError, KeyError), match="no type of an array's numbers"):
        packing.unpack({"x": {"dtype": dtype, "shape": [1], "zlib_base64": ""}} if old else {"layout": {"x": [dtype, 1]}})
    for shape in ([-1], [True], [0.5], ["1"], [[1]]):
        with pytest.raises(ValueError, match="no shape of an array"):
            packing.unpack(
                {"x": {"dtype": "int8", "shape": shape, "zlib_base64": ""}} if old else {"layout": {"x": ["int8", *shape]}}
            )


def test_records_are_small() -> None:
    """Thousands of them are in the repository and, packed, in the wheel, of which everything else is less than a megabyte of
    25."""
    records_there = [path.read_bytes() for path in (data_folder() / "runs").glob("*.json")]
    assert np.mean([len(record) for record in records_there]) < 15_000
    assert sum(len(zlib.compress(record)) for record in records_there) < 24_000_000


def test_a_record_is_written_whole_or_not_at_all(run: Run, runs_folder: Path) -> None:
    run.metrics["accuracy"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        records.store(run)
    assert list(runs_folder.iterdir()) == []
    assert records.lookup(QUICK) is None


def test_records_keep_their_names() -> None:
    """A field that is added to recipes must not give the recipes of older records another key."""
    paths = list((data_folder() / "runs").glob("*.json"))
    assert paths
    for path in paths:
        assert Recipe.from_json(json.loads(path.read_text())["recipe"]).key == path.stem


def test_a_damaged_record_is_named(run: Run, runs_folder: Path) -> None:
    path = records.store(run)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(ValueError, match=f"{QUICK.key}.json: not a record"):
        records.lookup(QUICK)


@pytest.mark.parametrize(
    ("places", "value", "message"),
    [
        (("arrays", "layout", "test_correct"), ["f4,(", 359], "'f4,\\(' is no type of an array's numbers"),
        (("arrays", "layout", "test_correct"), ["object", 359], "'object' is no type of an array's numbers"),
        (("arrays", "layout", "test_correct"), ["bool", 10**12], "too many for"),
        (("arrays", "layout", "test_correct"), ["bool", -8], "is no shape of an array"),
        (("arrays", "layout"), ["bool", 359], "AttributeError"),
        (("arrays",), [["bool", 359]], "the arrays are of type list"),
        (
            ("arrays",),
            {"a": {"dtype": "f4,(", "shape": [1], "zlib_base64": "eJwDAAAAAAE="}},
            "'f4,\\(' is no type of an array's numbers",
        ),
        (("recipe", "margin"), {"loss": "Tensor"}, "unknown loss 'Tensor'"),
        (("recipe", "lr"), "fast", "TypeError"),
        (("metrics",), [0.5], "its metrics is of type list"),
        (("metrics", "accuracy"), "0.5", "'0.5' is no finite number"),
        (("curves", "loss"), 3, "TypeError"),
        (("data", "fingerprint"), None, "its data's fingerprint is of type NoneType"),
        (("provenance",), "yesterday", "TypeError"),
        (("provenance", "rehearsal"), ["x"], "'x' is no finite number"),
    ],
)
def test_what_stands_in_no_record_is_named(
    run: Run, runs_folder: Path, places: tuple[str, ...], value: Any, message: str
) -> None:
    path = records.store(run)
    record = json.loads(path.read_text())
    inside = record
    for place in places[:-1]:
        inside = inside[place]
    inside[places[-1]] = value
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"{QUICK.key}\.json: not a record of a run \(.*{message}"):
        records.lookup(QUICK)


@pytest.mark.parametrize(
    "content", [b"[" * 10**5, b'{"a":' * 10**5, b'{"a":' + b"1" * 5000 + b"}", b"\xff\xfe{}", b"null", b""]
)
def test_json_of_every_kind_of_damage_is_named(run: Run, runs_folder: Path, content: bytes) -> None:
    path = records.store(run)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{QUICK.key}\.json: not a record of a run"):
        records.lookup(QUICK)
    assert runs._durations() == {}, "a forecast can do without"


def test_a_record_of_another_recipe_than_its_name_says_is_named(run: Run, runs_folder: Path) -> None:
    other = replace(QUICK, seed=1)
    records.store(run).rename(runs_folder / f"{other.key}.json")
    with pytest.raises(ValueError, match=rf"{other.key}\.json: its recipe is not that of its name, but of record {QUICK.key}"):
        records.lookup(other)


def test_other_data_makes_a_record_stale(run: Run, runs_folder: Path) -> None:
    records.store(replace(run, data_fingerprint="0" * 64))
    found = records.lookup(QUICK)
    assert found is not None
    assert "not the data" in (records.stale(found) or "")
    item = Item("IAM", "Table 2", "x", rows=lambda p: {"loss": Row(QUICK)}, claims=lambda results: ())
    assert "STALE" in replace(item.ask(), runs={"loss": [found]}).label()


def test_code_that_computes_something_else_makes_a_record_stale(
    run: Run, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.store(run)
    found = records.lookup(QUICK)
    assert found is not None
    monkeypatch.setattr(rehearsals, "remembered", rehearsals.rehearse)  # the memory knows only changes of the source
    rehearsals._played.cache_clear()
    with monkeypatch.context() as changed:
        changed.setattr(regularizers.IAM, "__call__", lambda self, terms: 1.001 * self.beta * terms.others.mean())
        assert "computes something else" in (records.stale(found) or "")
    rehearsals._played.cache_clear()
    assert records.stale(found) is None
