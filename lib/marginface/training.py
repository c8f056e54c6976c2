"""Training: one recipe in, one run out.

python -m marginface.training arcface/R100-MS1MV2 --data /path/to/faces --out runs/arcface
torchrun --nproc-per-node 8 -m marginface.training arcface/R100-MS1MV2 --data /path/to/faces --out runs/arcface
"""

import argparse
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from lightning_fabric import Fabric, seed_everything
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from marginface import backbones, checkpoints
from marginface.backbones.baselines import Baseline
from marginface.data.align import normalise
from marginface.data.batches import Batches, IdentityBatches, augment
from marginface.data.catalog import FaceData, ImageData, load
from marginface.evaluation.classification import class_angles
from marginface.evaluation.verification import kfold_accuracy
from marginface.heads import MarginHead, NonFiniteError
from marginface.logs import Log, logging
from marginface.margins import Margin
from marginface.recipes import RECIPES, Recipe
from marginface.regularizers import Fresh
from marginface.triplet import Triplet, TripletHead

DEVICES = ("auto", "cpu", "cuda", "mps")
CURVE_POINTS = 100  # a record keeps the loss curve as means over so many stretches of the run
THETA_BINS, THETA_STRETCHES = 90, 20  # and histograms of θ, 2° a bin, over so many
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

    def __init__(self, backbone: nn.Module, head: MarginHead | TripletHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of images (N, C, H, W) with labels (N,)."""
        return self.head(self.backbone(images), labels)


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
    workers: int = 0,
    compiled: bool = False,
    progress: bool = True,
) -> Run:
    """Train a backbone with a margin head, then evaluate it.

    Started by `torchrun`, every process trains with its share of each batch.

    Arguments:
        recipe: what to train.
        data: the images; None loads `recipe.data` from `data_root` (see `data.catalog.load`). A `Baseline` is fitted to them,
            all else is trained step by step.
        device: "auto" takes a GPU where there is one. Precision "auto" is bf16-mixed on a GPU that has it, else float32.
        max_steps: stop after so many steps; the schedule is fitted to them.
        out: a folder for log.csv, TensorBoard's files and checkpoint.pt. A run goes on from a checkpoint that is there, and
            ends with the same weights as if it had not been interrupted.
        start: a checkpoint whose backbone to start from.
        save_every: steps between checkpoints; there is one at the end, too.
        workers: processes that read images; 0 reads them here, which is best for what lies in memory.
        compiled: whether to compile the backbone (`torch.compile`).
        progress: whether to draw a bar with rate and time left. Where there is no terminal it stays quiet.
    Raises: ValueError for an unknown device or a checkpoint of another run; NonFiniteLossError where training diverges, which
        leaves the last checkpoint as it is.
    """
    if device not in DEVICES:
        raise ValueError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
    data = data or load(recipe.data, data_root)
    precision = _precision(recipe.precision, device)
    fabric = _fabric(device, precision)
    seed_everything(recipe.seed, verbose=False)
    batches = make_batches(recipe, data, fabric.global_rank, fabric.world_size)
    learner = make_learner(recipe, data)
    if start is not None:
        learner.backbone.load_state_dict(checkpoints.backbone_weights(Path(start)))
    if compiled:
        learner.backbone.compile()
    steps = recipe.steps or len(batches) * recipe.epochs
    steps = min(steps, max_steps or steps)
    if isinstance(learner.backbone, Baseline):
        images = torch.stack([data.train[i][0] for i in range(batches.samples)])
        learner.backbone.fit(normalise(images, recipe.normalisation).to(_dtype(recipe)))
        steps = 0
    loop = Loop(fabric, recipe, data, learner, batches, steps)
    path = Path(out) / "checkpoint.pt" if out else None
    if path is not None and path.exists():
        found = checkpoints.read(path)
        checkpoints.check(found, recipe, data.fingerprint, steps, fabric.world_size, path)
        loop.restore(found)

    started, first = time.perf_counter(), loop.step
    leads = fabric.is_global_zero
    with logging(Path(out) if out and leads else None, first, steps, progress and leads) as log:
        loader = DataLoader(
            data.train,
            batch_sampler=batches,
            generator=batches.generator,
            num_workers=workers,
            pin_memory=fabric.device.type == "cuda",
        )
        batches_to_device = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
        while loop.step < steps:
            for images, labels in loop.epoch(batches_to_device):
                loop.learn(images, labels, log)
                if path is not None and (loop.step % save_every == 0 or loop.step == steps):
                    loop.save(path)
                if loop.step == steps:
                    break
    duration = time.perf_counter() - started

    metrics, arrays = evaluate(loop.evaluated(), data, recipe.normalisation, _dtype(recipe))
    if leads and isinstance(learner.head, MarginHead):
        arrays["theta_histogram"] = loop.theta.numpy()
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


class Loop:
    """A run under way: everything that changes from step to step, and that a checkpoint holds."""

    def __init__(
        self, fabric: Fabric, recipe: Recipe, data: ImageData | FaceData, learner: Learner, batches: Batches, steps: int
    ) -> None:
        self.fabric, self.recipe, self.data, self.learner, self.batches, self.steps = (
            fabric,
            recipe,
            data,
            learner,
            batches,
            steps,
        )
        optimizer = make_optimizer(recipe, learner)
        self.schedule = make_schedule(recipe, optimizer, steps)
        self.wrapped, self.optimizer = fabric.setup(learner, optimizer)
        self.average = _moving_average(learner.backbone, recipe.average) if recipe.average else None
        self.dtype = _dtype(recipe)
        self.step = self.position = 0
        self.epoch_start = batches.generator.get_state()
        self.losses: list[float] = []
        self.theta = torch.zeros(THETA_STRETCHES, THETA_BINS, dtype=torch.int64)

    def epoch(self, loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch that are not done."""
        self.epoch_start = self.batches.generator.get_state()
        self.batches.start = self.position
        yield from loader
        self.position = 0

    def learn(self, images: Tensor, labels: Tensor, log: Log) -> None:
        """One step of the optimizer. Raises: NonFiniteLossError before the weights are touched."""
        recipe, fabric = self.recipe, self.fabric
        x = normalise(images, recipe.normalisation).to(self.dtype)
        if recipe.flip or recipe.jitter:
            seed = (recipe.seed * 2**32 + self.step) * 1024 + fabric.global_rank
            x = augment(x, seed, recipe.flip, recipe.jitter)
        try:
            loss = self.wrapped(x.contiguous(memory_format=torch.channels_last), labels)
            value = loss.item()
        except NonFiniteError:
            value = math.nan
        if not math.isfinite(value):
            raise NonFiniteLossError(f"the loss is {value} at step {self.step + 1} of {recipe.margin}, lr {recipe.lr}")
        self.optimizer.zero_grad()
        fabric.backward(loss)
        if recipe.clip is not None:
            fabric.clip_gradients(self.wrapped, self.optimizer, max_norm=recipe.clip, error_if_nonfinite=False)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.learner.backbone)
        self._note(value, log)
        self.schedule.step()
        self.step += 1
        self.position += 1

    def _note(self, loss: float, log: Log) -> None:
        """Keep and log what the step was like."""
        margin, theta, target = self.recipe.margin, torch.empty(0), torch.empty(0)
        if isinstance(margin, Margin) and isinstance(self.learner.head, MarginHead):
            cosine = self.learner.head.cosine.double().cpu()
            theta, target = cosine.acos().rad2deg(), margin.at(self.step).target(cosine)
            self.theta[self.step * THETA_STRETCHES // self.steps] += theta.histc(THETA_BINS, 0, 180).long()
        self.losses.append(loss)
        log(self.step + 1, loss, float(self.schedule.get_last_lr()[0]), theta, target)

    def save(self, path: Path) -> None:
        """Write a checkpoint; with several processes the first one does."""
        states: list[Any] = [_random_state(self.fabric.device)]
        if self.fabric.world_size > 1:
            states = [None] * self.fabric.world_size
            dist.all_gather_object(states, _random_state(self.fabric.device))
        if self.fabric.is_global_zero:
            checkpoint = checkpoints.Checkpoint(
                recipe=self.recipe.to_json(),
                data=self.data.fingerprint,
                steps=self.steps,
                step=self.step,
                position=self.position,
                epoch_start=self.epoch_start,
                learner=self.learner.state_dict(),
                optimizer=self.optimizer.state_dict(),
                schedule=self.schedule.state_dict(),
                scaler=self.fabric.strategy.precision.state_dict(),
                average=self.average.state_dict() if self.average else None,
                random=states,
                losses=self.losses,
                theta=self.theta,
            )
            checkpoints.save(checkpoint, path)
        self.fabric.barrier()

    def restore(self, found: checkpoints.Checkpoint) -> None:
        """Go on from a checkpoint."""
        self.step, self.position, self.epoch_start = found.step, found.position, found.epoch_start
        self.learner.load_state_dict(found.learner)
        self.optimizer.load_state_dict(found.optimizer)
        self.schedule.load_state_dict(found.schedule)
        self.fabric.strategy.precision.load_state_dict(found.scaler)
        if self.average is not None and found.average is not None:
            self.average.load_state_dict(found.average)
        self.losses = found.losses
        if found.theta is not None:
            self.theta = found.theta
        self.batches.generator.set_state(found.epoch_start)
        _set_random_state(found.random[self.fabric.global_rank], self.fabric.device)

    def evaluated(self) -> Learner:
        """The learner with the weights that count."""
        return Learner(self.average.module, self.learner.head) if self.average is not None else self.learner


def make_batches(recipe: Recipe, data: ImageData | FaceData, rank: int = 0, world: int = 1) -> Batches:
    """The order of the images, which the recipe's seed decides."""
    generator = torch.Generator().manual_seed(recipe.seed)
    train: Any = data.train
    size = min(recipe.batch_size, len(train))
    if isinstance(recipe.margin, Triplet):
        labels = train.labels if hasattr(train, "labels") else train.tensors[1].numpy()
        return IdentityBatches(labels, recipe.margin.each, size, generator, rank, world)
    return Batches(len(train), size, generator, rank, world)


def make_learner(recipe: Recipe, data: ImageData | FaceData) -> Learner:
    """A backbone and a head with fresh weights."""
    options = {} if recipe.dropout is None else {"dropout": recipe.dropout}
    backbone = backbones.create(recipe.backbone, embedding_dim=recipe.embedding_dim, image_shape=data.image_shape, **options)
    if isinstance(recipe.margin, Triplet):
        head: MarginHead | TripletHead = TripletHead(recipe.margin)
    else:
        regularizers = [r.build() if isinstance(r, Fresh) else r for r in recipe.regularizers]
        head = MarginHead(recipe.embedding_dim, data.num_classes, recipe.margin, regularizers)
    return Learner(backbone, head).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def make_optimizer(recipe: Recipe, learner: Learner) -> torch.optim.Optimizer:
    """One optimizer with two groups: the backbone, and the head with its own learning rate."""
    groups: list[dict[str, Any]] = [{"params": list(learner.backbone.parameters())}]
    if of_head := list(learner.head.parameters()):
        groups.append({"params": of_head, "lr": recipe.lr * recipe.head_lr_factor})
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    kind = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}[recipe.optimizer]
    return kind(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def make_schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate over so many steps."""
    drops = [round(m * steps) for m in recipe.milestones]
    warm = round(recipe.warmup * steps)

    def factor(step: int) -> float:
        left = 1 - step / max(steps, 1)
        course = {
            "steps": recipe.gamma ** sum(step >= drop for drop in drops),
            "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
            "linear": left,
        }[recipe.schedule]
        return course * min(1.0, (step + 1) / warm) if warm else course

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


@torch.no_grad()
def evaluate(
    learner: Learner, data: ImageData | FaceData, normalisation: str = "unit", dtype: torch.dtype = torch.float32
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """What a learner is worth on the data's tests.

    For images of classes: accuracy and class angles; arrays of which test images are right and of the first training
    samples' directions. For faces: the accuracy of every protocol, over its folds, with the embeddings of an image and its
    mirror added; arrays of every pair's score and of whether it was judged rightly.
    """
    if isinstance(data, ImageData):
        return _evaluate_classes(learner, data, normalisation, dtype)
    metrics, arrays = {}, {}
    for name, test in data.tests.items():
        embeddings = embed(learner.backbone, torch.tensor(test.images), normalisation, dtype, mirrored=True)
        directions = nn.functional.normalize(embeddings.double()).numpy()
        scores = (directions[test.left] * directions[test.right]).sum(axis=1)
        result = kfold_accuracy(scores, test.same, test.fold)
        metrics[name] = result.accuracy
        arrays[f"{name} correct"], arrays[f"{name} scores"] = result.correct, scores.astype(np.float16)
    return metrics, arrays


def _evaluate_classes(
    learner: Learner, data: ImageData, normalisation: str, dtype: torch.dtype
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    images, labels = data.tensors("test")
    embeddings = embed(learner.backbone, images, normalisation, dtype)
    assert isinstance(learner.head, MarginHead)
    device = next(learner.parameters()).device
    predicted = learner.head.logits(embeddings.to(device)).argmax(dim=1).cpu()
    correct = predicted == labels
    metrics = {"accuracy": float(correct.double().mean())} | class_angles(embeddings, labels)
    arrays = {"test_correct": correct.numpy()}
    if embeddings.shape[1] <= 3:
        images, labels = data.tensors("train")
        drawn = embed(learner.backbone, images[:DRAWN_SAMPLES], normalisation, dtype)
        arrays["train_directions"] = nn.functional.normalize(drawn).numpy().astype(np.float16)
        arrays["train_labels"] = labels[:DRAWN_SAMPLES].numpy().astype(np.uint8)
    return metrics, arrays


@torch.no_grad()
def embed(
    backbone: nn.Module,
    images: Tensor,
    normalisation: str = "unit",
    dtype: torch.dtype = torch.float32,
    mirrored: bool = False,
    batch_size: int = 1000,
) -> Tensor:
    """Embeddings (N, d) of images (N, C, H, W) uint8, on the CPU, with the backbone in evaluation mode.

    `mirrored` adds the embedding of each image's mirror image, as the public evaluations do.
    """
    device = next((p.device for p in backbone.parameters()), torch.device("cpu"))
    was_training = backbone.training
    backbone.eval()
    parts = []
    for batch in images.split(batch_size):
        x = normalise(batch.to(device), normalisation).to(dtype)  # type: ignore[arg-type]
        parts.append((backbone(x) + backbone(x.flip(3)) if mirrored else backbone(x)).cpu())
    backbone.train(was_training)
    return torch.cat(parts)


def _fabric(device: str, precision: Any) -> Fabric:
    """One device, or those that `torchrun` gives."""
    local, world = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), int(os.environ.get("WORLD_SIZE", 1))
    strategy = "ddp" if world > 1 else "auto"
    fabric = Fabric(accelerator=device, devices=local, num_nodes=world // local, precision=precision, strategy=strategy)
    if world > 1:
        fabric.launch()
    return fabric


def _moving_average(backbone: nn.Module, decay: float) -> AveragedModel:
    """Weights averaged over time. Like TensorFlow's with a step count, it forgets faster at first: (1 + n) / (10 + n)."""

    def blend(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        return now * averaged + (1 - now) * current

    return AveragedModel(backbone, avg_fn=blend)


def _dtype(recipe: Recipe) -> torch.dtype:
    return torch.float64 if recipe.precision == "64-true" else torch.float32


def _precision(wanted: str, device: str) -> Any:
    if wanted != "auto":
        return wanted
    on_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _random_state(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def _set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m marginface.training", description="Train by a recipe's name.")
    parser.add_argument("recipe", choices=sorted(RECIPES), metavar="RECIPE", help=f"one of {', '.join(sorted(RECIPES))}")
    parser.add_argument("--data", required=True, help="the folder with the data sets' folders in it")
    parser.add_argument("--out", required=True, help="a folder for logs and checkpoints; a run that is there goes on")
    parser.add_argument("--start", help="a checkpoint whose backbone to start from")
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--steps", type=int, help="stop after so many; the schedule is fitted to them")
    parser.add_argument("--save-every", type=int, default=1000, metavar="STEPS")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes that read images")
    parser.add_argument("--compile", action="store_true", help="compile the backbone")
    parser.add_argument("--batch-size", type=int, help="instead of the paper's, with the learning rate scaled alike")
    options = parser.parse_args()
    recipe = RECIPES[options.recipe]
    if options.batch_size:
        recipe = replace(recipe, batch_size=options.batch_size, lr=recipe.lr * options.batch_size / recipe.batch_size)
    try:
        run = train(
            recipe,
            data_root=options.data,
            device=options.device,
            max_steps=options.steps,
            out=options.out,
            start=options.start,
            save_every=options.save_every,
            workers=options.workers,
            compiled=options.compile,
        )
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")
    if int(os.environ.get("RANK", 0)) == 0:
        for name, value in run.metrics.items():
            print(f"{name} {100 * value:.2f} %")


if __name__ == "__main__":
    main()
