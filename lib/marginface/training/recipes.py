"""Recipes: everything that decides how a run turns out, as plain data."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from marginface import adaptive, adjacent, margins, pairwise, regularizers, spread, triplet, variants
from marginface.adjacent import PAM
from marginface.batches import Scaled
from marginface.data.catalog import unspoiled
from marginface.margins import Annealing, ArcFace, CosFace, InterFace, Margin, NormFace, Ramp, Softmax, SphereFace
from marginface.pairwise import PairLoss
from marginface.regularizers import IAM, Fresh, Stateful, Stateless
from marginface.settings import Radians, Schedule
from marginface.triplet import Triplet

Precision = Literal["auto", "32-true", "64-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Recipe:
    """One training run. Two equal recipes give the same result on the same machine.

    The learning rate follows `schedule`: "steps" multiplies it by `gamma` at the milestones, which are fractions of the run;
    "cosine" and "linear" bring it to 0 at the end. In the first `warmup` of the run it rises from 0. The head's class
    weights are an optimizer group of their own, with the learning rate times `head_lr_factor`.

    Images are brought to `normalisation` (see `align.normalise`), mirrored with probability `flip`, and shifted, turned and
    scaled by up to `jitter` (see `batches.augment`). `dropout` is that of the backbone's output; None leaves it as the
    backbone has it. `clip` is the largest norm of the gradient. `average` is the decay of a moving average of the backbone's
    weights, which is then what is evaluated. `margin` may be a `PairLoss`, such as `Triplet`, to tune a trained backbone
    further. `steps`, where given, decides how long to train, and `epochs` does not. `start` is the run whose backbone this one
    starts from. A loss or regularizer of pairs says how many images of `each` person a batch has.

    In the first `freeze` of the run the backbone stays as it is, and the head alone learns. `accumulate` cuts a batch in so
    many parts, one after the other, which takes less memory: a step is still one of the whole batch, statistics are a part's.

    With a `sample_rate` below 1 a batch meets a part of the classes, which stand for the others, too, if `corrected` (see
    `sharded.ShardedMarginHead`). A `block` is how many images are read in a row of what does not fit memory (see
    `batches.BlockBatches`); 0 draws each by itself.
    """

    margin: Margin | PairLoss
    regularizers: tuple[Stateless | Fresh, ...] = ()
    data: str = "mnist"
    backbone: str = "IAM-Toy"
    embedding_dim: int = 3
    epochs: int = 4
    batch_size: int = 128
    optimizer: Literal["sgd", "adam", "rmsprop"] = "sgd"
    lr: float = 0.1
    head_lr_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    precision: Precision = "32-true"
    seed: int = 0
    # what came after records had been made; see `to_json`
    normalisation: Literal["unit", "fixed", "whitened"] = "unit"
    schedule: Literal["steps", "cosine", "linear"] = "steps"
    warmup: float = 0.0
    flip: float = 0.0
    jitter: float = 0.0
    dropout: float | None = None
    clip: float | None = None
    average: float = 0.0
    steps: int | None = None
    start: "Recipe | None" = None
    freeze: float = 0.0
    accumulate: int = 1
    sample_rate: float = 1.0
    corrected: bool = False
    block: int = 0

    def __post_init__(self) -> None:
        checks = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 2,
            "embedding_dim": self.embedding_dim >= 1,
            "optimizer": self.optimizer in ("sgd", "adam", "rmsprop"),
            "lr": self.lr > 0,
            "head_lr_factor": self.head_lr_factor >= 0,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": self.weight_decay >= 0,
            "milestones": all(0 < m < 1 for m in self.milestones) and list(self.milestones) == sorted(self.milestones),
            "gamma": 0 < self.gamma <= 1,
            "seed": self.seed >= 0,
            "normalisation": self.normalisation in ("unit", "fixed", "whitened"),
            "schedule": self.schedule in ("steps", "cosine", "linear"),
            "warmup": 0 <= self.warmup < 1,
            "flip": 0 <= self.flip <= 1,
            "jitter": 0 <= self.jitter < 1,
            "dropout": self.dropout is None or 0 <= self.dropout < 1,
            "clip": self.clip is None or self.clip > 0,
            "average": 0 <= self.average < 1,
            "steps": self.steps is None or self.steps >= 1,
            "freeze": 0 <= self.freeze < 1,
            "sample_rate": 0 < self.sample_rate <= 1,
            "block": self.block >= 0,
            "accumulate": 1 <= self.accumulate <= self.batch_size,
        }
        for name, valid in checks.items():
            if not valid:
                raise ValueError(f"Recipe: {name}={getattr(self, name)!r} makes no sense")
        if self.precision not in get_args(Precision):
            raise ValueError(f"Recipe: precision={self.precision!r} must be one of {', '.join(get_args(Precision))}")
        if self.seed >= 2**32:
            raise ValueError(f"Recipe: seed={self.seed!r} must be less than 2**32, as the seeds of NumPy are")
        if isinstance(self.margin, PairLoss):
            self._check_without_class_weights()
        if len(self._each()) > 1:
            raise ValueError(f"Recipe: its losses have each={' and '.join(map(str, sorted(self._each())))} images of a person")

    def _check_without_class_weights(self) -> None:
        """Raise a ValueError that names the first field that a loss of pairs would leave out of account."""
        meant = {
            "regularizers": self.regularizers != (),
            "freeze": self.freeze > 0,
            "sample_rate": self.sample_rate < 1,
            "corrected": self.corrected,
        }
        for name in (name for name, given in meant.items() if given):
            loss, value = type(self.margin).__name__, getattr(self, name)
            raise ValueError(f"Recipe: {name}={value!r} is for class weights, and {loss}, a loss of pairs, has none")

    def course(self, step: int, steps: int) -> float:
        """What the learning rate is multiplied by at one of so many steps."""
        left = 1 - step / max(steps, 1)
        course = {
            "steps": self.gamma ** sum(step >= round(milestone * steps) for milestone in self.milestones),
            "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
            "linear": left,
        }[self.schedule]
        warm = round(self.warmup * steps)
        return course * min(1.0, (step + 1) / warm) if warm else course

    @property
    def each(self) -> int:
        """How many images of a person a batch has; 1 where images are drawn one by one."""
        return max(self._each(), default=1)

    def _each(self) -> set[int]:
        return {getattr(part, "each", 1) for part in (self.margin, *self.regularizers)} - {1}

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` turns back into an equal recipe.

        Fields from `normalisation` on are left out where they have their defaults, so that older records keep their keys.
        """
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        later = [field.name for field in fields(self)]
        for field in fields(self)[later.index("normalisation") :]:
            if plain[field.name] == field.default:
                del plain[field.name]
        plain["margin"] = _named(self.margin)
        plain["regularizers"] = [_named(r) for r in self.regularizers]
        plain["milestones"] = list(self.milestones)
        if self.start is not None:
            plain["start"] = self.start.to_json()
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Recipe":
        return cls(
            **plain
            | {
                "margin": _built(plain["margin"]),
                "regularizers": tuple(_built(r) for r in plain["regularizers"]),
                "milestones": tuple(plain["milestones"]),
                "start": cls.from_json(plain["start"]) if "start" in plain else None,
            }
        )

    @property
    def key(self) -> str:
        """The first 16 hex digits of the sha256 of the whole recipe: the name of its record.

        Of the run that it starts from, the key counts.
        """
        plain = self.to_json() | ({"start": self.start.key} if self.start else {})
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _named(loss: Margin | PairLoss | Stateless | Fresh | Schedule) -> dict[str, Any]:
    """A loss as its name and its fields, without those that are "later" than records and have their defaults."""
    if isinstance(loss, Fresh):
        return {"loss": loss.kind.__name__} | dict(loss.settings)
    every = [(f, getattr(loss, f.name)) for f in fields(loss)]  # type: ignore[arg-type]
    plain = {f.name: value for f, value in every if not (f.metadata.get("later") and value == f.default)}
    return {"loss": type(loss).__name__} | {n: _named(v) if isinstance(v, Schedule) else v for n, v in plain.items()}


def _built(plain: dict[str, Any]) -> Any:
    """The loss that `_named` described."""
    settings = {name: _built(value) if isinstance(value, dict) else value for name, value in plain.items() if name != "loss"}
    if settings.get("b", 0) > math.pi:  # a recipe has been checked already
        settings["b"] = Radians(settings["b"])
    kind = loss_kind(plain["loss"])
    return Fresh.of(kind, **settings) if issubclass(kind, Stateful) else kind(**settings)


def loss_kinds() -> dict[str, type]:
    """What a recipe may name as a loss, a regularizer or a schedule, by its name."""
    bases = (Margin, PairLoss, Stateless, Stateful)
    return {
        name: kind
        for module in (margins, adaptive, variants, regularizers, adjacent, spread, pairwise, triplet)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, (*bases, Annealing, Ramp)) and kind not in (*bases, Scaled)
        if name[0] != "_"
    }


def loss_kind(name: str) -> type[Any]:
    """One of `loss_kinds`. Raises: ValueError for a name that there is not."""
    if (kind := loss_kinds().get(name)) is None:
        raise ValueError(f"unknown loss {name!r}")
    return kind


def with_seeds(recipe: Recipe, seeds: Sequence[int]) -> list[Recipe]:
    """The recipe once for every seed, and with it the run that it starts from."""
    return [replace(recipe, seed=seed, start=recipe.start and with_seeds(recipe.start, [seed])[0]) for seed in seeds]


def on_choice(recipe: Recipe) -> Recipe:
    """The recipe on what its data set aside: people of the training half, or characters, on which alone anything is chosen."""
    whole, how = unspoiled(recipe.data)
    return replace(recipe, data=f"{whole}/choice" + f"/{how}" * bool(how))


def _drops(steps: int, *at: int) -> dict[str, Any]:
    """The length of a run and where its learning rate drops, both in steps."""
    return {"steps": steps, "milestones": tuple(step / steps for step in at)}


# ArcFace §3.2: batch 512, 0.1 divided by 10 at 100k, 140k and 160k of 200k steps, momentum 0.9, weight decay 5e-4, dropout 0.4,
# (x - 127.5) / 128; mirroring is of their code. s = 64, and m as in Table 7.
ARCFACE = Recipe(
    ArcFace(64, 0.5),
    data="faces_ms1m_112x112",
    backbone="LResNet100E-IR",
    embedding_dim=512,
    batch_size=512,
    precision="auto",
    normalisation="fixed",
    flip=0.5,
    dropout=0.4,
    **_drops(200_000, 100_000, 140_000, 160_000),
)
# InterFace §III: batch 512, 0.1 divided by 10 at 80k, 140k, 210k and 280k of 295k steps, momentum 0.9, weight decay 5e-4,
# [-1, 1], mirrored with 0.5. Their released configuration adds a dropout of 0 and gradients clipped at 5.
INTERFACE = replace(
    ARCFACE,
    margin=InterFace.cid_ct(),
    data="faces_emore",
    normalisation="unit",
    dropout=0.0,
    clip=5.0,
    **_drops(295_000, 80_000, 140_000, 210_000, 280_000),
)
# Their released configuration for CASIA: R50, 34 epochs with drops at 20, 28 and 32.
INTERFACE_CASIA = replace(
    INTERFACE,
    data="faces_webface_112x112",
    backbone="LResNet50E-IR",
    epochs=34,
    steps=None,
    milestones=(20 / 34, 28 / 34, 32 / 34),
)
# IAM §5.2: batch 90, 0.1 divided by 10 at 60k and 120k, weight decay 5e-4, whitened, s = 30. The paper names neither the
# optimizer nor the end: SGD with momentum 0.9 and 150k steps are ours, and so is the dropout of 0.2.
IAM_CASIA = Recipe(
    NormFace(30),
    data="casia_160x160",
    backbone="Inception-ResNet-v1",
    embedding_dim=512,
    batch_size=90,
    precision="auto",
    normalisation="whitened",
    flip=0.5,
    dropout=0.2,
    **_drops(150_000, 60_000, 120_000),
)
# PAM Table 1: batch 120, 360 epochs of 1000 steps, Adam with 0.05, 0.005 and 0.0005 from epochs 0, 100 and 200, weight decay
# 5e-4, mirrored, keep probability 0.4, moving average 0.9999, s = 40, m = 0.3; λ is 0 in the first 275 epochs (§4.1), and then
# "manually optimised": the paper prints no value, and 1 is ours.
PAM_VGG2 = Recipe(
    CosFace(40, 0.3),
    data="vggface2_160x160",
    backbone="Inception-ResNet-v1",
    embedding_dim=512,
    batch_size=120,
    optimizer="adam",
    lr=0.05,
    precision="auto",
    normalisation="whitened",
    flip=0.5,
    dropout=0.6,
    average=0.9999,
    **_drops(360_000, 100_000, 200_000),
)

# For photographs of one's own: what the recorded runs on a thousand people of LFW and CFP use, whose scale and margin were
# chosen on people set aside. Minutes on a laptop; with more than some thousand people, a larger network and scale are better.
SMALL = Recipe(
    ArcFace(16, 0.2),
    data="photographs",
    backbone="ResNet10E-IR-w24",
    embedding_dim=128,
    epochs=16,
    batch_size=32,
    lr=0.05,
    precision="auto",
    normalisation="fixed",
    schedule="cosine",
    warmup=0.05,
    flip=0.5,
)

# recipes by name: one for photographs of one's own, and the papers'. `data` is the folder's name below the data folder, for
# InsightFace's sets that of their archive
RECIPES: dict[str, Recipe] = {
    "small": SMALL,
    "arcface/softmax-vgg2": replace(ARCFACE, margin=Softmax(), data="faces_vgg_112x112", backbone="LResNet50E-IR"),
    "arcface/softmax-ms1m": replace(ARCFACE, margin=Softmax()),
    "arcface/sphereface-ms1m": replace(ARCFACE, margin=SphereFace(4, Annealing(), scale=64)),
    "arcface/cosface-ms1m": replace(ARCFACE, margin=CosFace(64, 0.35)),
    "arcface/arcface-ms1m": ARCFACE,
    "arcface/mobile-arcface-ms1m": replace(ARCFACE, backbone="LMobileNetE"),
    # §3.5: LResNet100E-IR, learning rate 0.005, momentum 0, weight decay 5e-4; length, margin and batch are ours
    "arcface/triplet-ms1m": replace(
        ARCFACE, margin=Triplet(0.35, "semi_hard", each=4), lr=0.005, momentum=0.0, steps=50_000, milestones=()
    ),
    **{
        f"interface/{name}-{data}": replace(base, margin=margin)
        for data, base in (("ms1mv2", INTERFACE), ("casia", INTERFACE_CASIA))
        for name, margin in {
            "arcface": ArcFace(64, 0.5),
            "cosface": CosFace(64, 0.35),
            "cid_ct": InterFace.cid_ct(),
            "did_ct": InterFace.did_ct(),
            "did_dt": InterFace.did_dt(),
        }.items()
    },
    "iam/scaled-softmax-casia": IAM_CASIA,
    "iam/scaled-softmax-iam-casia": replace(IAM_CASIA, regularizers=(IAM(0.8),)),  # the best β of Table 3
    "pam/softmax-vgg2": replace(PAM_VGG2, margin=Softmax()),
    "pam/am-softmax-vgg2": PAM_VGG2,
    "pam/v1-vgg2": replace(PAM_VGG2, regularizers=(Fresh.of(PAM, weight=1.0, start_step=275_000),)),
    "pam/v2-vgg2": replace(PAM_VGG2, regularizers=(Fresh.of(PAM, weight=1.0, version=2, start_step=275_000),)),
}
