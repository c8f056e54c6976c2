"""All commands but train, on a network that was trained in the test: each with real files."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from matplotlib import cbook
from tests.commands.test_train import SMALLEST
from tests.conftest import draw_people

from marginface.commands import main
from marginface.data.align import TEMPLATE
from marginface.data.detect import Detection
from marginface.data.images import encode_image, read_image
from marginface.evaluation import reports
from marginface.training.networks import load_network


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "RESAMPLES", 20)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As somebody would, in a process of its own."""
    command = [sys.executable, "-m", "marginface", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=1800)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with people to train on, others to test on, pairs of these in three formats, and a network."""
    root = tmp_path_factory.mktemp("commands")
    draw_people(root / "people", 12, 6)
    draw_people(root / "others", 10, 5, seed=5)
    names = [f"person_{i}" for i in range(1, 11)]
    for i, name in enumerate(names, 1):
        (root / "others" / f"person {i}").rename(root / "others" / name)
        for number in range(1, 6):
            (root / "others" / name / f"{number}.png").rename(root / "others" / name / f"{name}_{number:04d}.png")
    lines = ["5\t4"]
    for fold in range(5):
        a, b = names[2 * fold], names[2 * fold + 1]
        lines += [f"{who}\t{x}\t{x + 1}" for who in (a, b) for x in (1, 3)]
        lines += [f"{a}\t{x}\t{b}\t{x + 1}" for x in range(1, 5)]
    (root / "pairs.txt").write_text("\n".join(lines) + "\n")
    done = run("train", "--data", root / "people", "--out", root / "run", "--epochs", "4", "--device", "cpu", *SMALLEST)
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def network(root: Path, tmp_path: Path) -> Path:
    """The network in a folder of its own, where thresholds may be kept."""
    (tmp_path / "net.pt").write_bytes((root / "run" / "best.pt").read_bytes())
    return tmp_path / "net.pt"


def test_help_of_every_command_has_an_example() -> None:
    for name, command in main.commands.items():
        shown = run(name, "--help")
        assert shown.exit_code == 0
        assert f"marginface {name} " in shown.output, name
        assert command.short_help is not None
        assert command.short_help in run("--help").output, "not cut off"


@pytest.mark.slow
def test_evaluate_on_lfws_pairs_in_a_process_of_its_own(root: Path, tmp_path: Path) -> None:
    plot = tmp_path / "curves.png"
    arguments = ["--pairs", root / "pairs.txt", "--images", root / "others", "--device", "cpu", "--plot", plot]
    done = start("evaluate", root / "run" / "best.pt", *arguments)
    assert done.returncode == 0, done.stderr
    assert "20 pairs of one person, 20 of two; intervals over 10 people" in done.stdout
    assert "FAR 0.01 means nothing here: it takes 100 impostor pairs" in done.stdout
    assert plot.stat().st_size > 1000


def test_evaluate_gives_json_and_the_same_for_each_format_of_pairs(root: Path, tmp_path: Path) -> None:
    from marginface.data.pairs import read_pairs

    pairs = read_pairs(root / "pairs.txt")
    rows = zip(pairs.left, pairs.right, pairs.same.astype(int), strict=True)
    (tmp_path / "pairs.csv").write_text("".join(f"{a},{b},{s}\n" for a, b, s in rows))
    assert run("convert", root / "pairs.txt", tmp_path / "pairs.bin", "--images", root / "others").exit_code == 0
    found = []
    for arguments in (
        ["--pairs", root / "pairs.txt", "--images", root / "others"],
        ["--pairs", tmp_path / "pairs.csv", "--images", root / "others"],
        ["--pairs", tmp_path / "pairs.bin"],
    ):
        done = run("evaluate", root / "run" / "best.pt", *arguments, "--json", "--device", "cpu")
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout)["report"])
    assert found[0]["auc"] == found[1]["auc"]
    assert found[0]["auc"]["value"] == pytest.approx(found[2]["auc"]["value"], abs=1e-6)
    assert [each["people"] for each in found] == [10, 10, 0]
    assert found[0]["points"][3]["tar"]["low"] is None


def test_evaluate_on_a_folder_of_people_with_failed_enrolments(root: Path, tmp_path: Path) -> None:
    others = draw_people(tmp_path / "others", 6, 4, seed=9)
    (others / "person 1" / "1.png").write_bytes(b"damaged")
    done = run("evaluate", root / "run" / "best.pt", "--people", others, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "others: 24 images of 6 people" in done.output
    assert "could not be enrolled, and match nobody: 1" in done.output
    assert "23 pairs failed to enrol" in done.output
    for expected in ("every two templates", "rank 1 ", "TAR at FAR 0.1"):
        assert expected in done.output


def test_a_full_disk_leaves_the_plot_that_there_was(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And another ending is refused before anything is computed."""
    plot = tmp_path / "plots" / "curves.png"
    arguments = ["--pairs", root / "pairs.txt", "--images", root / "others", "--device", "cpu", "--plot"]
    assert run("evaluate", root / "run" / "best.pt", *arguments, plot).exit_code == 0
    before = plot.read_bytes()
    assert before.startswith(b"\x89PNG")

    def full(self: object, to: Any, **_: object) -> None:
        with cbook.open_file_cm(to, "wb") as file:
            file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    done = run("evaluate", root / "run" / "best.pt", *arguments, plot)
    assert (done.exit_code, "curves.png was not written: No space left on device" in done.output) == (1, True)
    assert plot.read_bytes() == before
    assert list(plot.parent.iterdir()) == [plot]
    done = run("evaluate", tmp_path / "nowhere.pt", *arguments, tmp_path / "curves.doc")
    assert (done.exit_code, "curves.doc: a plot is one of .png" in done.output) == (1, True)


def test_two_people_are_judged_and_one_is_named(root: Path, network: Path, tmp_path: Path) -> None:
    """Where accuracy is missing, it says why; a threshold asks for none."""
    two = draw_people(tmp_path / "two", 2, 3)
    done = run("evaluate", network, "--people", two, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "no accuracy, which takes more pairs or people: the pairs outside fold 0 need both" in done.output
    told = json.loads(run("evaluate", network, "--people", two, "--device", "cpu", "--json").stdout)["report"]["pairs"]
    assert (told["accuracy"], told["accuracy_std"]) == (None, None)
    assert "the pairs outside fold 0" in told["no_accuracy"]
    done = run("threshold", network, "--people", two, "--far", "0.3", "--device", "cpu")
    assert done.exit_code == 0, done.output
    done = run("evaluate", network, "--people", root / "others", "--device", "cpu")
    assert "no accuracy: who takes every pair for two people is right in 91.84 % of cases" in done.output
    one = draw_people(tmp_path / "one", 1, 3)
    for command in ("evaluate", "threshold"):
        done = run(command, network, "--people", one, "--device", "cpu")
        assert done.exit_code == 1
        assert f"{one}: it takes two people, and two images of one of them; there are 1, with 3 images at most" in done.output
    (tmp_path / "same.csv").write_text("1.png,2.png,1\n1.png,3.png,1\n")
    done = run("evaluate", network, "--pairs", tmp_path / "same.csv", "--images", one / "person 1", "--device", "cpu")
    assert (done.exit_code, "same.csv: it takes pairs of one person and of two, not 2 and 0" in done.output) == (1, True)


def test_threshold_and_verify(root: Path, network: Path) -> None:
    """From a threshold on others to an answer about two pictures, each with its exit code."""
    one, two, other = (
        root / "others" / name
        for name in ("person_1/person_1_0001.png", "person_1/person_1_0002.png", "person_2/person_2_0001.png")
    )
    without = run("verify", network, one, two, "--aligned")
    assert without.exit_code == 2
    assert "no threshold is kept for this network" in without.output
    done = run("threshold", network, "--people", root / "others", "--far", "0.01", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "over 10 people" in done.output
    assert network.with_name("net.thresholds.json").exists()
    answers = [run("verify", network, one, picture, "--aligned", "--device", "cpu") for picture in (one, other)]
    assert answers[0].exit_code == 0
    assert "the same person: the threshold at FAR 0.01 is" in answers[0].output
    told = json.loads(run("verify", network, one, other, "--aligned", "--json").stdout)
    assert answers[1].exit_code == (0 if told["same"] else 1)
    assert told["same"] == (told["score"] >= told["threshold"])
    strict = run("verify", network, one, two, "--aligned", "--threshold", "1.5")
    assert (strict.exit_code, "not the same person" in strict.output) == (1, True)
    for wrong in (["--far", "0.5"], []):
        done = run("verify", network, one, root / "nowhere.png", "--aligned", *wrong)
        assert done.exit_code == 2
    few = run("threshold", network, "--people", root / "others", "--far", "1e-6")
    assert (few.exit_code, "takes 1,000,000 impostor pairs" in few.output) == (1, True)


@pytest.mark.parametrize("error", [RuntimeError("memory full"), KeyError("far"), BrokenPipeError(32, "nobody reads it")])
def test_verify_that_fails_is_no_answer(error: Exception, root: Path, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 would say that the two are not the same, and is what Python exits with by itself."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("marginface.training.enrolment.verify", fail)
    picture = root / "others" / "person_1" / "person_1_0001.png"
    done = run("verify", network, picture, picture, "--aligned", "--threshold", "0.5")
    assert (done.exit_code, done.stdout) == (2, "")
    assert str(error) in done.stderr


def test_verify_says_when_a_picture_has_several_faces(root: Path, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector is played here: drawings have no faces."""
    whole = TEMPLATE / 112 * 16
    faces = [Detection(whole, (0, 0, 16, 16), 0.9), Detection(whole / 2, (0, 0, 8, 8), 0.9)]
    monkeypatch.setattr("marginface.training.enrolment.detect", lambda image: faces)
    picture = root / "others" / "person_1" / "person_1_0001.png"
    done = run("verify", network, picture, picture, "--threshold", "0.5")
    assert done.exit_code == 0
    assert done.output.count("has 2 faces; the largest one is compared") == 2


@pytest.mark.slow
def test_verify_in_a_process_of_its_own_says_when_there_is_no_face(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("yuface")
    (tmp_path / "wall.png").write_bytes(encode_image(np.full((200, 200, 3), 90, np.uint8)))
    done = start("verify", root / "run" / "best.pt", tmp_path / "wall.png", tmp_path / "wall.png")
    assert done.returncode == 2
    assert "wall.png: there is no face in it" in done.stderr
    assert "Traceback" not in done.stderr


def test_embed_writes_names_and_embeddings(root: Path, tmp_path: Path) -> None:
    others = draw_people(tmp_path / "others", 3, 2)
    (others / "person 1" / "1.png").write_bytes(b"damaged")
    done = run("embed", root / "run" / "best.pt", others, tmp_path / "embeddings.npz", "--device", "cpu")
    assert done.exit_code == 0, done.output
    found = np.load(tmp_path / "embeddings.npz")
    assert found["names"].tolist() == [f"person {i}/{k}.png" for i in (1, 2, 3) for k in (1, 2)][1:]
    network = load_network(root / "run" / "best.pt", "cpu")
    expected = network.embed(network.prepare(read_image(others / "person 3" / "2.png"))[None])
    np.testing.assert_allclose(found["embeddings"][-1], expected[0], atol=1e-6)
    other = run("embed", root / "run" / "best.pt", others, tmp_path / "embeddings.csv")
    assert (other.exit_code, "write to .npz or .parquet" in other.output) == (1, True)


@pytest.mark.skipif(os.name == "nt", reason="such names are of Unix")
def test_what_is_written_to_a_folder_whose_name_is_no_utf8_is_told(root: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    people = draw_people(odd, 3, 2)
    (odd / "net.pt").write_bytes((root / "run" / "best.pt").read_bytes())
    done = run("embed", odd / "net.pt", people, odd / "embeddings.npz", "--device", "cpu")
    assert (done.exit_code, "6 embeddings of 8 numbers in " in done.stdout, r"caf\xe9/embed" in done.stdout) == (0, True, True)
    for arguments, told in (([], r"caf\xe9/net.thresholds.json"), (["--json"], r"caf\\xe9/net.thresholds.json")):
        kept = run("threshold", odd / "net.pt", "--people", root / "others", "--far", "0.5", *arguments)
        assert (kept.exit_code, told in kept.stdout) == (0, True), kept.output
    picture = people / "person 1" / "1.png"
    assert run("verify", odd / "net.pt", picture, picture, "--aligned").exit_code == 0


def test_embed_writes_parquet_where_it_can(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = draw_people(tmp_path / "others", 3, 2)
    arguments = ["embed", root / "run" / "best.pt", others, tmp_path / "embeddings.parquet", "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        done = run(*arguments)
        assert (done.exit_code, "pip install pyarrow" in done.output) == (1, True)
    pytest.importorskip("pyarrow")
    assert run(*arguments).exit_code == 0
    table = pd.read_parquet(tmp_path / "embeddings.parquet")
    assert table.name.tolist() == [f"person {i}/{k}.png" for i in (1, 2, 3) for k in (1, 2)]
    np.testing.assert_allclose(np.linalg.norm(np.stack(table.embedding.tolist()), axis=1), 1, atol=1e-6)


@pytest.mark.slow
@pytest.mark.data
def test_align_leaves_out_what_has_no_face_or_cannot_be_read(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("yuface")
    people = tmp_path / "photographs"
    for name in ("Abba Eban", "Грейс"):
        (people / name).mkdir(parents=True)
    source = sorted((shared / "lfw" / "Abba_Eban").iterdir())[0]
    (people / "Abba Eban" / "1.jpg").write_bytes(source.read_bytes())
    (people / "Грейс" / "стена.png").write_bytes(encode_image(np.full((90, 90, 3), 90, np.uint8)))
    (people / "Грейс" / "2.jpg").write_bytes(b"\xff\xd8 damaged")
    done = run("align", people, tmp_path / "aligned", "--size", "64")
    assert done.exit_code == 0, done.output
    assert "1 faces of 64 × 64 pixels" in done.output
    assert "left out: 1 without a face, 1 that cannot be read" in done.output
    assert read_image(tmp_path / "aligned" / "Abba Eban" / "1.png").shape == (64, 64, 3)
    again = run("align", people, tmp_path / "aligned")
    assert (again.exit_code, "it exists already" in again.output) == (1, True)


def test_export_to_safetensors_is_read_back(root: Path, network: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    assert run("threshold", network, "--people", root / "others", "--far", "0.1").exit_code == 0
    done = run("export", network, tmp_path / "net.safetensors")
    assert done.exit_code == 0, done.output
    assert "the FAR is 0.1" in done.output
    picture = root / "others" / "person_1" / "person_1_0001.png"
    assert run("verify", tmp_path / "net.safetensors", picture, picture, "--aligned").exit_code == 0
    other = run("export", network, tmp_path / "net.doc")
    assert other.exit_code == 2


def test_convert_counts_what_it_left_out(root: Path, tmp_path: Path) -> None:
    people = draw_people(tmp_path / "people", 4, 3)
    (people / "person 1" / "1.png").write_bytes(b"damaged")
    done = run("convert", people, tmp_path / "records")
    assert done.exit_code == 0, done.output
    assert "11 images of 4 people" in done.output
    assert "left out: 1\n  1: cannot be read" in done.output
    back = run("convert", tmp_path / "records", tmp_path / "again")
    assert "11 images of 4 people" in back.output
    assert run("convert", people, tmp_path / "set.bin", "--pairs", "5").output.startswith("10 pairs in ")
    assert run("convert", tmp_path / "set.bin", tmp_path / "images").output.startswith("10 pairs in ")
    assert run("convert", tmp_path / "records", tmp_path / "other.bin").exit_code == 2
    assert run("convert", people, tmp_path / "scaled.bin", "--pairs", "5", "--size", "24").exit_code == 0
    unused = [("set.bin", "more", "--size"), ("records", "more", "--size"), ("set.bin", "more", "--part")]
    for source, to, option in (*unused, ("people", "more", "--images"), ("people", "more.bin", "--images")):
        refused = run("convert", tmp_path / source, tmp_path / to, option, "24")
        assert (refused.exit_code, option in refused.stderr) == (2, True)
        assert not (tmp_path / to).exists()


@pytest.mark.parametrize("command", ["evaluate", "threshold"])
def test_people_or_pairs_are_needed(command: str, root: Path) -> None:
    done = run(command, root / "run" / "best.pt")
    assert (done.exit_code, "Give either --pairs (and --images), or --people" in done.output) == (2, True)
    missing = run(command, root / "run" / "best.pt", "--pairs", root / "pairs.txt", "--images", root / "people")
    assert (missing.exit_code, "the list names it, but it is not there" in missing.output) == (1, True)


def test_a_network_of_aligned_faces_is_not_quietly_fed_others(root: Path, network: Path, tmp_path: Path) -> None:
    from marginface.training import checkpoints

    found = checkpoints.read(network)
    found.about["crop"] = "insightface"
    checkpoints.save(found, network)
    (root / "others" / "pairs.txt").write_text((root / "pairs.txt").read_text())
    (root / "others" / "list.csv").write_text(
        "".join(f"person_{i}/person_{i}_000{k}.png,{i}\n" for i in range(1, 11) for k in (1, 2))
    )
    for arguments in (
        ["--people", root / "others"],
        ["--people", root / "others" / "list.csv"],
        ["--pairs", root / "pairs.txt", "--images", root / "others"],
        ["--pairs", root / "others" / "pairs.txt"],
    ):
        for command in (["evaluate"], ["threshold", "--far", "0.5"]):
            done = run(*command, network, *arguments, "--json")
            assert done.exit_code == 0, done.output
            assert f"{root / 'others'} does not say how its faces were cut out" in done.stderr
    (root / "others" / "pairs.txt").unlink()
    (root / "others" / "list.csv").unlink()


@pytest.mark.parametrize("command", ["evaluate", "threshold"])
def test_what_would_be_left_unused_is_refused(command: str, root: Path, tmp_path: Path) -> None:
    assert run("convert", root / "pairs.txt", tmp_path / "pairs.bin", "--images", root / "others").exit_code == 0
    for arguments, option in (
        (["--pairs", tmp_path / "pairs.bin", "--find-faces"], "--find-faces: a .bin has no photographs"),
        (["--pairs", tmp_path / "pairs.bin", "--images", root / "others"], "--images: it is where the paths"),
        (["--people", root / "others", "--images", root / "others"], "--images: it is where the paths"),
    ):
        done = run(command, root / "run" / "best.pt", *arguments)
        assert (done.exit_code, option in done.stderr) == (2, True), done.output


def test_faces_that_are_no_squares_are_trained_on_and_used(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """28 × 24 pixels, as SphereFace's 112 × 96, from photographs to answers. The detector is played: drawings have no faces."""
    face = Detection(TEMPLATE / 112 * 16, (0, 0, 16, 16), 0.9)
    monkeypatch.setattr("marginface.data.detect.detect", lambda image, confidence: [face])
    monkeypatch.setattr("marginface.training.enrolment.detect", lambda image: [face])
    size = ["--size", "28", "--width", "24"]
    done = run("align", root / "people", tmp_path / "aligned", *size)
    assert "72 faces of 28 × 24 pixels" in done.output
    assert run("align", root / "others", tmp_path / "others", *size).exit_code == 0
    done = run(
        "train", "--data", tmp_path / "aligned", "--out", tmp_path / "run", "--epochs", "4", "--device", "cpu", *SMALLEST
    )
    assert done.exit_code == 0, done.output
    network, others = tmp_path / "run" / "best.pt", tmp_path / "others"
    assert load_network(network, "cpu").card.image_shape == (3, 28, 24)
    found = {}
    for folder, find in ((others, []), (root / "others", ["--find-faces"])):
        done = run("evaluate", network, "--people", folder, "--json", "--device", "cpu", *find)
        assert (done.exit_code, done.stderr) == (0, "")
        found[folder] = json.loads(done.stdout)
        assert found[folder]["failures"] == []
    assert found[others]["report"] == found[root / "others"]["report"], "faces are cut out as they were before"
    assert run("threshold", network, "--people", others, "--far", "0.1", "--device", "cpu").exit_code == 0
    pictures = [others / "person_1" / f"person_1_000{i}.png" for i in (1, 2)]
    assert run("verify", network, *pictures, "--aligned").exit_code in (0, 1)
    before = [root / "others" / path.relative_to(others) for path in pictures]
    scores = [
        json.loads(run("verify", network, *each, "--json").stdout)["score"] for each in ((*pictures, "--aligned"), before)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    done = run("embed", network, others, tmp_path / "embeddings.npz", "--device", "cpu")
    assert "50 embeddings" in done.output
    assert run("align", root / "others", tmp_path / "squares", "--size", "28").exit_code == 0
    done = run("evaluate", network, "--people", tmp_path / "squares", "--json", "--device", "cpu")
    assert "has faces of 28 × 28 pixels, which are squeezed into the network's 28 × 24" in done.stderr
