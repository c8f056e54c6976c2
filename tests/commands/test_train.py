"""marginface train: in a process of its own where that matters, and else in this one."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.conftest import draw_people

from marginface.commands import main
from marginface.commands.train import _recipe
from marginface.data.images import encode_image
from marginface.data.recordio import write_records
from marginface.margins import InterFace
from marginface.settings import Radians
from marginface.training import checkpoints
from marginface.training.editing import from_toml
from marginface.training.recipes import RECIPES, SMALL

SMALLEST = ("--set", "backbone=LResNet10E-IR-w16", "--set", "embedding_dim=8", "--batch-size", "16", "--workers", "0")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "--device", "cpu", *map(str, arguments)], catch_exceptions=False)


def start(*arguments: object, processes: int = 0) -> subprocess.CompletedProcess[str]:
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"] if processes else []
    return subprocess.run(
        [sys.executable, "-m", *launch, "marginface", "train", "--device", "cpu", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=1800,
    )


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as InsightFace's archives have it, with 40 small images of 5 people and a verification set."""
    numbers = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data") / "faces_ms1m_112x112"
    faces = numbers.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    write_records(folder, [encode_image(faces[i % 5]) for i in range(40)], [i % 5 for i in range(40)])
    same = [i % 2 == 0 for i in range(20)]
    shown = [image for i, s in enumerate(same) for image in (faces[i % 5], faces[i % 5 if s else (i + 1) % 5])]
    (folder / "lfw.bin").write_bytes(pickle.dumps(([encode_image(image) for image in shown], same)))
    return folder


def test_help_comes_without_torch() -> None:
    script = "import sys; from marginface.commands import main; main(['train', '--help'], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert "Examples:" in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.slow
def test_a_folder_with_all_that_folders_have(photographs: Path, tmp_path: Path) -> None:
    """Names with spaces and of another alphabet, a damaged picture, WebP, two sizes, a person with one image."""
    import cv2

    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3).repeat(8, axis=0).repeat(8, axis=1)
    (photographs / "Грейс Hopper").mkdir()
    (photographs / "Грейс Hopper" / "один.webp").write_bytes(cv2.imencode(".webp", image)[1].tobytes())
    (photographs / "person 1" / "7.jpg").write_bytes(b"\xff\xd8\xff damaged")
    done = start("--data", photographs, "--out", tmp_path / "out", "--epochs", "2", "--size", "16", *SMALLEST)
    assert done.returncode == 0, done.stderr
    assert "images left out, for they cannot be read: 1" in done.stderr
    assert "set aside: 2 people with 12 images" in done.stderr
    assert done.stdout.startswith("validation AUC ")
    found = checkpoints.read(tmp_path / "out" / "checkpoint.pt")
    assert "Грейс Hopper" in found.about["classes"]
    assert (tmp_path / "out" / "best.pt").exists()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_with_resume(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [
        "train",
        "--device",
        "cpu",
        "--data",
        photographs,
        "--out",
        out,
        "--epochs",
        "8",
        "--save-every",
        "1",
        *SMALLEST,
    ]
    killed = subprocess.Popen([sys.executable, "-m", "marginface", *map(str, arguments)], stderr=subprocess.DEVNULL)
    while not (out / "checkpoint.pt").exists():
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    stopped = checkpoints.read(out / "checkpoint.pt")
    refused = run("--resume", out, "--epochs", "9")
    assert refused.exit_code == 2
    assert "leave out --epochs" in refused.output
    done = run("--resume", out, "--workers", "0")
    assert done.exit_code == 0, done.output
    assert checkpoints.read(out / "checkpoint.pt").step == stopped.steps == 40
    assert run(*arguments[3:]).exit_code == 0  # the same command does, too
    other = run(*arguments[3:], "--set", "lr=0.5")
    assert (other.exit_code, "is of another run: its lr is" in other.output) == (1, True)
    nothing = run("--resume", tmp_path)
    assert (nothing.exit_code, "there is no run in it" in nothing.output) == (1, True)


@pytest.mark.slow
def test_the_command_trains_a_papers_recipe_on_record_files(tiny_set: Path, tmp_path: Path) -> None:
    arguments = ["--recipe", "arcface/mobile-arcface-ms1m", "--data", tiny_set, "--steps", "2", "--workers", "0"]
    done = run(*arguments, "--batch-size", "8", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "\nLFW " in done.output
    found = checkpoints.read(tmp_path / "checkpoint.pt")
    assert found.recipe["lr"] == pytest.approx(0.1 * 8 / 512)


@pytest.mark.slow
def test_torchrun_trains_on_two_processes(tiny_set: Path, tmp_path: Path) -> None:
    arguments = ["--recipe", "arcface/mobile-arcface-ms1m", "--data", tiny_set, "--validate", "0.4", "--freeze", "0.4"]
    more = ["--steps", "3", "--batch-size", "8", "--accumulate", "2", "--workers", "0", "--validate-every", "2"]
    done = start(*arguments, *more, "--out", tmp_path, processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("LFW ") == 1
    found = checkpoints.read(tmp_path / "checkpoint.pt")
    assert (found.step, len(found.random), [step for step, _ in found.validation]) == (3, 2, [2, 3])


@pytest.mark.slow
def test_torchrun_trains_with_classes_over_processes_in_half_precision(tiny_set: Path, tmp_path: Path) -> None:
    """And one process takes the run up again, which has then to be tested alone."""
    arguments = ["--recipe", "arcface/mobile-arcface-ms1m", "--data", tiny_set, "--batch-size", "8", "--accumulate", "2"]
    more = ["--sharded", "--precision", "bf16-mixed", "--workers", "0", "--save-every", "1", "--out", tmp_path]
    first = start(*arguments, "--steps", "2", *more, processes=2)
    assert first.returncode == 0, first.stderr
    parts = {path.name for path in (tmp_path / "checkpoints" / "step-2" / "tables").glob("*.distcp")}
    assert parts == {"__0_0.distcp", "__1_0.distcp"}
    again = run("--resume", tmp_path)
    assert again.exit_code == 0, again.output
    results = [[line for line in out.splitlines() if line.startswith("LFW ")] for out in (first.stdout, again.output)]
    assert results[0] == results[1]
    assert len(results[0]) == 1


def test_a_run_over_processes_keeps_what_it_was_begun_with(photographs: Path, tmp_path: Path) -> None:
    """Its checkpoints are folders, and there is no checkpoint.pt."""
    arguments = ["--data", photographs, "--sharded", "--save-every", "1", "--steps", "2", "--out", tmp_path / "out", *SMALLEST]
    assert run(*arguments).exit_code == 0
    before = (tmp_path / "out" / "run.json").read_bytes()
    other = run(*arguments, "--set", "lr=0.7")
    assert (other.exit_code, "lr" in other.stderr) == (1, True), other.output
    assert (tmp_path / "out" / "run.json").read_bytes() == before
    assert run("--resume", tmp_path / "out").exit_code == 0


def test_a_network_goes_on_with_other_people(photographs: Path, tmp_path: Path) -> None:
    """The recipe and the size of images come from the checkpoint."""
    assert run("--data", photographs, "--out", tmp_path / "first", "--steps", "2", *SMALLEST).exit_code == 0
    staff = draw_people(tmp_path / "staff", 5, 4, seed=3)
    image = np.zeros((20, 20, 3), np.uint8)
    (staff / "person 1" / "other.png").write_bytes(encode_image(image))
    first = tmp_path / "first" / "checkpoint.pt"
    done = run(
        "--data", staff, "--start", first, "--freeze", "0.5", "--set", "lr=0.01", "--out", tmp_path / "second", "--steps", "2"
    )
    assert done.exit_code == 0, done.output
    found = checkpoints.read(tmp_path / "second" / "checkpoint.pt")
    assert (found.about["num_classes"], found.recipe["backbone"]) == (3, "LResNet10E-IR-w16")
    assert found.recipe["start"] == checkpoints.read(first).recipe


def test_show_prints_what_can_be_read_back(tmp_path: Path) -> None:
    shown = run("--recipe", "arcface/arcface-ms1m", "--loss", "cosface", "--set", "lr=0.2", "--show")
    assert shown.exit_code == 0
    (tmp_path / "my.toml").write_text(shown.output)
    recipe = from_toml(shown.output, "shown")
    assert (recipe.lr, recipe.steps) == (0.2, RECIPES["arcface/arcface-ms1m"].steps)
    assert run("--recipe", tmp_path / "my.toml", "--show").output == shown.output
    assert from_toml(run("--show").output, "default") == SMALL


def test_a_run_goes_on_with_angles_that_were_said_to_be_in_radians() -> None:
    recipe = replace(SMALL, margin=InterFace(16, b=Radians(10)))
    options = dict.fromkeys(("start", "loss", "batch_size", "epochs", "freeze", "accumulate", "precision"))
    kept = json.loads(json.dumps(recipe.to_json()))
    assert _recipe(options | {"recipe": kept, "settings": ()}) == recipe


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--recipe", "arcface/arcfase-ms1m"], 1, "did you mean 'arcface/arcface-ms1m'"),
        (["--recipe", "nowhere.toml"], 1, "nowhere.toml: there is no such file"),
        (["--set", "mragin.m=0.3"], 1, "did you mean 'margin'"),
        (["--loss", "arcfase"], 1, "did you mean 'ArcFace'"),
        (["--start", "nowhere.pt"], 1, "nowhere.pt: there is no such file"),
        (["--data", "nowhere"], 2, "Missing option '--out'"),
        (["--data", "nowhere", "--out", "out"], 1, "nowhere: there is no such folder"),
        (["--data", "digits", "--out", "out", "--size", "20"], 1, "--validate and --size are for files of one's own"),
        (["--steps", "0"], 2, "Invalid value for '--steps'"),
        (["--batch-size", "1"], 2, "Invalid value for '--batch-size'"),
        (["--stepz", "1"], 2, "Did you mean"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert (done.exit_code, message in done.output) == (code, True), done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("normface", "NormFace(scale=16)"),
        ("circleloss", "CircleLoss(scale=64, m=0.25)"),
        ("magface", "MagFace(scale=16, least=0.45, most=0.8, short=10, long=110, lam=8.75)"),
        ("uniformface", "ArcFace(scale=16, m=0.5, fallback='none', gradient='exact') + UniformFace(weight=1.0, pairs='batch')"),
        ("rangeloss", "Softmax(bias=1) + RangeLoss(alpha=5e-05, beta=0.0001, margin=20000.0, k=2, each=4)"),
    ],
)
def test_a_data_set_by_its_name(loss: str, told: str, tmp_path: Path) -> None:
    """With one loss or another."""
    arguments = ["--data", "digits", "--loss", loss, "--steps", "2", "--workers", "0", "--out", tmp_path]
    done = run(*arguments, "--set", "backbone=IAM-Toy", "--set", "embedding_dim=3")
    assert done.exit_code == 0, done.output
    assert f"IAM-Toy, {told}\n" in done.output
    assert "accuracy " in done.output
    assert json.loads((tmp_path / "run.json").read_text())["data"] == "digits"
