"""A run that was interrupted, on one process or on several."""

import csv
import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from marginface.data.batches import Batches
from marginface.data.images import encode_image
from marginface.data.recordio import write_records
from marginface.data.types import AllPairsTest, FaceData, ImageData
from marginface.margins import Annealing, ArcFace, NormFace, SphereFace
from marginface.regularizers import IAM, CenterLoss, Fresh, RingLoss
from marginface.training import Run, checkpoints, train
from marginface.training.loop import Loop, NonFiniteLossError
from marginface.training.recipes import RECIPES, Recipe
from marginface.training.trainer import _read, _readers_understood
from marginface.triplet import Triplet

# everything that has a state: dropout, augmentation, momentum, a moving average, a regularizer with centres, clipping
RECIPE = Recipe(
    ArcFace(16, 0.2),
    (IAM(0.1), Fresh.of(CenterLoss, weight=0.01)),
    data="people",
    backbone="LResNet10E-IR-w16",
    embedding_dim=8,
    epochs=3,
    batch_size=16,
    lr=0.05,
    schedule="cosine",
    warmup=0.2,
    flip=0.5,
    jitter=0.1,
    dropout=0.2,
    clip=5.0,
    average=0.9,
)


def weights(run: Run) -> dict[str, torch.Tensor]:
    assert run.learner is not None
    return {name: value for name, value in run.learner.state_dict().items() if isinstance(value, torch.Tensor)}


def assert_same_weights(one: Run, other: Run) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.fixture
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 6, 7, 8, 14])
@pytest.mark.usefixtures("one_thread")
def test_it_goes_on_from_anywhere_in_an_epoch(
    stop: int, people: FaceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(RECIPE, people)
    save = checkpoints.save

    def save_and_fall_over(checkpoint: checkpoints.Checkpoint, path: Path) -> None:
        save(checkpoint, path)
        if checkpoint.step == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", save_and_fall_over)
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, people, out=tmp_path, save_every=stop)
    assert_same_weights(whole, train(RECIPE, people, out=tmp_path, save_every=1000))


Training = tuple[Recipe, dict[str, Any]]


def of_every_kind(name: str, root: Path, people: FaceData, blobs: ImageData) -> Training:
    """A recipe, and what else `train` is given: runs of every kind of data and of learner."""
    small = Recipe(NormFace(8), data="digits", embedding_dim=2, epochs=3, batch_size=16, optimizer="adam", lr=3e-3)
    stateful = replace(RECIPE, regularizers=(Fresh.of(CenterLoss, weight=0.01), Fresh.of(RingLoss, weight=0.01)))
    if name in ("record files", "folder of people"):
        images, labels = (part.numpy() for part in people.train.tensors)  # type: ignore[attr-defined]
        encoded = [encode_image(image[0]) for image in images]
        if name == "record files":
            write_records(root / "people", encoded, labels)
        for i, image in enumerate(encoded if name == "folder of people" else []):
            (root / "people" / f"{labels[i]}").mkdir(parents=True, exist_ok=True)
            (root / "people" / f"{labels[i]}" / f"{i}.png").write_bytes(image)
        same = [i % 3 == 0 for i in range(30)]
        pairs = [encoded[place] for i, alike in enumerate(same) for place in (i, i + 1 if alike else i + 30)]
        (root / "people" / "lfw.bin").write_bytes(pickle.dumps((pairs, same)))
        return RECIPE, {"data_root": root}
    if name == "start":
        train(replace(RECIPE, seed=1), people, out=root / "first", max_steps=3, progress=False)
        return RECIPE, {"data": people, "start": root / "first" / "checkpoint.pt"}
    found: dict[str, Training] = {
        "faces": (RECIPE, {"data": people}),
        "triplets": (replace(RECIPE, margin=Triplet(0.2, each=4), regularizers=()), {"data": people}),
        "stateful": (stateful, {"data": people}),
        "film": (small, {"data": blobs}),
        "sphere": (replace(small, embedding_dim=3), {"data": blobs}),
    }
    return found[name]


def train_until(recipe: Recipe, options: dict[str, Any], out: Path, step: int, writing: bool) -> None:
    """In a process of its own, which gets SIGKILL at a step, or while it writes the checkpoint of that step."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def save_half(content: dict[str, Any], file: BinaryIO) -> None:
        if content["step"] == step:
            file.write(b"half")
            file.flush()
            die()
        save(content, file)

    def learn_or_die(loop: Loop, *batch: Any) -> None:
        die() if loop.step == step else learn(loop, *batch)

    save, learn = torch.save, Loop.learn
    if writing:
        torch.save = save_half  # type: ignore[assignment]
    else:
        Loop.learn = learn_or_die  # type: ignore[assignment]
    train(recipe, **options, out=out, save_every=1, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["faces", "triplets", "stateful", "film", "sphere", "record files", "folder of people", "start"]
)
@pytest.mark.usefixtures("one_thread")
def test_the_record_of_a_killed_run_is_that_of_one_that_was_not(
    name: str, people: FaceData, blobs: ImageData, tmp_path: Path
) -> None:
    """Killed twice at random steps, first in the midst of writing: all but the time it took is the same, nothing is left."""
    recipe, options = of_every_kind(name, tmp_path, people, blobs)
    whole = train(recipe, **options, progress=False)
    numbers = np.random.default_rng(list(name.encode()))
    stops = sorted(numbers.choice(np.arange(2, whole.provenance["steps"]), 2, replace=False).tolist())
    out = tmp_path / "killed"
    for stop, writing in zip(stops, (True, False), strict=True):
        process = get_context("fork").Process(target=train_until, args=(recipe, options, out, stop, writing))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert checkpoints.read(out / "checkpoint.pt").step == (stop - 1 if writing else stop)
        assert len(list(out.glob(".*.tmp"))) == int(writing)
    resumed = train(recipe, **options, out=out, save_every=1, progress=False)
    assert_same_weights(whole, resumed)
    assert (resumed.recipe, resumed.metrics, resumed.curves) == (whole.recipe, whole.metrics, whole.curves)
    assert (resumed.data_label, resumed.data_fingerprint) == (whole.data_label, whole.data_fingerprint)
    assert resumed.arrays.keys() == whole.arrays.keys()
    for array, values in whole.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[array], values, err_msg=array)
    timeless = {key: value for key, value in whole.provenance.items() if key != "duration_s"}
    assert {key: value for key, value in resumed.provenance.items() if key != "duration_s"} == timeless
    assert not [path for path in out.rglob("*") if path.suffix == ".tmp"]
    rows = list(csv.DictReader((out / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, whole.provenance["steps"] + 1))


def test_the_time_before_and_after_counts(people: FaceData, tmp_path: Path) -> None:
    train(RECIPE, people, out=tmp_path, max_steps=3)
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(replace(checkpoints.read(path), seconds=1000.0), path)
    assert 1000 <= train(RECIPE, people, out=tmp_path, max_steps=3).provenance["duration_s"] < 2000


def test_what_is_fitted_at_once_is_fitted_again(people: FaceData, tmp_path: Path) -> None:
    fitted = Recipe(NormFace(), data="people", backbone="Eigenfaces", embedding_dim=8)
    one, other = train(fitted, people, out=tmp_path), train(fitted, people, out=tmp_path)
    assert one.metrics == other.metrics


def test_a_finished_run_is_tested_with_whatever_is_there(people: FaceData, tmp_path: Path) -> None:
    """The tests are no part of what a checkpoint is of: one that was taken away or came later does not lock it."""
    train(RECIPE, people, out=tmp_path, max_steps=3)
    others = replace(people, tests={"others": people.tests["pairs"]}, fingerprint="other tests", parts={"data": "patterns"})
    assert list(train(RECIPE, others, out=tmp_path, max_steps=3).metrics) == ["others"]


def test_what_changed_in_a_folder_is_named(people: FaceData, tmp_path: Path) -> None:
    one = replace(people, parts={"anna": "12 images (ab)", "bob": "3 images (cd)"})
    train(RECIPE, one, out=tmp_path, max_steps=3)
    other = replace(people, parts={"anna": "11 images (ef)", "carl": "3 images (cd)"})
    told = r"trained on other data: 'anna' was 12 images \(ab\), and is 11 images \(ef\) now; 2 more have changed"
    with pytest.raises(ValueError, match=told):
        train(RECIPE, other, out=tmp_path, max_steps=3)


def test_the_run_that_one_starts_from_is_part_of_its_recipe(people: FaceData, tmp_path: Path) -> None:
    base = train(RECIPE, people, out=tmp_path, max_steps=1).recipe
    path = tmp_path / "checkpoint.pt"
    run = train(RECIPE, people, start=path, max_steps=1)
    assert run.recipe.start == base
    assert run.recipe.key != base.key
    with pytest.raises(ValueError, match="and the recipe starts from run"):
        train(replace(RECIPE, start=replace(base, seed=9)), people, start=path, max_steps=1)
    with pytest.raises(ValueError, match="give its checkpoint as start"):
        train(run.recipe, people, max_steps=1)


def test_a_finished_run_is_not_trained_again(people: FaceData, tmp_path: Path) -> None:
    first = train(RECIPE, people, out=tmp_path, max_steps=4)
    second = train(RECIPE, people, out=tmp_path, max_steps=4)
    assert_same_weights(first, second)
    assert second.metrics == first.metrics


def test_tensorboard_gets_the_curves_and_the_angles(people: FaceData, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(RECIPE, people, out=tmp_path, max_steps=12)
    events = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0}).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 10, 12]
    assert events.Scalars("theta")[0].value == pytest.approx(90, abs=30)
    assert events.Scalars("target")[0].value < np.cos(np.radians(events.Scalars("theta")[0].value)) + 0.2
    assert len(events.Histograms("theta of the batch")) == 3
    assert run.arrays["theta_histogram"].sum() == 12 * 16


@pytest.mark.slow
def test_what_is_no_checkpoint_or_of_another_run_is_named(people: FaceData, tmp_path: Path) -> None:
    train(RECIPE, people, out=tmp_path, max_steps=3)
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(ValueError, match=r"checkpoint\.pt is of another run: its lr is 0\.05, not 0\.01"):
        train(replace(RECIPE, lr=0.01), people, out=tmp_path, max_steps=3)
    with pytest.raises(ValueError, match=r"its backbone is LResNet10E-IR-w16, not LResNet18E-IR-w16"):
        train(replace(RECIPE, backbone="LResNet18E-IR-w16"), people, out=tmp_path, max_steps=3)
    with pytest.raises(ValueError, match="its number of steps is 3, not 5"):
        train(RECIPE, people, out=tmp_path, max_steps=5)
    with pytest.raises(ValueError, match="was trained on other data: 'data' was patterns, and is other patterns now"):
        train(RECIPE, replace(people, fingerprint="other patterns"), out=tmp_path, max_steps=3)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"checkpoint\.pt: not a whole checkpoint"):
        train(RECIPE, people, out=tmp_path, max_steps=3)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_damaged_checkpoint_is_refused_or_read(place: float, value: int, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"step": 1, "weights": torch.ones(5)}, path)
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] = value
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint\.pt: not a whole checkpoint"):
        checkpoints.read(path)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "was here"),)

    torch.save({"step": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match=r"evil\.pt"):
        checkpoints.read(tmp_path / "evil.pt")
    assert not (tmp_path / "was here").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to fill up")
def test_a_full_disk_is_an_error_and_keeps_the_last_checkpoint(
    people: FaceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(RECIPE, people, out=tmp_path, max_steps=3)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    found = checkpoints.read(tmp_path / "checkpoint.pt")
    plain_open = open

    def open_full(path: str | Path, mode: str = "r", **options: object) -> object:
        return plain_open("/dev/full", "wb") if mode == "wb" else plain_open(path, mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", open_full)
    with pytest.raises(OSError, match=r"checkpoint\.pt was not written"):
        checkpoints.save(found, tmp_path / "checkpoint.pt")
    monkeypatch.undo()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_divergence_keeps_the_last_good_checkpoint(people: FaceData, tmp_path: Path) -> None:
    wild = replace(RECIPE, lr=1e30, clip=None, schedule="steps", regularizers=())
    with pytest.raises(NonFiniteLossError, match="at step"):
        train(wild, people, out=tmp_path, save_every=1)
    found = checkpoints.read(tmp_path / "checkpoint.pt")
    assert all(np.isfinite(found.losses))


class Deadly(Dataset[tuple[torch.Tensor, int]]):
    """Images of which one kills the process that reads it."""

    def __init__(self, images: Any, deadly: int) -> None:
        self.images, self.deadly = images, deadly

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.images[index]


def test_a_killed_reader_is_an_error_and_keeps_the_last_checkpoint(people: FaceData, tmp_path: Path) -> None:
    order = [i for batch in Batches(120, 16, torch.Generator().manual_seed(0)) for i in batch]
    before = signal.getsignal(signal.SIGCHLD)
    with pytest.raises(OSError, match=r"a process that reads images ended at step \d:") as told:
        train(RECIPE, replace(people, train=Deadly(people.train, order[6 * 16])), out=tmp_path, save_every=1, workers=1)
    step = checkpoints.read(tmp_path / "checkpoint.pt").step
    assert 1 <= step <= 6
    assert f"at step {step + 1}:" in str(told.value)
    assert signal.getsignal(signal.SIGCHLD) == before


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_a_reader_that_ends_while_it_hands_over_a_batch_is_the_same_error(error: Exception) -> None:
    """PyTorch sees a broken connection where the end of the other process isn't yet known."""
    loop: Any = SimpleNamespace(step=4)
    with pytest.raises(OSError, match="a process that reads images ended at step 5:"), _readers_understood(loop):
        raise error


def test_readers_end_with_an_error_that_somebody_holds(people: FaceData) -> None:
    """Else PyTorch's handler, put back, would raise that one of them was killed in the middle of what comes after."""

    def broken() -> Iterator[Any]:
        readers = iter(DataLoader(people.train, num_workers=1))
        yield next(readers)
        raise ConnectionResetError(104, "Connection reset by peer")

    before = set(multiprocessing.active_children())
    with pytest.raises(ConnectionResetError) as held:
        list(_read(broken(), workers=1))
    assert held.value.__traceback__ is not None
    for reader in set(multiprocessing.active_children()) - before:
        reader.join(60)  # of one that was told to end a busy machine takes its time
    assert set(multiprocessing.active_children()) == before


def test_what_a_reader_itself_raised_keeps_its_kind() -> None:
    loop: Any = SimpleNamespace(step=4)
    raised = EOFError("Caught EOFError in DataLoader worker process 0.\nEOFError: the image ends early")
    with pytest.raises(EOFError, match="the image ends early"), _readers_understood(loop):
        raise raised


@pytest.mark.slow
def test_triplets_tune_a_trained_backbone(people: FaceData, tmp_path: Path) -> None:
    train(RECIPE, people, out=tmp_path / "first")
    tuned = replace(RECIPE, margin=Triplet(0.2, each=4), regularizers=(), epochs=4, lr=0.005, momentum=0.0, average=0.0)
    run = train(tuned, people, start=tmp_path / "first" / "checkpoint.pt", out=tmp_path / "second")
    scratch = train(tuned, people)
    assert run.curves["loss"][0] < scratch.curves["loss"][0]
    assert run.metrics["pairs"] >= 0.8
    with pytest.raises(ValueError, match="batch_size=18 does not divide in 1 parts with 4 images"):
        train(replace(tuned, batch_size=18), people)


def test_the_average_is_what_counts(people: FaceData) -> None:
    """By how it ranks all pairs where the labels are wrong: with the right ones, both networks make no error."""
    pairs = people.tests["pairs"]
    people = replace(people, tests={"all pairs": AllPairsTest(pairs.images, np.arange(len(pairs.images)) % 10)})
    plain, averaged = train(replace(RECIPE, average=0.0), people), train(RECIPE, people)
    assert plain.curves == averaged.curves
    assert plain.metrics["all pairs AUC"] != averaged.metrics["all pairs AUC"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_of_the_papers_survives_its_own_json(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_step_of_an_annealed_margin_is_in_the_checkpoint(people: FaceData, tmp_path: Path) -> None:
    annealed = replace(RECIPE, margin=SphereFace(2, Annealing(), scale=16.0))
    run = train(annealed, people, max_steps=2, out=tmp_path)
    assert checkpoints.read(tmp_path / "checkpoint.pt").learner["head._extra_state"]["step"] == 2
    assert Recipe.from_json(run.recipe.to_json()) == annealed


@pytest.mark.parametrize("option", ["max_steps", "save_every", "validate_every"])
def test_steps_that_make_no_sense_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}=0 must be at least 1"):
        train(RECIPE, **{option: 0})  # type: ignore[arg-type]
