"""The loop of training: what changes from step to step."""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from marginface.data.align import normalise
from marginface.data.batches import Batches, augment
from marginface.data.types import FaceData, ImageData
from marginface.heads import MarginHead, NonFiniteError
from marginface.margins import Margin
from marginface.ranks import Ranks
from marginface.sharded import ShardedMarginHead
from marginface.training import checkpoints
from marginface.training.film import Film
from marginface.training.learner import Learner
from marginface.training.logs import Log
from marginface.training.making import dtype_of, make_optimizer, make_schedule, moving_average
from marginface.training.recipes import Recipe
from marginface.training.sharded_checkpoints import Saver, Tables, put_back, take_out
from marginface.training.validation import MEASURE, NotConvergingWarning, Validation, trouble

READ_EVERY = 20  # steps on a GPU, which is not waited for in between
THETA_BINS, THETA_STRETCHES = 90, 20  # a record keeps histograms of θ, 2° a bin, over so many stretches of the run


class NonFiniteLossError(ValueError):
    """The loss became NaN or infinite."""


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
        self.ranks = Ranks()
        self.sharded = learner.head if isinstance(learner.head, ShardedMarginHead) else None
        if self.sharded is not None:  # every process has classes of its own: nothing of them is averaged
            of_head = [f"head.{name}" for name, _ in (*learner.head.named_parameters(), *learner.head.named_buffers())]
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(learner, of_head)
        optimizer = make_optimizer(recipe, learner)
        self.schedule = make_schedule(recipe, optimizer, steps)
        self.wrapped, self.optimizer = fabric.setup(learner, optimizer)
        self.average = moving_average(learner.backbone, recipe.average) if recipe.average else None
        self.dtype = dtype_of(recipe)
        self.step = self.position = 0
        self.epoch_start = batches.generator.get_state()
        self.losses: list[float] = []
        self._unread: list[tuple[int, Tensor, float, Tensor]] = []
        self.theta = torch.zeros(THETA_STRETCHES, THETA_BINS, dtype=torch.int64)
        self.film: Film | None = None
        self.validation: Validation | None = None
        self._before, self._since = 0.0, time.perf_counter()

    def seconds(self) -> float:
        """How long the training has taken, before it was interrupted and since."""
        return self._before + time.perf_counter() - self._since

    def epoch(self, loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch that are not done."""
        self.epoch_start = self.batches.generator.get_state()
        self.batches.start = self.position
        yield from loader
        self.position = 0

    def learn(self, images: Tensor, labels: Tensor, log: Log) -> None:
        """One step of the optimizer. Raises: NonFiniteLossError before the weights are touched; on a GPU some steps later."""
        recipe, fabric = self.recipe, self.fabric
        self.learner.frozen = self.step < round(recipe.freeze * self.steps)
        x = normalise(images, recipe.normalisation).to(self.dtype)
        if recipe.flip or recipe.jitter:
            seed = _seed_of_step(recipe.seed, self.step)
            x = augment(x, seed, recipe.flip, recipe.jitter, fabric.global_rank, fabric.world_size)
        self.optimizer.zero_grad()
        loss, seen = self._backward(x, labels)
        if self.learner.frozen:
            for parameter in self.learner.backbone.parameters():
                parameter.grad = None  # zeros would be decayed and moved by momentum
        if recipe.clip is not None and self.sharded is not None:
            fabric.strategy.precision.unscale_gradients(self.optimizer)
            self.sharded.clip_gradients(self.learner.backbone.parameters(), recipe.clip)
        elif recipe.clip is not None:
            fabric.clip_gradients(self.wrapped, self.optimizer, max_norm=recipe.clip, error_if_nonfinite=False)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.learner.backbone)
        self._unread.append((self.step, loss, float(self.schedule.get_last_lr()[0]), seen))
        if loss.device.type == "cpu" or len(self._unread) == READ_EVERY or self._due():
            self.read(log)
        self.schedule.step()
        self.step += 1
        self.position += 1
        if self.film is not None:
            self.film.watch(self.learner, self.step)

    def _backward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of a batch, part by part: its mean loss (), and cosines of its images with their classes.

        These are (N, 1), or (N, 2) with T of them where a margin meets batches; (0, 1) without class weights.
        """
        device, parts, head = self.fabric.device, self.recipe.accumulate, self.learner.head
        seen: list[Tensor] = []
        total = torch.zeros((), dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
        divided = zip(x.tensor_split(parts), labels.tensor_split(parts), strict=True)  # chunk may give fewer, and smaller ones
        for i, (images, own) in enumerate(divided):
            share = len(own) / len(labels)
            with self.fabric.no_backward_sync(self.wrapped, enabled=i + 1 < parts):
                try:
                    loss = share * self.wrapped(images.contiguous(memory_format=torch.channels_last), own)
                except NonFiniteError:
                    raise self._not_finite(math.nan, self.step) from None
                total += loss.detach()
                if total.device.type == "cpu" and not math.isfinite(value := total.item()):
                    raise self._not_finite(value, self.step)
                self.fabric.backward(loss)
            if isinstance(head, MarginHead):
                columns = [head.cosine] if head.kept is None else [head.cosine, head.target]
                seen.append(torch.stack(columns, dim=1))
        return total, torch.cat(seen) if seen else torch.empty(0, 1)

    def _not_finite(self, value: float, step: int) -> NonFiniteLossError:
        return NonFiniteLossError(f"the loss is {value} at step {step + 1} of {self.recipe.margin}, lr {self.recipe.lr}")

    def _due(self) -> bool:
        return self.validation is not None and self.validation.due(self.step + 1, self.steps)

    def _validate(self) -> dict[str, float]:
        """What is measured, by all processes together, if it is time."""
        if self.validation is None or not self._due():
            return {}
        found = self.validation.measure(self.evaluated(), self.ranks)
        self.validation.note(self.step + 1, found[MEASURE])
        return found

    def read(self, log: Log) -> None:
        """Keep and log what steps were like that nobody has looked at. Raises: NonFiniteLossError."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        for (step, _, lr, _), value, seen in zip(unread, *self._of_all(unread), strict=True):
            if not math.isfinite(value):
                raise self._not_finite(value, step)
            margin, theta, target = self.recipe.margin, torch.empty(0), torch.empty(0)
            if isinstance(margin, Margin):
                cosine, *of_met = (column.contiguous() for column in seen.cpu().double().unbind(dim=1))
                theta, target = cosine.acos().rad2deg(), of_met[0] if of_met else margin.at(step).target(cosine)
                self.theta[step * THETA_STRETCHES // self.steps] += theta.histc(THETA_BINS, 0, 180).long()
            self.losses.append(value)
            log(step + 1, value, lr, theta, target, self._validate() if step == self.step else {})
            why = trouble(self.losses, self.theta.numpy(), self.steps, len(self.batches), margin)
            if why and self.fabric.is_global_zero:
                warnings.warn(NotConvergingWarning(why), stacklevel=3)

    def _of_all(self, unread: Sequence[tuple[int, Tensor, float, Tensor]]) -> tuple[list[float], Sequence[Tensor]]:
        """Of the whole batches of some steps, of which every process has a share of the same size: losses, and what was seen.

        They travel together, which they do once in `READ_EVERY` steps on a GPU.
        """
        losses, seen = torch.stack([loss for _, loss, *_ in unread]), [each for *_, each in unread]
        if self.ranks.world > 1:
            with self.ranks.together():
                if self.sharded is None:  # whose loss is of all processes
                    losses = self.ranks.sum(losses) / self.ranks.world
                shares = torch.stack(seen, dim=1)
                seen = list(self.ranks.gather(shares, [len(shares)] * self.ranks.world).unbind(dim=1))
        return losses.tolist(), seen

    def save(self, path: Path, saver: Saver | None = None) -> None:
        """Write a checkpoint of all steps that were read; with several processes the first one does.

        Of a sharded head every one writes its part with its `saver`; without one the network and its optimizer alone are kept.
        """
        states: list[Any] = [_random_state(self.fabric.device)]
        if self.fabric.world_size > 1:
            states = [None] * self.fabric.world_size
            dist.all_gather_object(states, _random_state(self.fabric.device))
        learner, optimizer = self.learner.state_dict(), self.optimizer.state_dict()
        if self.sharded is not None:
            learner, optimizer, tables = take_out(learner, optimizer, self._table_names())
            if saver is not None:
                saver.save(self._checkpoint(learner, optimizer, states), tables)
                return
        if self.fabric.is_global_zero:
            checkpoints.save(self._checkpoint(learner, optimizer, states), path)
        self.fabric.barrier()

    def _checkpoint(self, learner: dict[str, Any], optimizer: dict[str, Any], random: list[Any]) -> checkpoints.Checkpoint:
        return checkpoints.Checkpoint(
            recipe=self.recipe.to_json(),
            data=self.data.trained_on,
            steps=self.steps,
            step=self.step,
            position=self.position,
            epoch_start=self.epoch_start,
            learner=learner,
            optimizer=optimizer,
            schedule=self.schedule.state_dict(),
            scaler=self.fabric.strategy.precision.state_dict(),
            average=self.average.state_dict() if self.average else None,
            random=random,
            losses=self.losses,
            theta=self.theta,
            film=self.film.frames if self.film else [],
            seconds=self.seconds(),
            about=checkpoints.about(self.data),
            validation=self.validation.history if self.validation else [],
        )

    def _table_names(self) -> dict[str, int]:
        """The tables with a row for each class, with the optimizer's numbers of those that are parameters, else -1."""
        if self.sharded is None:
            return {}
        parameters = [p for group in self.optimizer.optimizer.param_groups for p in group["params"]]
        numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
        named = dict(self.sharded.named_parameters())
        return {f"head.{name}": numbers[id(named[name])] if name in named else -1 for name in self.sharded.per_class()}

    def restore(self, found: checkpoints.Checkpoint, fill: Callable[[Tables], None] | None = None) -> None:
        """Go on from a checkpoint; `fill` fills the tables of a sharded head. Raises: ValueError where it does not fit."""
        try:
            if fill is not None:
                names, own = self._table_names(), self.learner.state_dict()
                learner, optimizer = put_back(found.learner, found.optimizer, own, names, fill)
                found = replace(found, learner=learner, optimizer=optimizer)
            self._restore(found)
        except (KeyError, IndexError, TypeError, AttributeError, RuntimeError) as error:
            raise ValueError(f"not a checkpoint of this run ({type(error).__name__}: {str(error).splitlines()[0]})") from error

    def _restore(self, found: checkpoints.Checkpoint) -> None:
        self._check_forms(found)
        self.step, self.position, self.epoch_start = found.step, found.position, found.epoch_start
        self.learner.load_state_dict(found.learner)
        self.optimizer.load_state_dict(found.optimizer)
        self.schedule.load_state_dict(found.schedule)
        self.fabric.strategy.precision.load_state_dict(found.scaler)
        if self.average is not None and found.average is not None:
            self.average.load_state_dict(found.average)
        self.losses = found.losses
        self.theta = found.theta
        if self.film is not None:
            self.film.frames = list(found.film)
        if self.validation is not None:
            self.validation.history = found.validation
        self._before = found.seconds
        self.batches.generator.set_state(found.epoch_start)
        if len(found.random) == self.fabric.world_size:
            _set_random_state(found.random[self.fabric.global_rank], self.fabric.device)

    def _check_forms(self, found: checkpoints.Checkpoint) -> None:
        """That every state is of the form of this run's own, before any of them is touched."""
        kept: dict[str, Any] = {
            "learner": self.learner.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "theta": self.theta,
            "film": self.film.like(found.step) if self.film else [],
        }
        for name, own in kept.items():
            checkpoints.check_form(getattr(found, name), own, name)
        if found.schedule["last_epoch"] != found.step or found.position > len(self.batches):
            raise ValueError("its schedule or its place in the epoch is not that of its step")
        checkpoints.check_form(found.optimizer["param_groups"], self.optimizer.state_dict()["param_groups"], "optimizer")
        states, moved = found.optimizer["state"], _moved(self.optimizer.optimizer)
        unmoved = {i for i in moved if i not in states}  # parameters without a gradient
        if moved and len(unmoved) == len(moved):
            raise ValueError("its optimizer has no state")
        checkpoints.check_form(states, {i: state for i, state in moved.items() if i not in unmoved}, "optimizer's state")

    def evaluated(self) -> Learner:
        """The learner with the weights that count, the same on all processes, which have to call this together."""
        learner = Learner(self.average.module, self.learner.head) if self.average is not None else self.learner
        for buffer in learner.backbone.buffers():  # the first process's, as at the beginning of every step
            self.ranks.broadcast(buffer, 0)
        return learner


def _moved(optimizer: torch.optim.Optimizer) -> dict[int, Any]:
    """What state such an optimizer has for each parameter after a step, in shapes alone."""
    parameters = [nn.Parameter(p.detach().to("meta")) for group in optimizer.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = torch.empty_like(parameter)
    twin = type(optimizer)(parameters, **optimizer.defaults)
    twin.step()
    return twin.state_dict()["state"]


def _seed_of_step(seed: int, step: int) -> int:
    """A number of its own for every seed below 2**32 and step, within the 64 bits that PyTorch takes.

    The upper ten bits of a large seed are where smaller ones have zeros, so that the draws of these stay what they were.
    """
    return (seed * 2**32 + step) * 1024 % 2**64 + seed // 2**22


def _random_state(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def _set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
