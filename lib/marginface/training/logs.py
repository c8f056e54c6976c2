"""What a run says while it is under way: a bar, a CSV file and, where it is installed, TensorBoard."""

import csv
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from marginface.data.progress import Meter
from marginface.data.types import VALIDATION

COLUMNS = ("step", "loss", "lr", "theta", "target")
VALIDATED = f"{VALIDATION} AUC", f"{VALIDATION} TAR@FAR=1e-03"  # more columns, where people are set aside
BOARD_EVERY = 10  # steps


class Logger(Protocol):
    """One of Lightning's loggers."""

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...

    def finalize(self, status: str) -> None: ...


class Log(Protocol):
    def __call__(
        self, step: int, loss: float, lr: float, theta: Tensor, target: Tensor, validation: Mapping[str, float]
    ) -> None:
        """One training step: its mean loss and learning rate; θ_y in degrees and T(θ_y) of its images, both (N,); what the
        network is worth after it, where that was measured."""


@contextmanager
def logging(
    out: Path | None, first: int, steps: int, progress: bool, validated: bool = False, loggers: Sequence[Logger] = ()
) -> Iterator[Log]:
    """A function that is told every step, and says how far it is if `progress`; `validated`: whether it is tested on the way.

    Lines of a log.csv that come after `first` belong to a run that was killed.
    """
    with ExitStack() as stack:
        bar = stack.enter_context(_bar(first, steps, progress))
        write = (
            stack.enter_context(_csv(out / "log.csv", first, (*COLUMNS, *(VALIDATED if validated else ())))) if out else None
        )
        board = stack.enter_context(_tensorboard(out, first)) if out else None

        def log(step: int, loss: float, lr: float, theta: Tensor, target: Tensor, validation: Mapping[str, float]) -> None:
            bar(step, loss, validation)
            means = {name: v.mean().item() for name, v in (("theta", theta), ("target", target)) if len(v)}
            if write:
                measured = [validation.get(name, "") for name in VALIDATED] if validated else []
                angles = [f"{means[name]:.4f}" if name in means else "" for name in ("theta", "target")]
                write.writerow([step, loss, lr, *angles, *measured])
            if board and (step % BOARD_EVERY == 0 or step in (1, steps)):
                for name, value in ({"loss": loss, "lr": lr} | means).items():
                    board.add_scalar(name, value, step)
                if len(theta):
                    board.add_histogram("theta of the batch", theta, step)
            if board:
                for name, value in validation.items():
                    board.add_scalar(name, value, step)
            for logger in loggers:
                logger.log_metrics({"loss": loss, "lr": lr} | means | dict(validation), step)

        yield log
        for logger in loggers:
            logger.finalize("success")


def wandb_logger(project: str, out: Path) -> Logger:
    """Lightning's logger for Weights & Biases. Raises: ModuleNotFoundError where it is not installed."""
    for package in ("wandb", "pytorch_lightning"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError("logging to Weights & Biases needs: pip install wandb pytorch-lightning")
    from pytorch_lightning.loggers import WandbLogger

    out.mkdir(parents=True, exist_ok=True)
    return WandbLogger(project=project, name=out.name, save_dir=out)


@contextmanager
def _bar(first: int, steps: int, progress: bool) -> Iterator[Any]:
    if not progress:
        yield lambda step, loss, validation: None
        return
    with Meter("training", steps, first=first) as meter:
        worth = ""

        def show(step: int, loss: float, validation: Mapping[str, float]) -> None:
            nonlocal worth
            if validation:
                worth = f", {VALIDATED[0]} {validation[VALIDATED[0]]:.4f}"
            meter.what = f"training, loss {loss:.3f}{worth}, step"
            meter.update()

        yield show


@contextmanager
def _csv(path: Path, first: int, columns: tuple[str, ...]) -> Iterator[Any]:
    kept = []
    if first and path.exists():
        with open(path, newline="") as file:
            kept = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= first]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", buffering=1) as file:  # a line at a time, because the run may be killed
        writer = csv.writer(file)
        writer.writerow(columns)
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
