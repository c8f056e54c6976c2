"""Commands that are killed at random moments: what they write is whole or not there, and the next try ends as ever.

python -m tests.commands.test_kills 100
"""

import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands.test_train import SMALLEST
from tests.conftest import draw_people

from marginface.commands import main

# what is typed in a folder with people/, others/ and net.pt, and what is written then
COMMANDS: dict[str, tuple[list[str], str]] = {
    "records": (["convert", "people", "to/records"], "to/records/train.rec"),
    "parts": (["convert", "people", "to/parts", "--part", "30"], "to/parts"),
    "folder": (["convert", "records", "to/again"], "to/again"),
    "bin": (["convert", "others", "to/test.bin", "--pairs", "40"], "to/test.bin"),
    "pairs": (["convert", "test.bin", "to/pairs"], "to/pairs"),
    "embed": (["embed", "to/net.pt", "others", "to/embeddings.npz", "--device", "cpu"], "to/embeddings.npz"),
    "threshold": (
        ["threshold", "to/net.pt", "--people", "others", "--far", "0.1", "--device", "cpu"],
        "to/net.thresholds.json",
    ),
    "export": (["export", "to/net.pt", "to/net.safetensors"], "to/net.safetensors"),
}


def command(folder: Path, arguments: list[str]) -> None:
    """A command in a process of its own, in a folder, without a word."""
    os.chdir(folder)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        main(arguments, standalone_mode=True)


def attempt(folder: Path, arguments: list[str], seconds: float | None = None) -> int | None:
    """How it ended; after so many seconds it is killed, by SIGKILL, if it is still there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "marginface.training.enrolment", "marginface.data.converting"])
    process = context.Process(target=command, args=(folder, arguments))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
    process.join()
    return process.exitcode


def content(path: Path) -> dict[str, str]:
    """What is in a folder, by hashes; also what is hidden, and would be left behind."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def fresh(folder: Path) -> Path:
    """Its folder to/, with the network alone in it."""
    shutil.rmtree(folder / "to", ignore_errors=True)
    (folder / "to").mkdir()
    shutil.copy(folder / "net.pt", folder / "to" / "net.pt")
    return folder / "to"


def prepare(folder: Path) -> None:
    """What the commands are about."""
    draw_people(folder / "people", 12, 6)
    draw_people(folder / "others", 10, 5, seed=5)
    run = ["train", "--data", "people", "--out", "run", "--epochs", "1", "--device", "cpu", *SMALLEST]
    for arguments in (run, COMMANDS["records"][0], COMMANDS["bin"][0]):
        (folder / "to").mkdir(exist_ok=True)
        assert attempt(folder, arguments) == 0, arguments
    shutil.copy(folder / "run" / "best.pt", folder / "net.pt")
    shutil.move(folder / "to" / "records", folder / "records")
    shutil.move(folder / "to" / "test.bin", folder / "test.bin")


def survive(folder: Path, name: str, kills: int, numbers: random.Random) -> Counter[str]:
    """Kill a command so often, and try again after each time."""
    arguments, result = COMMANDS[name]
    to = fresh(folder)
    started = time.monotonic()
    assert attempt(folder, arguments) == 0
    seconds, whole, counts = time.monotonic() - started, content(to), Counter[str]()
    while counts["killed"] < kills:
        to = fresh(folder)
        ended = attempt(folder, arguments, numbers.uniform(0, seconds))
        if ended == 0:
            counts["ended before"] += 1
            continue
        counts["killed"] += 1
        written = (folder / result).exists()
        counts["done all the same"] += written
        if written:  # whole, or it would not be there
            shown = {path: what for path, what in content(to).items() if not path.split("/")[-1].startswith(".")}
            assert shown == whole, f"{name}: it was killed, and left something else"
        else:
            assert attempt(folder, arguments) == 0, f"{name}: after it was killed it cannot be started again"
            assert content(to) == whole, f"{name}: after it was killed it ends otherwise"
    return counts


@pytest.mark.slow
def test_what_killed_commands_write_is_whole_or_not_there(tmp_path: Path) -> None:
    prepare(tmp_path)
    numbers = random.Random(0)
    for name in COMMANDS:
        assert survive(tmp_path, name, 1, numbers)["killed"] == 1


def all_of(folder: Path, kills: int, tell: Callable[..., None]) -> None:
    prepare(folder)
    numbers = random.Random(0)
    for name in COMMANDS:
        tell(name, dict(survive(folder, name, kills, numbers)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        all_of(Path(place), int(sys.argv[1]), print)
