"""The second test bed: the recipe by which the losses of all papers are trained on glyphs, and how it was chosen."""

from collections.abc import Sequence
from dataclasses import replace

from marginface.margins import ArcFace, CosFace, InterFace, Margin, NormFace, Softmax, SphereFace
from marginface.settings import Annealing
from marginface.training.recipes import Recipe, on_choice

SEEDS = (0, 1)  # with which candidates are tried
SCALE = 32.0  # s for a thousand characters
MANY = "glyphs/10000/32"  # ten times as many, each of whose images is seen once
TEN_THOUSAND = "glyphs, 10,000 characters"  # what pages call these
DECIDES = "glyphs seen all pairs TAR@FAR=1e-04"  # the measure by which recipes are told apart here

# about a minute on one thread, testing included. No mirroring: a character's mirror image is another shape
GLYPHS = Recipe(
    ArcFace(SCALE, 0.3),
    data="glyphs/1000/32",
    backbone="ResNet10E-IR-w16",
    embedding_dim=128,
    epochs=3,
    batch_size=128,
    lr=0.1,
    schedule="cosine",
    warmup=0.05,
    normalisation="fixed",
    dropout=0.0,
)

# λ = 5 from the middle of the run on, as it is with the public code's decay on faces
ANNEALED = Annealing(decay=0.4)

# each loss with the margins and scales among which its own was chosen
CANDIDATES: dict[str, tuple[Margin, ...]] = {
    "Softmax": (Softmax(),),
    "NormFace": tuple(NormFace(scale) for scale in (4.0, 8.0, 16.0, SCALE)),
    "SphereFace": tuple(SphereFace(4, ANNEALED, scale) for scale in (None, 16.0, SCALE)),
    "CosFace": tuple(
        CosFace(scale, m)
        for scale, margins in (
            (8.0, (0.2, 0.4, 0.6)),
            (16.0, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
            (SCALE, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
        )
        for m in margins
    ),
    "ArcFace": tuple(
        ArcFace(scale, m)
        for scale, margins in ((16.0, (0.4, 0.5, 0.6)), (SCALE, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)), (64.0, (0.4, 0.6)))
        for m in margins
    ),
    "InterFace cid&ct": tuple(
        InterFace.cid_ct(scale=scale, m=m)
        for scale, margins in ((16.0, (0.3, 0.4, 0.5, 0.6)), (SCALE, (0.3, 0.4, 0.5, 0.6, 0.7)), (64.0, (0.6,)))
        for m in margins
    ),
}
# of each loss the candidate with the highest mean of `DECIDES` on the characters set aside
MATCHED: dict[str, Margin] = {
    "Softmax": Softmax(),
    "NormFace": NormFace(8.0),
    "SphereFace": SphereFace(4, ANNEALED, 16.0),
    "CosFace": CosFace(16.0, 0.6),
    "ArcFace": ArcFace(SCALE, 0.6),
    "InterFace cid&ct": InterFace.cid_ct(scale=16.0, m=0.5),
}
# with the first margin of ArcFace, other settings of the recipe
SETTINGS: tuple[Recipe, ...] = tuple(
    replace(GLYPHS, **other) for other in ({"data": "glyphs/600/32"}, {"lr": 0.05}, {"lr": 0.2}, {"jitter": 0.1})
)


def choices(seeds: Sequence[int] | None = None) -> list[list[Recipe]]:
    """The runs that all this was chosen by: every candidate and setting with the first seed, then with the next."""
    candidates = [replace(GLYPHS, margin=margin) for margins in CANDIDATES.values() for margin in margins]
    tried = [on_choice(recipe) for recipe in (*candidates, *SETTINGS)]
    return [[replace(recipe, seed=seed) for recipe in tried] for seed in (SEEDS if seeds is None else seeds)]
