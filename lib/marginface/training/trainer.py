"""Training: one recipe in, one run out."""

import os
import re
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric, seed_everything
from torch.utils.data import DataLoader

from marginface.backbones.baselines import Baseline
from marginface.data.align import normalise
from marginface.data.catalog import load
from marginface.data.damage import counted
from marginface.data.files import printable
from marginface.data.progress import track
from marginface.data.types import VALIDATION, DataWarning, FaceData, ImageData
from marginface.heads import MarginHead
from marginface.sharded import ShardedMarginHead
from marginface.training import checkpoints
from marginface.training.film import Film
from marginface.training.geometry import geometry
from marginface.training.learner import Learner
from marginface.training.logs import Logger, logging
from marginface.training.loop import Loop
from marginface.training.making import dtype_of, make_batches, make_learner
from marginface.training.memory import keep_memory
from marginface.training.recipes import Recipe
from marginface.training.run import Run
from marginface.training.sharded_checkpoints import RUN, Saver, Tables
from marginface.training.testing import check_tests, evaluate
from marginface.training.validation import Validation

DEVICES = ("auto", "cpu", "cuda", "mps")
VALIDATIONS = 20  # in a run, where nothing else is said
SHARDED_FROM = 100_000  # classes, on several processes: of fewer, each can have all
CURVE_POINTS = 100  # a record keeps the loss curve as means over so many stretches of the run


@counted()
def train(
    recipe: Recipe,
    data: ImageData | FaceData | None = None,
    *,
    data_root: str | Path | None = None,
    device: str = "auto",
    max_steps: int | None = None,
    out: str | Path | None = None,
    start: str | Path | None = None,
    save_every: int = 1000,
    validate_every: int | None = None,
    workers: int = 0,
    compiled: bool = False,
    loggers: Sequence[Logger] = (),
    progress: bool = True,
    sharded: bool | None = None,
) -> Run:
    """Train a backbone with a margin head, then evaluate it.

    Started by `torchrun`, every process trains with its share of each batch; of many classes, each has its own (`sharded`).

    Arguments:
        recipe: what to train.
        data: the images; None loads `recipe.data` from `data_root` (see `data.catalog.load`). A `Baseline` is fitted to them,
            all else is trained step by step.
        device: "auto" takes a GPU where there is one. Precision "auto" is bf16-mixed on a GPU that has it, else float32.
        max_steps: stop after so many steps, at least one; the schedule is fitted to them.
        out: a folder for log.csv, TensorBoard's files and checkpoint.pt. A run goes on from a checkpoint that is there, and
            ends with the same weights as if it had not been interrupted. With classes over processes checkpoints are folders
            in `checkpoints`, and a run may go on with another number of processes.
        start: the checkpoint of the run whose backbone to start from. That run becomes the recipe's `start`; where the recipe
            names one, it must be that.
        save_every: steps between checkpoints; there is one at the end, too.
        validate_every: steps between tests on people set aside, where the data has a test `types.VALIDATION`; None is twenty
            times a run. They change nothing in the training. The best state by them is kept as best.pt beside checkpoint.pt.
        workers: processes that read images; 0 reads them here, which is best for what lies in memory.
        loggers: Lightning's loggers that are told of every step, such as `lightning.pytorch.loggers.WandbLogger`.
        compiled: whether to compile the backbone (`torch.compile`).
        progress: whether to say on stderr how far it is, where it takes more than some seconds (see `data.progress`).
        sharded: whether classes are over processes (`sharded.ShardedMarginHead`). None is where there are several processes
            and at least `SHARDED_FROM` classes, and where the recipe has a `sample_rate`.
    Raises: ValueError for a device that is unknown or not here, a checkpoint of another run and, before any step, a test that
        cannot be made; NonFiniteLossError where training diverges, which leaves the last checkpoint as it is; OSError where a
        file cannot be written or a process that reads images was killed.
    Warns: DataWarning where there is one class alone and, at the end, where images were damaged that could be read.
    """
    if device not in DEVICES:
        raise ValueError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
    if {"cuda": torch.cuda, "mps": torch.backends.mps}.get(device, torch.cpu).is_available() is False:
        raise ValueError(f"there is no {device} device here")
    for name, value in {"max_steps": max_steps, "save_every": save_every, "validate_every": validate_every}.items():
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    recipe = checkpoints.started_from(recipe, Path(start) if start is not None else None)
    keep_memory()
    data = data or load(recipe.data, data_root)
    check_tests(data)
    if data.num_classes < 2:
        warnings.warn(f"{data.label}: there is nobody to be told apart from, and nothing to learn", DataWarning, stacklevel=2)
    precision = _precision(recipe.precision, device)
    fabric = _fabric(device, precision)
    seed_everything(recipe.seed, verbose=False)
    batches = make_batches(recipe, data, fabric.global_rank, fabric.world_size)
    if sharded is None:
        sharded = fabric.world_size > 1 and data.num_classes >= SHARDED_FROM
    if (sharded or recipe.sample_rate < 1) and precision == "16-mixed":
        raise ValueError(
            "16-mixed: its scale would differ between processes that have classes of their own; bf16-mixed has none"
        )
    learner = make_learner(recipe, data, sharded)
    if fabric.world_size > 1:  # else all would drop the same units, each of its own images
        torch.manual_seed(_seed_of_rank(recipe.seed, fabric.global_rank))
    if start is not None:
        checkpoints.load_backbone(learner.backbone, Path(start))
    if compiled:
        learner.backbone.compile(dynamic=False)  # with symbolic sizes, the crops of networks without L do not compile
    steps = recipe.steps or len(batches) * recipe.epochs
    steps = min(steps, max_steps or steps)
    if isinstance(learner.backbone, Baseline):
        read = range(batches.samples)
        images = torch.stack([data.train[i][0] for i in (track(read, "reading images") if progress else read)])
        learner.backbone.fit(normalise(images, recipe.normalisation).to(dtype_of(recipe)))
        steps = 0
    loop = Loop(fabric, recipe, data, learner, batches, steps)
    flat = isinstance(learner.head, MarginHead) and learner.head.weight.shape[1:] == (2,)  # one direction for each class
    if isinstance(data, ImageData) and flat and steps and loop.sharded is None:
        loop.film = Film(data, steps, recipe.normalisation, dtype_of(recipe))
    if isinstance(data, FaceData) and VALIDATION in data.tests and steps:
        every = validate_every or max(1, steps // VALIDATIONS)
        loop.validation = Validation(data, every, recipe.normalisation, dtype_of(recipe))
    path = Path(out) / "checkpoint.pt" if out else None
    leads = fabric.is_global_zero
    with ExitStack() as stack:
        saver = None
        if path is not None and loop.sharded is not None:
            saver = stack.enter_context(Saver(path.with_name("checkpoints"), loop.ranks, data.num_classes))
        goes_on = path is not None and _go_on(loop, path, saver)
        if loop.film is not None and not goes_on:
            loop.film.watch(learner, 0)
        folder, watched = Path(out) if out and leads else None, loop.validation is not None
        told = logging(folder, loop.step, steps, progress and leads, watched, loggers if leads else ())
        log = stack.enter_context(told)
        loader = DataLoader(
            data.train,
            batch_sampler=batches,
            generator=batches.generator,
            num_workers=workers,
            pin_memory=fabric.device.type == "cuda",
        )
        batches_to_device = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
        with _readers_understood(loop) if workers else nullcontext():
            while loop.step < steps:
                for images, labels in loop.epoch(_read(batches_to_device, workers)):
                    loop.learn(images, labels, log)
                    if path is not None and (loop.step % save_every == 0 or loop.step == steps):
                        loop.read(log)
                        loop.save(path, saver)
                    if path is not None and loop.validation is not None and loop.validation.best_now(loop.step):
                        loop.save(path.with_name("best.pt"))
                    if loop.step == steps:
                        break
        loop.read(log)
    duration = loop.seconds()

    final = loop.evaluated()
    if loop.sharded is not None and data.num_classes < SHARDED_FROM:
        final = Learner(final.backbone, loop.sharded.gather())
    how: dict[str, Any] = {"normalisation": recipe.normalisation, "dtype": dtype_of(recipe)}
    metrics, arrays = evaluate(final, data, progress=progress and leads, ranks=loop.ranks, **how)
    if leads and isinstance(learner.head, MarginHead):
        arrays["theta_histogram"] = loop.theta.numpy()
        if steps and not isinstance(final.head, ShardedMarginHead):
            arrays |= geometry(final, data, progress=progress, **how)
    if loop.film is not None:
        arrays |= loop.film.arrays()
    stretches = np.array_split(np.array(loop.losses), min(CURVE_POINTS, len(loop.losses)) or 1)
    return Run(
        recipe=recipe,
        metrics=metrics,
        curves={
            "loss": [float(s.mean()) for s in stretches if len(s)],
            "step": [float(i) for i in np.cumsum([len(s) for s in stretches if len(s)])],
        },
        arrays=arrays,
        data_label=data.label,
        data_fingerprint=data.fingerprint,
        provenance={
            "device": _describe(fabric.device) + (f" × {fabric.world_size}" if fabric.world_size > 1 else ""),
            "precision": precision,
            "threads": torch.get_num_threads(),
            "steps": steps,
            "duration_s": round(duration, 1),
        },
        learner=learner,
    )


def _go_on(loop: Loop, path: Path, saver: Saver | None) -> bool:
    """Go on from a checkpoint, if there is one; whether there is. Raises: ValueError naming one of another run."""
    world: int | None = loop.fabric.world_size
    fill: Callable[[Tables], None] | None = None
    if saver is not None:
        folder = saver.newest()
        if folder is None:
            return False
        path, world, fill = folder / RUN, None, partial(saver.load, folder)
    elif not path.exists():
        return False
    found = checkpoints.read(path)
    checkpoints.check(found, loop.recipe, loop.data.trained_on, loop.steps, world, path)
    try:
        loop.restore(found, fill)
    except ValueError as error:
        raise ValueError(f"{printable(path)}: {error}") from error
    return True


def _fabric(device: str, precision: Any) -> Fabric:
    """One device, or those that `torchrun` gives."""
    local, world = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), int(os.environ.get("WORLD_SIZE", 1))
    strategy = "ddp" if world > 1 else "auto"
    fabric = Fabric(accelerator=device, devices=local, num_nodes=world // local, precision=precision, strategy=strategy)
    if world > 1:
        fabric.launch()
    return fabric


def _read(loader: Any, workers: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Its batches. A reader that was killed is an error of the read that waits for it.

    PyTorch would raise it from a signal, in the middle of whatever is under way, such as the writing of a checkpoint. An
    error keeps its frames, and with them the readers, alive; so where there are any, these are cleared.
    """
    told = hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD) if told else None
    try:
        for batch in loader:
            if told:  # the first batch started the readers, and with them PyTorch's handler
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            yield batch
    except Exception as error:
        if workers:
            traceback.clear_frames(error.__traceback__)
        raise
    finally:
        if told:
            signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


@contextmanager
def _readers_understood(loop: Loop) -> Iterator[None]:
    """What a reader raised comes from it as text, with the lines of the other process before the message.

    Of a reader that was killed either PyTorch tells, or, where its end isn't yet known, the connection that broke.
    """
    try:
        yield
    except (ValueError, OSError, EOFError, RuntimeError) as error:
        told = str(error)
        if "DataLoader worker (pid" in told or (
            isinstance(error, ConnectionError | EOFError) and not told.startswith("Caught ")
        ):
            raise OSError(f"a process that reads images ended at step {loop.step + 1}: {told}") from error
        if told.startswith("Caught ") and isinstance(error, ValueError | OSError):
            message = re.split(rf"^(?:[\w.]+\.)?{type(error).__name__}: ", told, flags=re.MULTILINE)[-1]
            raise type(error)(message.rstrip()) from error
        raise


def _seed_of_rank(seed: int, rank: int) -> int:
    """In 32 bits, of which PyTorch's generator on a CPU takes no more."""
    return int(np.random.SeedSequence((seed, rank)).generate_state(1)[0])


def _precision(wanted: str, device: str) -> Any:
    if wanted != "auto":
        return wanted
    on_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
