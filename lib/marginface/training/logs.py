"""What a run says while it is under way: a bar, a CSV file and, where it is installed, TensorBoard."""

import csv
import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from marginface.data.progress import Meter

COLUMNS = ("step", "loss", "lr", "theta", "target")
BOARD_EVERY = 10  # steps


class Log(Protocol):
    def __call__(self, step: int, loss: float, lr: float, theta: Tensor, target: Tensor) -> None:
        """One training step: its mean loss and learning rate; θ_y in degrees and T(θ_y) of its images, both (N,)."""


@contextmanager
def logging(out: Path | None, first: int, steps: int, progress: bool) -> Iterator[Log]:
    """A function that is told every step, and says how far it is if `progress`.

    Lines of a log.csv that come after `first` belong to a run that was killed.
    """
    with ExitStack() as stack:
        bar = stack.enter_context(_bar(first, steps, progress))
        write = stack.enter_context(_csv(out / "log.csv", first)) if out else None
        board = stack.enter_context(_tensorboard(out, first)) if out else None

        def log(step: int, loss: float, lr: float, theta: Tensor, target: Tensor) -> None:
            bar(step, loss)
            means = {name: v.mean().item() for name, v in (("theta", theta), ("target", target)) if len(v)}
            if write:
                write.writerow([step, loss, lr, *(f"{value:.4f}" for value in means.values())])
            if board and (step % BOARD_EVERY == 0 or step in (1, steps)):
                for name, value in ({"loss": loss, "lr": lr} | means).items():
                    board.add_scalar(name, value, step)
                if len(theta):
                    board.add_histogram("theta of the batch", theta, step)

        yield log


@contextmanager
def _bar(first: int, steps: int, progress: bool) -> Iterator[Any]:
    if not progress:
        yield lambda step, loss: None
        return
    with Meter("training", steps, first=first) as meter:

        def show(step: int, loss: float) -> None:
            meter.what = f"training, loss {loss:.3f}, step"
            meter.update()

        yield show


@contextmanager
def _csv(path: Path, first: int) -> Iterator[Any]:
    kept = []
    if first and path.exists():
        with open(path, newline="") as file:
            kept = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= first]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", buffering=1) as file:  # a line at a time, because the run may be killed
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(kept)
        yield writer


@contextmanager
def _tensorboard(out: Path, first: int) -> Iterator[Any]:
    if importlib.util.find_spec("tensorboard") is None:
        yield None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(out), purge_step=first + 1) as writer:
        yield writer
