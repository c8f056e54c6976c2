"""Recipes as people write them."""

import json
import re
from dataclasses import is_dataclass, replace
from inspect import signature
from typing import get_args, get_type_hints

import pytest

from marginface.adaptive import AdaptiveFace, MagFace
from marginface.margins import Annealing, ArcFace, CosFace, InterFace, Margin, Ramp, Softmax, SphereFace
from marginface.pairwise import CirclePairLoss, ContrastiveLoss, NPairLoss, PairLoss
from marginface.regularizers import IAM, CenterLoss, Fresh
from marginface.settings import Radians
from marginface.spread import MarginalLoss, RangeLoss, UniformFace
from marginface.training.editing import changed, from_plain, from_toml, named, to_toml, whole, with_loss
from marginface.training.recipes import RECIPES, SMALL, Recipe, loss_kinds
from marginface.triplet import Triplet
from marginface.variants import CircleLoss, SphereFace2, SphereFaceR

EVERYTHING = replace(
    SMALL,
    margin=SphereFace(2, Annealing(end=3.0)),
    regularizers=(IAM(0.1), Fresh.of(CenterLoss, weight=0.01)),
    milestones=(0.25, 0.5),
    dropout=0.2,
    steps=100,
    accumulate=2,
    start=RECIPES["arcface/softmax-ms1m"],
)


IN_RADIANS = replace(SMALL, margin=InterFace(16, b=Radians(10)), start=replace(SMALL, margin=InterFace(16, b=Radians(30))))


@pytest.mark.parametrize("recipe", [*RECIPES.values(), EVERYTHING, IN_RADIANS], ids=[*RECIPES, "everything", "in radians"])
def test_a_recipe_survives_its_own_toml(recipe: Recipe) -> None:
    again = from_toml(to_toml(recipe), "shown.toml")
    assert again == recipe
    assert again.key == recipe.key


def optional_fields() -> list[tuple[str, str]]:
    """Every loss with each of its fields that may be None."""
    kinds = loss_kinds()
    hints = {name: get_type_hints(kind if is_dataclass(kind) else vars(kind)["__init__"]) for name, kind in kinds.items()}
    fields = {name: signature(kind).parameters for name, kind in kinds.items()}
    return [(name, field) for name, of in fields.items() for field in of if type(None) in get_args(hints[name][field])]


@pytest.mark.parametrize(("name", "field"), optional_fields())
def test_none_survives_toml_in_every_field_that_may_have_it(name: str, field: str) -> None:
    kind = loss_kinds()[name]
    needed = {each.name: 1.0 for each in signature(kind).parameters.values() if each.default is each.empty}
    loss = {"loss": name, **needed, field: None}
    is_margin = issubclass(kind, Margin | PairLoss)
    recipe = from_plain({"margin": loss} if is_margin else {"margin": "ArcFace", "regularizers": [loss]})
    started = replace(SMALL, start=recipe)
    for each in (recipe, started):
        again = from_toml(to_toml(each), "shown.toml")
        assert again == each
        assert again.key == each.key


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("lr=1e-3", {"lr": 1e-3}),
        ("backbone=LResNet50E-IR", {"backbone": "LResNet50E-IR"}),
        ("margin.m=0.3", {"margin": ArcFace(16, 0.3)}),
        ("margin.m = Ramp(0, 0.5, steps=1000)", {"margin": ArcFace(16, Ramp(0, 0.5, 1000))}),
        ("margin=CosFace(scale=16, m=.2)", {"margin": CosFace(16, 0.2)}),
        ("margin=cosface", {"margin": CosFace()}),
        ("margin=Triplet(each=2)", {"margin": Triplet(each=2)}),
        ("margin=ContrastiveLoss(1.2, normalized=False)", {"margin": ContrastiveLoss(1.2, normalized=False)}),
        ("margin=NPairLoss(scale=16)", {"margin": NPairLoss(scale=16)}),
        ("margin=CirclePairLoss(0.25, gamma=64)", {"margin": CirclePairLoss(0.25, 64)}),
        ("regularizers=[MarginalLoss(1), UniformFace()]", {"regularizers": (MarginalLoss(1), UniformFace())}),
        ("regularizers=[RangeLoss(5e-5, 1e-4, 2000, each=8)]", {"regularizers": (RangeLoss(5e-5, 1e-4, 2000, each=8),)}),
        ("margin.fallback=easy", {"margin": ArcFace(16, 0.2, fallback="easy")}),
        ("margin.fallback=none", {"margin": ArcFace(16, 0.2)}),
        ("margin=SphereFaceR(scale=None)", {"margin": SphereFaceR(scale=None)}),
        ("margin=InterFace(16, b=Radians(10))", {"margin": InterFace(16, b=Radians(10))}),
        ("margin=InterFace(16, b=0.5)", {"margin": InterFace(16, b=0.5)}),
        ("regularizers=[IAM(0.1), CenterLoss(weight=0.01)]", {"regularizers": EVERYTHING.regularizers}),
        ("milestones=[0.25, 0.5]", {"milestones": (0.25, 0.5)}),
        ("steps=100", {"steps": 100}),
        ("steps=None", {"steps": None}),
        ("dropout=none", {"dropout": None}),
    ],
)
def test_any_field_can_be_changed(setting: str, expected: dict[str, object]) -> None:
    assert changed(SMALL, [setting]) == replace(SMALL, **expected)  # type: ignore[arg-type]


def test_later_settings_see_earlier_ones() -> None:
    settings = ["margin.m=Ramp(0, 0.5, 1000)", "margin.m.end=0.3", "regularizers=[IAM(0.1)]", "regularizers.iam.beta=0.2"]
    assert changed(SMALL, settings) == replace(SMALL, margin=ArcFace(16, Ramp(0, 0.3, 1000)), regularizers=(IAM(0.2),))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr", "expected FIELD=VALUE, such as lr=0.05"),
        ("mragin.m=0.3", "a recipe has no 'mragin'; did you mean 'margin'"),
        ("learning_rate=0.3", "did you mean 'lr'"),
        ("weightdecay=0.3", "did you mean 'weight_decay'"),
        ("lr=abc", "lr='abc' must be a number"),
        ("lr=-1", "lr=-1 makes no sense"),
        ("batch_size=3.5", "batch_size=3.5 must be a whole number"),
        ("epochs=True", "epochs=True must be a whole number"),
        ("steps=many", "steps='many' must be a whole number or None"),
        ("milestones=0.5", "milestones=0.5 must be a list of numbers"),
        ("optimizer=sdg", "optimizer='sdg' must be one of sgd, adam, rmsprop; did you mean 'sgd'"),
        ("backbone=LResNet50-IR", "unknown backbone 'LResNet50-IR'.* did you mean 'LResNet50E-IR'"),
        ("margin=ArcFase", "unknown loss 'ArcFase'; did you mean 'ArcFace'"),
        ("margin=IAM(0.1)", "unknown loss 'IAM'; known: AdaCos, "),
        ("margin=3", "margin=3 must be such as ArcFace"),
        ("margin.scal=30", "ArcFace has no 'scal'; did you mean 'scale'"),
        ("margin.m=high", "ArcFace.m='high' must be a number or a schedule"),
        ("margin.m=7", "m=7 must lie in"),
        ("margin=InterFace(b=Radians('10'))", r"Radians has one number, such as Radians\(10\)"),
        ("margin.m=ArcFace()", "unknown loss 'ArcFace'; known: Annealing, Ramp"),
        ("margin.m=Ramp(0, 0.5)", "Ramp needs steps; such as Ramp"),
        ("margin=ArcFace(1, 2, 3, 4, 5)", "ArcFace has 4 fields: scale, m"),
        ("margin.m.end=0.3", "m is 0.2, and has no field 'end'"),
        ("regularizers=IAM", "regularizers='IAM' must be a list"),
        ("regularizers=[ArcFace()]", "unknown loss 'ArcFace'; known: CenterLoss"),
        ("regularizers.iam.beta=0.1", "regularizers has no 'iam', but none"),
        ("start=3", "start=3 must be a recipe"),
    ],
)
def test_what_makes_no_sense_is_named_and_the_nearest_offered(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(SMALL, [setting])


@pytest.mark.parametrize("b", [10, 30.0, -1])
def test_degrees_are_refused_as_a_loss_by_itself_does_it(b: float) -> None:
    with pytest.raises(ValueError, match="InterFace: b=") as error:
        InterFace(b=b)
    message = re.escape(str(error.value))
    plain = whole(SMALL) | {"margin": {"loss": "InterFace", "b": b}}
    for written in (
        lambda: changed(SMALL, [f"margin=InterFace(b={b})"]),
        lambda: changed(SMALL, ["margin=InterFace()", f"margin.b={b}"]),
        lambda: from_toml(f'margin = {{loss = "InterFace", b = {b}}}', "my.toml"),
        lambda: from_toml(f'margin = "ArcFace"\n[start.margin]\nloss = "interface"\nb = {b}', "my.toml"),
        lambda: from_plain(plain),
    ):
        with pytest.raises(ValueError, match=message):
            written()


def test_what_is_said_to_be_in_radians_stays_as_it_is() -> None:
    """Whatever else of the recipe is changed, and of a record without a word."""
    expected = Recipe(InterFace(b=Radians(10)))
    assert from_toml('margin = {loss = "InterFace", b = "Radians(10)"}', "my.toml") == expected
    assert changed(expected, ["lr=0.05"]) == replace(expected, lr=0.05)
    recorded = json.loads(json.dumps(expected.to_json()))
    assert Recipe.from_json(recorded) == from_plain(recorded, recorded=True) == expected
    assert isinstance(from_plain(recorded, recorded=True).margin.b, Radians)  # type: ignore[union-attr]


AT_16 = {  # what is not at its defaults but for a scale of 16, the recipe's
    "CircleLoss": [CircleLoss(64)],  # 256 · 16 / 64
    "SphereFace2": [SphereFace2(10)],  # 40 · 16 / 64
    "MagFace": [MagFace(16, lam=35 / 4)],
    "AdaptiveFace": [AdaptiveFace(16, lam=10 / 4)],
    "UniformFace": [ArcFace(16), UniformFace(1.0, "batch")],
    "MarginalLoss": [Softmax(), MarginalLoss(1.0)],
    "RangeLoss": [Softmax(), RangeLoss(5e-5, 1e-4, 2e4)],
}
LOSSES = {name: kind for name, kind in loss_kinds().items() if issubclass(kind, Margin | PairLoss) or name in AT_16}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_named(name: str) -> None:
    recipe, kind = with_loss(SMALL, name.lower()), LOSSES[name]
    has_scale = "scale" in signature(kind).parameters and signature(kind).parameters["scale"].default is not None
    expected = AT_16.get(name) or [kind(scale=16) if has_scale else kind()]
    assert [recipe.margin, *recipe.regularizers] == expected
    assert recipe.each == getattr(expected[-1], "each", 1)
    assert replace(recipe, margin=SMALL.margin, regularizers=()) == SMALL
    assert from_toml(to_toml(recipe), "shown.toml").key == recipe.key


@pytest.mark.parametrize("name", ["circleloss", "sphereface2", "magface", "adaptiveface"])
def test_from_a_papers_scale_a_loss_has_its_papers_settings(name: str) -> None:
    margin = with_loss(RECIPES["arcface/arcface-ms1m"], name).margin
    assert margin == type(margin)()
    assert with_loss(replace(SMALL, margin=margin), "arcface").margin == ArcFace(64)
    assert with_loss(replace(SMALL, margin=margin), name).margin == margin


def test_a_loss_that_is_added_takes_the_place_of_another() -> None:
    recipe = replace(SMALL, regularizers=(IAM(0.1), Fresh.of(CenterLoss, weight=0.01)))
    uniform = with_loss(recipe, "uniformface")
    assert uniform.regularizers == (*recipe.regularizers, UniformFace(1.0, "batch"))
    assert with_loss(uniform, "uniformface") == uniform
    assert with_loss(uniform, "rangeloss").regularizers[2:] == (RangeLoss(5e-5, 1e-4, 2e4),)
    assert with_loss(uniform, "arcface").regularizers == recipe.regularizers


def test_another_loss_keeps_the_scale() -> None:
    assert with_loss(SMALL, "cosface").key == replace(SMALL, margin=CosFace(16)).key
    assert with_loss(SMALL, "Softmax").margin == with_loss(SMALL, "softmax").margin
    assert with_loss(replace(SMALL, margin=Triplet()), "arcface").margin == ArcFace()
    for loss in (Triplet(), ContrastiveLoss(), NPairLoss(), CirclePairLoss()):  # of pairs, which have none unless it is set
        assert with_loss(SMALL, type(loss).__name__.lower()).margin == loss
    with pytest.raises(ValueError, match="unknown loss 'arcfase'; did you mean 'ArcFace'"):
        with_loss(SMALL, "arcfase")


def test_a_recipe_by_its_name() -> None:
    assert named("small") is SMALL
    with pytest.raises(ValueError, match="unknown recipe 'arcface/arcfase-ms1m'; did you mean 'arcface/arcface-ms1m'"):
        named("arcface/arcfase-ms1m")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", "my.toml: Invalid value"),
        ("lr = 0.1", "my.toml: a recipe needs a margin"),
        ('margin = "ArcFace"\nlearning = 1', "my.toml: a recipe has no 'learning'"),
        ("[margin]\nscale = 16", "my.toml: margin=.* must be such as ArcFace"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_toml(text, "my.toml")
    assert from_toml('margin = "ArcFace"', "my.toml") == Recipe(ArcFace())
