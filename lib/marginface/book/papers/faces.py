"""Faces at 112 pixels: the recipe by which losses are trained on half of LFW's and CFP's people, and what else was tried."""

from collections.abc import Sequence
from dataclasses import replace

from marginface.margins import ArcFace
from marginface.training.recipes import Recipe, on_choice

SEEDS = (0,)  # with which settings are tried
SCALE, M = 16.0, 0.2  # s and ArcFace's m for 936 people; the paper has 64 and 0.5 for 85 thousand

FACES = Recipe(
    ArcFace(SCALE, M),
    data="lfw+cfp/first/112",
    backbone="ResNet10E-IR-w24",
    embedding_dim=128,
    epochs=16,
    batch_size=32,
    lr=0.05,
    schedule="cosine",
    warmup=0.05,
    normalisation="fixed",
    flip=0.5,
)
# other settings, each at most ten minutes on one thread; the network's own dropout is 0.4
SETTINGS: tuple[Recipe, ...] = tuple(
    replace(FACES, **other)
    for other in (
        {"jitter": 0.1},
        {"lr": 0.1},
        {"lr": 0.2},
        {"dropout": 0.0},
        {"lr": 0.2, "dropout": 0.0},
        {"lr": 0.2, "epochs": 22},
        {"lr": 0.2, "epochs": 24, "backbone": "ResNet18E-IR-w16"},
    )
)


def choices(seeds: Sequence[int] | None = None) -> list[list[Recipe]]:
    """The runs that the recipe was chosen by."""
    return [[replace(on_choice(recipe), seed=seed) for recipe in (FACES, *SETTINGS)] for seed in (seeds or SEEDS)]
