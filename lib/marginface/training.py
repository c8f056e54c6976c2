"""Training: one recipe in, one run out."""

import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric, seed_everything
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from marginface import backbones
from marginface.data.catalog import ImageData, load
from marginface.evaluation.classification import class_angles
from marginface.heads import MarginHead
from marginface.recipes import Recipe

DEVICES = ("auto", "cpu", "cuda", "mps")
CURVE_POINTS = 100  # a record keeps the loss curve as means over so many stretches of the run
DRAWN_SAMPLES = 10_000  # "We draw 10,000 training samples" (IAM §5.1)


@dataclass
class Run:
    """What came out of a recipe. `learner` is there after training and not in a record."""

    recipe: Recipe
    metrics: dict[str, float]
    curves: dict[str, list[float]]
    arrays: dict[str, np.ndarray]
    data_label: str
    data_fingerprint: str
    provenance: dict[str, Any] = field(default_factory=dict)
    learner: "Learner | None" = None


class NonFiniteLossError(ValueError):
    """The loss became NaN or infinite."""


class Learner(nn.Module):
    """A backbone and its head: what is trained."""

    def __init__(self, backbone: nn.Module, head: MarginHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of images (N, C, H, W) with labels (N,)."""
        return self.head(self.backbone(images), labels)


def train(
    recipe: Recipe,
    data: ImageData | None = None,
    *,
    data_root: str | Path | None = None,
    device: str = "auto",
    max_steps: int | None = None,
    log: str | Path | None = None,
    progress: bool = True,
) -> Run:
    """Train a backbone with a margin head, then evaluate it on the test images.

    Arguments:
        recipe: what to train.
        data: the images; None loads `recipe.data` from `data_root` (see `data.catalog.load`).
        device: "auto" takes a GPU where there is one. Precision "auto" is bf16-mixed on a GPU that has it, else float32.
        max_steps: stop after so many steps; the schedule is fitted to them.
        log: a CSV file that gets step, loss and learning rate of every step.
        progress: whether to draw a bar with the time left. Where there is no terminal it stays quiet.
    Raises: ValueError for an unknown device, NonFiniteLossError where training diverges.
    """
    if device not in DEVICES:
        raise ValueError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
    data = data or load(recipe.data, data_root)
    precision = _precision(recipe.precision, device)
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    seed_everything(recipe.seed, verbose=False)
    dtype = torch.float64 if recipe.precision == "64-true" else torch.float32
    images, labels = data.tensors("train")
    batches = DataLoader(
        TensorDataset(images.to(dtype), labels),
        batch_size=min(recipe.batch_size, len(images)),
        shuffle=True,
        drop_last=True,
        generator=torch.Generator().manual_seed(recipe.seed),
    )
    backbone = backbones.create(recipe.backbone, embedding_dim=recipe.embedding_dim, image_shape=data.image_shape)
    head = MarginHead(recipe.embedding_dim, data.num_classes, recipe.margin, recipe.regularizers)
    learner = Learner(backbone, head).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = min(len(batches) * recipe.epochs, max_steps or len(batches) * recipe.epochs)
    optimizer = make_optimizer(recipe, learner)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [round(m * steps) for m in recipe.milestones], recipe.gamma)
    wrapped, wrapped_optimizer = fabric.setup(learner, optimizer)
    loader = fabric.setup_dataloaders(batches)

    started = time.perf_counter()
    losses: list[float] = []
    with _bar(steps, progress) as advance, _csv(log) as write:
        while len(losses) < steps:
            for images, labels in loader:
                loss = wrapped(images, labels)
                losses.append(loss.item())
                if not np.isfinite(losses[-1]):
                    raise NonFiniteLossError(
                        f"the loss is {losses[-1]} at step {len(losses)} of {recipe.margin}, lr {recipe.lr}"
                    )
                wrapped_optimizer.zero_grad()
                fabric.backward(loss)
                wrapped_optimizer.step()
                write(len(losses), losses[-1], schedule.get_last_lr()[0])
                schedule.step()
                advance(losses[-1])
                if len(losses) == steps:
                    break
    duration = time.perf_counter() - started

    metrics, arrays = evaluate(learner, data, dtype)
    stretches = np.array_split(np.array(losses), min(CURVE_POINTS, len(losses)))
    return Run(
        recipe=recipe,
        metrics=metrics,
        curves={
            "loss": [float(s.mean()) for s in stretches],
            "step": [float(i) for i in np.cumsum([len(s) for s in stretches])],
        },
        arrays=arrays,
        data_label=data.label,
        data_fingerprint=data.fingerprint,
        provenance={
            "device": _describe(fabric.device),
            "precision": precision,
            "threads": torch.get_num_threads(),
            "steps": steps,
            "duration_s": round(duration, 1),
        },
        learner=learner,
    )


def make_optimizer(recipe: Recipe, learner: Learner) -> torch.optim.Optimizer:
    """One optimizer with two groups: the backbone, and the head with its own learning rate."""
    groups: list[dict[str, Any]] = [
        {"params": list(learner.backbone.parameters())},
        {"params": list(learner.head.parameters()), "lr": recipe.lr * recipe.head_lr_factor},
    ]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    kind = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}[recipe.optimizer]
    return kind(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


@torch.no_grad()
def evaluate(learner: Learner, data: ImageData, dtype: torch.dtype) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Accuracy and class angles on the test images; which of them are right; and the first training samples' directions."""
    images, labels = data.tensors("test")
    embeddings = embed(learner.backbone, images.to(dtype))
    device = next(learner.parameters()).device
    predicted = learner.head.logits(embeddings.to(device)).argmax(dim=1).cpu()
    correct = predicted == labels
    metrics = {"accuracy": float(correct.double().mean())} | class_angles(embeddings, labels)
    arrays = {"test_correct": correct.numpy()}
    if embeddings.shape[1] <= 3:
        images, labels = data.tensors("train")
        drawn = embed(learner.backbone, images[:DRAWN_SAMPLES].to(dtype))
        arrays["train_directions"] = nn.functional.normalize(drawn).numpy().astype(np.float16)
        arrays["train_labels"] = labels[:DRAWN_SAMPLES].numpy().astype(np.uint8)
    return metrics, arrays


@torch.no_grad()
def embed(backbone: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """Embeddings (N, d) of images (N, C, H, W), on the CPU, with the backbone in evaluation mode."""
    device = next(backbone.parameters()).device
    was_training = backbone.training
    backbone.eval()
    embeddings = torch.cat([backbone(batch.to(device)).cpu() for batch in images.split(batch_size)])
    backbone.train(was_training)
    return embeddings


def _precision(wanted: str, device: str) -> Any:
    if wanted != "auto":
        return wanted
    on_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextmanager
def _bar(steps: int, progress: bool) -> Iterator[Any]:
    """A progress bar with the current loss and the time left, on stderr."""
    columns = (TextColumn("loss {task.fields[loss]:.3f}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task("", total=steps, loss=float("nan"))
        yield lambda loss: bar.update(task, advance=1, loss=loss)


@contextmanager
def _csv(path: str | Path | None) -> Iterator[Any]:
    """A function that appends a line of the log, or does nothing where none is wanted."""
    if path is None:
        yield lambda *row: None
        return
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "loss", "lr"])
        yield lambda *row: writer.writerow(row)
