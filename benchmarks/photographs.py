"""What the commands say of a folder of photographs: people of LFW, as if they were one's own.

    python benchmarks/photographs.py --data-root faces/ --out data/photographs    what the book shows
    python benchmarks/photographs.py --data-root faces/ --people 20               in a minute, and keeps nothing

The people of LFW with most images, ten of each at most, are trained on for a short while, and the next ones, with four each,
are tested. Every command's output is kept as it comes, but for its progress: of a training the first, a middle and the last
line.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from marginface.data.files import data_root, writing
from marginface.data.pairs import lfw_people

MOST, TESTED = 10, 4  # images of a person


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", help="the folder with lfw/ and protocols/; else MARGINFACE_DATA")
    parser.add_argument("--people", type=int, default=200, help="to train on, and as many to test on")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--out", type=Path, help="the folder in which to keep what they say")
    options = parser.parse_args()
    root = data_root(options.data_root)
    if root is None:
        print("Nothing is measured: this needs LFW, in --data-root or where MARGINFACE_DATA says.")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        link(root, work, options.people)
        short = ["--size", str(options.size), "--epochs", str(options.epochs)]
        said = {
            "train": run(work, "train", "--data", "aligned", "--out", "runs/mine", *short),
            "evaluate": run(work, "evaluate", "runs/mine/best.pt", "--people", "others-aligned"),
            "threshold": run(work, "threshold", "runs/mine/best.pt", "--people", "others-aligned", "--far", "1e-3"),
            "verify": run(work, "verify", "runs/mine/best.pt", *two(work), "--aligned", fails=1),
            "export": run(work, "export", "runs/mine/best.pt", "net.onnx"),
        }
    if options.out is None:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in said.items():
        with writing(options.out / f"{name}.txt") as file:
            file.write(few(text).encode())


def link(root: Path, work: Path, count: int) -> None:
    """The two folders of people, as links."""
    people = lfw_people(root / "protocols" / "lfw_people.txt")
    most = sorted(people, key=lambda name: (-people[name][1], name))[: 2 * count]
    for folder, names, each in (("aligned", most[:count], MOST), ("others-aligned", most[count:], TESTED)):
        for name in names:
            (work / folder / name).mkdir(parents=True)
            for image in sorted((root / "lfw" / name).iterdir())[:each]:
                (work / folder / name / image.name).symlink_to(image.resolve())


def two(work: Path) -> list[str]:
    """An image each of the first two people tested, by their paths."""
    people = sorted((work / "others-aligned").iterdir())[:2]
    return [str(min(person.iterdir()).relative_to(work)) for person in people]


def run(work: Path, *arguments: str, fails: int = 0) -> str:
    """What a command says, errors and all. Raises: RuntimeError where it ends with another exit code than 0 or `fails`."""
    print("marginface", *arguments, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "marginface", *arguments], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(done.stdout, flush=True)
    if done.returncode not in (0, fails):
        raise RuntimeError(f"marginface {arguments[0]} ended with {done.returncode}")
    return done.stdout


def few(text: str) -> str:
    """Without the lines that say how far it is, but for three of a training."""
    lines = text.splitlines(keepends=True)
    far = [i for i, line in enumerate(lines) if re.search(r": ([\d,]+ of [\d,]+|done after)\b", line)]
    told = [i for i in far if "validation AUC" in lines[i]]
    keep = {told[0], told[len(told) // 2], told[-1]} if told else set()
    return "".join(line for i, line in enumerate(lines) if i in keep or i not in far)


if __name__ == "__main__":
    main()
