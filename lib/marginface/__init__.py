"""Margin losses for face recognition, and what is needed to rerun the papers that proposed them.

Read in this order: `reference` (every equation as printed), `margins` (where each loss puts its margin), `heads` (the loss a
network trains with), `training` (one recipe in, one run out), `book` (recorded runs, and the papers' tables and figures).
"""

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from marginface.adaptive import AdaCos, AdaFace, AdaptiveFace, CurricularFace, DynArcFace, ElasticFace, MagFace
    from marginface.adjacent import PAM
    from marginface.backbones import create, names
    from marginface.data.pairs import load_bin
    from marginface.data.recordio import RecordDataset
    from marginface.evaluation.identification import cmc, rank_k
    from marginface.evaluation.verification import kfold_accuracy, roc, tar_at_far
    from marginface.heads import MarginHead
    from marginface.margins import (
        ArcFace,
        CombinedMargin,
        CosFace,
        InterFace,
        L2Softmax,
        LSoftmax,
        NormFace,
        RedefinedArcFace,
        Softmax,
        SphereFace,
        WeightNormSoftmax,
    )
    from marginface.pairwise import CirclePairLoss, ContrastiveLoss, NPairLoss, PairHead
    from marginface.regularizers import IAM, CenterLoss, RingLoss
    from marginface.spread import MarginalLoss, RangeLoss, UniformFace
    from marginface.training import train
    from marginface.triplet import Triplet
    from marginface.variants import CircleLoss, SphereFace2, SphereFaceR, SubCenterArcFace

# every loss there, also one that is added: its names are read, since to import it would import torch
_LOSSES = ("margins", "adaptive", "variants")
_HOMES = {
    "adjacent": ("PAM",),
    "backbones": ("create", "names"),
    "data.pairs": ("load_bin",),
    "data.recordio": ("RecordDataset",),
    "evaluation.identification": ("cmc", "rank_k"),
    "evaluation.verification": ("kfold_accuracy", "roc", "tar_at_far"),
    "heads": ("MarginHead",),
    "pairwise": ("CirclePairLoss", "ContrastiveLoss", "NPairLoss", "PairHead"),
    "regularizers": ("IAM", "CenterLoss", "RingLoss"),
    "spread": ("MarginalLoss", "RangeLoss", "UniformFace"),
    "training": ("train",),
    "triplet": ("Triplet",),
}
for _module in _LOSSES:
    _text = Path(__file__).with_name(f"{_module}.py").read_text(encoding="utf-8")
    _HOMES[_module] = tuple(name for name in re.findall(r"^class (\w+)\(", _text, re.MULTILINE) if not name.startswith("_"))
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [
    "IAM",
    "PAM",
    "AdaCos",
    "AdaFace",
    "AdaptiveFace",
    "ArcFace",
    "CenterLoss",
    "CircleLoss",
    "CirclePairLoss",
    "CombinedMargin",
    "ContrastiveLoss",
    "CosFace",
    "CurricularFace",
    "DynArcFace",
    "ElasticFace",
    "InterFace",
    "L2Softmax",
    "LSoftmax",
    "MagFace",
    "MarginHead",
    "MarginalLoss",
    "NPairLoss",
    "NormFace",
    "PairHead",
    "RangeLoss",
    "RecordDataset",
    "RedefinedArcFace",
    "RingLoss",
    "Softmax",
    "SphereFace",
    "SphereFace2",
    "SphereFaceR",
    "SubCenterArcFace",
    "Triplet",
    "UniformFace",
    "WeightNormSoftmax",
    "cmc",
    "create",
    "kfold_accuracy",
    "load_bin",
    "names",
    "rank_k",
    "roc",
    "tar_at_far",
    "train",
]
__all__ += [name for _module in _LOSSES for name in _HOMES[_module] if name not in __all__]


def __getattr__(name: str) -> Any:
    """A public name, from its module when it is first asked for: nobody waits for what they do not use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
