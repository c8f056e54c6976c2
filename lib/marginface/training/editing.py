"""Recipes as people write them: a TOML file, and single fields changed by name.

A recipe is plain data here: a dictionary of its fields in which a loss is a dictionary, too, {"loss": "ArcFace", "m": 0.3}.
"""

import ast
import dataclasses
import difflib
import inspect
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from marginface import backbones
from marginface.adaptive import AdaptiveFace, MagFace
from marginface.margins import ArcFace, Margin, Softmax
from marginface.pairwise import PairLoss
from marginface.regularizers import Stateful, Stateless
from marginface.settings import Annealing, Radians, Ramp
from marginface.spread import MarginalLoss, RangeLoss, UniformFace
from marginface.training.recipes import RECIPES, Recipe, loss_kinds
from marginface.variants import CircleLoss, SphereFace2

Plain = dict[str, Any]
OF_LOSSES = ("margin", "regularizers")  # the fields of a recipe that hold losses
# what may stand in a field, and an example
LOSS, REGULARIZER, SCHEDULE = (Margin, PairLoss), (Stateless, Stateful), (Annealing, Ramp)
SUCH_AS: dict[tuple[type, ...], str] = {
    LOSS: "ArcFace(scale=16, m=0.2)",
    REGULARIZER: "IAM(beta=0.1)",
    SCHEDULE: "Ramp(0, 0.5, 1000)",
}
# losses that are added to another, with that other, and their papers' settings where they have no defaults; over all pairs of
# many classes UniformFace would take longer than the network
ADDED: dict[type, tuple[type[Margin], Plain]] = {
    UniformFace: (ArcFace, {"loss": "UniformFace", "pairs": "batch"}),
    MarginalLoss: (Softmax, {"loss": "MarginalLoss", "weight": 1.0}),
    RangeLoss: (Softmax, {"loss": "RangeLoss", "alpha": 5e-5, "beta": 1e-4, "margin": 2e4}),
}
TIMES_S: dict[type, float] = {CircleLoss: 256 / 64, SphereFace2: 40 / 64}  # γ and r over ArcFace's s, in their papers
WITH_S = (MagFace, AdaptiveFace)  # what they add with the factor λ is as large as s times a cosine
OTHER_NAMES = {
    "learning_rate": "lr",
    "loss": "margin",
    "network": "backbone",
    "model": "backbone",
    "embedding_size": "embedding_dim",
}


def named(name: str) -> Recipe:
    """One of `RECIPES`. Raises: ValueError that offers the nearest name."""
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}{_nearest(name, RECIPES)}; known: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]


def changed(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """A recipe with fields changed: "lr=0.05", "backbone=LResNet50E-IR", "margin.m=0.3", "margin=CosFace(scale=16, m=0.2)",
    "margin.m=Ramp(0, 0.5, 1000)", "margin=InterFace(b=Radians(10))", "regularizers=[IAM(beta=0.1)]", "steps=None".

    Raises: ValueError for a field that there is not, which offers the nearest, or a value that makes no sense.
    """
    plain = whole(recipe)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise ValueError(f"{setting!r}: expected FIELD=VALUE, such as lr=0.05 or margin.m=0.3")
        _put(plain, path.strip().split("."), _value(text.strip()), "the recipe")
    return from_plain(plain)


def with_loss(recipe: Recipe, name: str) -> Recipe:
    """A recipe with another loss at its defaults but for the scale, which goes with the data, where both have one.

    It stays as it is; γ of CircleLoss and r of SphereFace2, which are scales of another kind, are to s as in their papers, and
    λ of MagFace and AdaptiveFace goes with it. A loss of `ADDED` comes with what it is added to. Those that the recipe has go,
    whatever the new loss is; other regularizers stay.
    """
    kind = _kind(name, (*LOSS, *ADDED))
    base, term = ADDED.get(kind, (kind, None))
    plain, defaults, scale = whole(recipe), _defaults(base), getattr(recipe.margin, "scale", None)
    others = [each for each in plain["regularizers"] if loss_kinds()[each["loss"]] not in ADDED]
    plain |= {"margin": {"loss": base.__name__}, "regularizers": others if term is None else [*others, term]}
    if scale is not None and defaults.get("scale") is not None:
        times = TIMES_S.get(base, 1) / TIMES_S.get(type(recipe.margin), 1)
        plain["margin"]["scale"] = scale if times == 1 else scale * times
        if base in WITH_S:
            plain["margin"]["lam"] = defaults["lam"] * plain["margin"]["scale"] / defaults["scale"]
    return from_plain(plain)


def whole(recipe: Recipe) -> Plain:
    """All fields, also those at their defaults, which `Recipe.to_json` may leave out; a start only where it has one."""
    defaults = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe) if field.name != "start"}
    return defaults | recipe.to_json()


def from_plain(plain: Mapping[str, Any], recorded: bool = False) -> Recipe:
    """The recipe that plain data describes; `recorded` is what `Recipe.to_json` gave, where an angle is not taken for degrees.

    Raises: ValueError naming the field that is unknown, missing or senseless.
    """
    fields = {field.name: field for field in dataclasses.fields(Recipe)}
    checked: Plain = {}
    for name, value in plain.items():
        if name not in fields:
            raise ValueError(_no_field(name))
        if name == "margin":
            checked[name] = _loss(value, "margin", LOSS)
            if not recorded:
                _check_angle(checked[name])
        elif name == "regularizers":
            if not isinstance(value, list | tuple):
                raise ValueError(f"regularizers={value!r} must be a list, such as [IAM(beta=0.1)]")
            checked[name] = [_loss(each, "regularizers", REGULARIZER) for each in value]
        elif name == "start" and value is not None:
            if not isinstance(value, dict):
                raise ValueError(f"start={value!r} must be a recipe: a checkpoint to start from is named otherwise")
            checked[name] = from_plain(value, recorded).to_json()
        elif value is not None or name in ("dropout", "clip", "steps"):
            checked[name] = _fitting(name, value, get_type_hints(Recipe)[name])
    if "margin" not in checked:
        raise ValueError("a recipe needs a margin, such as ArcFace(scale=16, m=0.2)")
    if (backbone := checked.get("backbone")) is not None:
        backbones.input_shape(backbone)  # raises where there is none of that name
    try:
        return Recipe.from_json({"regularizers": [], "milestones": Recipe.milestones} | checked)
    except TypeError as error:
        raise ValueError(str(error)) from error


def to_toml(recipe: Recipe) -> str:
    """The whole recipe as TOML, which `from_toml` reads back. TOML has no None: a field that is not set is a comment, one of a
    loss the word "None".
    """
    import tomlkit

    document = tomlkit.document()
    plain = whole(recipe)
    for name, value in plain.items():
        if value is None:
            document.add(tomlkit.comment(f"{name} is not set"))
        elif name not in (*OF_LOSSES, "start"):
            document.add(name, tomlkit.item(value))
    for name in (*OF_LOSSES, "start"):
        if name in plain:
            document.add(name, tomlkit.item(_without_none(plain[name])))
    return tomlkit.dumps(document)


def from_toml(text: str, name: str) -> Recipe:
    """The recipe in a TOML file; `name` says in errors which. Raises: ValueError naming the file and what is wrong in it."""
    try:
        return from_plain(tomllib.loads(text))
    except ValueError as error:  # tomllib's own is one
        raise ValueError(f"{name}: {error}") from error


def _without_none(value: Any) -> Any:
    """Plain data for TOML. What a run that this one starts from does not set is left out; of a loss, None is a word."""
    if isinstance(value, dict):
        said = {name: each for name, each in value.items() if each is not None or "loss" in value}
        return {name: "None" if each is None else _without_none(each) for name, each in said.items()}
    if isinstance(value, Radians):
        return f"Radians({float(value)!r})"
    return [_without_none(each) for each in value] if isinstance(value, list | tuple) else value


def _check_angle(margin: Plain) -> None:
    """Raise the loss's own ValueError for degrees, which `Recipe.from_json` takes for radians: a record was checked before."""
    if "b" in margin and not isinstance(margin["b"], Radians):
        loss_kinds()[margin["loss"]](b=margin["b"])


def _put(plain: Plain, path: Sequence[str], value: Any, of: str) -> None:
    """Change a field within plain data. Of a list of regularizers the one of a name is meant: regularizers.IAM.beta."""
    name, rest = path[0], path[1:]
    if of == "the recipe" and name not in {field.name for field in dataclasses.fields(Recipe)}:
        raise ValueError(_no_field(name))
    if not rest:
        plain[name] = value
        return
    within = plain.get(name)
    if isinstance(within, list):
        found = [each for each in within if each["loss"].lower() == rest[0].lower()]
        if not found or not rest[1:]:
            there = ", ".join(each["loss"] for each in within) or "none"
            raise ValueError(f"{name} has no {rest[0]!r}, but {there}; such as regularizers=[IAM(beta=0.1)]")
        within, rest = found[0], rest[1:]
    if not isinstance(within, dict):
        raise ValueError(f"{name} is {within!r}, and has no field {rest[0]!r}")
    _put(within, rest, value, name)


def _value(text: str) -> Any:
    """What a setting says: a number, True, False, None, a list, a loss such as ArcFace(m=0.3); all else is a word as it is."""
    try:
        return _read(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError):  # such as LResNet50E-IR
        return text


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "none": None}.get(node.id.lower(), node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_read(node.operand)
    if isinstance(node, ast.List | ast.Tuple):
        return [_read(each) for each in node.elts]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.lower() == "radians":
        value = _read(node.args[0]) if len(node.args) == 1 and not node.keywords else None
        if value is None or not _is_number(value):
            raise ValueError("Radians has one number, such as Radians(10)")
        return Radians(value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and all(each.arg for each in node.keywords):
        kind = _kind(node.func.id, (*LOSS, *REGULARIZER, *SCHEDULE))
        name, order = kind.__name__, list(_defaults(kind))
        if len(node.args) > len(order):
            raise ValueError(f"{name} has {len(order)} fields: {', '.join(order)}")
        given = dict(zip(order, node.args, strict=False)) | {str(each.arg): each.value for each in node.keywords}
        return {"loss": name} | {field: _read(value) for field, value in given.items()}
    raise TypeError("no value of a recipe")


def _loss(value: Any, field: str, kinds: tuple[type, ...]) -> Plain:
    """A loss as plain data, checked: {"loss": name, …}, or its name alone."""
    plain = {"loss": value} if isinstance(value, str) else value
    if not isinstance(plain, dict) or not isinstance(plain.get("loss"), str):
        raise ValueError(f"{field}={value!r} must be such as {SUCH_AS[kinds]}")
    kind = _kind(plain["loss"], kinds)
    name, defaults = kind.__name__, _defaults(kind)
    hints = get_type_hints(kind if dataclasses.is_dataclass(kind) else kind.__init__)
    checked: Plain = {"loss": name}
    for part, setting in plain.items():
        if part == "loss":
            continue
        if part not in defaults:
            raise ValueError(f"{name} has no {part!r}{_nearest(part, defaults)}; it has {', '.join(defaults) or 'no fields'}")
        if isinstance(setting, str) and (setting == "None" or setting.lower().startswith("radians(")):  # TOML has words alone
            setting = _value(setting)
        if isinstance(setting, dict):
            checked[part] = _loss(setting, f"{name}.{part}", SCHEDULE)
        else:
            checked[part] = _fitting(f"{name}.{part}", setting, hints[part])
    if missing := [part for part, default in defaults.items() if default is inspect.Parameter.empty and part not in checked]:
        raise ValueError(f"{name} needs {missing[0]}; such as {SUCH_AS[kinds]}")
    return checked


def _kind(name: str, kinds: tuple[type, ...]) -> type[Any]:
    """A loss by its name, in whatever case."""
    known = {kind.__name__: kind for kind in loss_kinds().values() if issubclass(kind, kinds)}
    found = {each.lower(): kind for each, kind in known.items()}.get(name.lower())
    if found is None:
        raise ValueError(f"unknown loss {name!r}{_nearest(name, known)}; known: {', '.join(sorted(known))}")
    return found


def _defaults(kind: type) -> dict[str, Any]:
    """The fields of a loss in their order, with their defaults."""
    return {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}


def _no_field(name: str) -> str:
    fields = [field.name for field in dataclasses.fields(Recipe)]
    meant = f"; did you mean {OTHER_NAMES[name]!r}?" if name in OTHER_NAMES else _nearest(name, fields)
    return f"a recipe has no {name!r}{meant}; it has {', '.join(fields)}"


def _fitting(name: str, value: Any, hint: Any) -> Any:
    """A value of the type that a field has; a whole number will do for a real one. Raises: ValueError for another type."""
    kinds = get_args(hint) if get_origin(hint) not in (None, Literal, tuple) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Literal:
            word = "none" if value is None else value  # --set takes the word for None
            if word in get_args(kind):
                return word
        elif get_origin(kind) is tuple:
            if isinstance(value, list | tuple) and all(_is_number(each) for each in value):
                return list(value)
        elif kind is float:
            if _is_number(value):
                return value  # as it is: 16 and 16.0 are one recipe with two keys
        elif kind is int:
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        elif isinstance(kind, type) and isinstance(value, kind):
            return value
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    expected = f"one of {', '.join(map(str, words))}" if words else _described(kinds)
    offered = _nearest(str(value), [str(word) for word in words])
    raise ValueError(f"{name}={value!r} must be {expected}{offered}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _described(kinds: Iterable[Any]) -> str:
    words = {float: "a number", int: "a whole number", str: "a word", bool: "true or false", type(None): "None"}
    return " or ".join(
        dict.fromkeys(words.get(kind, "a list of numbers" if get_origin(kind) else "a schedule") for kind in kinds)
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    words = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name.lower(), words, n=1)
    return f"; did you mean {words[found[0]]!r}?" if found else ""
