"""What a notebook can be asked for: its parameters, read as they come from its cell or from papermill, and checked."""

import ast
import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

PROFILES = ("book", "smoke", "paper")
COMMON = ("profile", "seeds", "device", "data_root")  # what every notebook of trainings has


@dataclass(frozen=True)
class OneOf:
    """A parameter that is one of a few words, by default the first."""

    words: tuple[str, ...]


def read(name: str, default: Any, given: Any) -> Any:
    """A parameter's value, which must be of the kind of its default.

    A list may come as a list, as one number, or as JSON, as papermill's -p hands it over.
    Raises: ValueError naming the parameter, what was expected and what came.
    """
    if isinstance(default, OneOf):
        if given not in default.words:
            raise ValueError(f"{name}={given!r} is none of {', '.join(map(repr, default.words))}")
        return given
    if isinstance(default, list | tuple):
        return _numbers(name, given)
    kinds: dict[type, tuple[type | tuple[type, ...], str]] = {
        int: (int, "a whole number"),
        float: ((int, float), "a finite number"),
        str: (str, "text"),
    }
    kind, words = kinds[type(default)]
    if not isinstance(given, kind) or isinstance(given, bool) or (isinstance(given, float) and not math.isfinite(given)):
        raise ValueError(f"{name}={given!r} is not {words} such as {default!r}")
    return given


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    try:
        parsed = json.loads(given) if isinstance(given, str) else given
        found = tuple(parsed) if isinstance(parsed, list | tuple) else (parsed,)
        valid = all(type(value) in (int, float) and math.isfinite(value) for value in found)
    except (RecursionError, ValueError):
        valid = False
    if not valid or not found or len(set(found)) < len(found):
        raise ValueError(f"{name}={given!r} is not a list of different numbers such as [0.1, 0.2]")
    return found


def as_seeds(seeds: Any) -> list[int]:
    """A notebook's seeds: a list, or the list as JSON, as papermill's -p hands it over.

    Raises: ValueError for anything else.
    """
    try:
        parsed = json.loads(seeds) if isinstance(seeds, str) else list(seeds)
    except (RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"seeds={seeds!r} is not a list of whole numbers such as [0, 1, 2]") from error
    if not (isinstance(parsed, list) and parsed and all(type(seed) is int and seed >= 0 for seed in parsed)):
        raise ValueError(f"seeds={seeds!r} is not a list of whole numbers such as [0, 1, 2]")
    if len(set(parsed)) < len(parsed):
        raise ValueError(f"seeds={seeds!r} has one more than once")
    return parsed


def check_profile(profile: str) -> None:
    """Raise a ValueError for a notebook profile that there is not."""
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")


def settings(profile: str, defaults: Mapping[str, Any], given: Mapping[str, Any], common: tuple[str, ...]) -> SimpleNamespace:
    """The values that a page is made with: `profile`, and for each of `defaults` what was given.

    Arguments: common: further names that the notebook has.
    Raises: ValueError for a name that there is not, also one that only papermill was given, and for a value that is none.
    """
    check_profile(profile)
    known = [*defaults, *common]
    for name in [*given, *injected()]:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise ValueError(f"there is no parameter {name!r} here; did you mean {nearest[0]!r}? It has {', '.join(known)}")
    plain = {name: d.words[0] if isinstance(d, OneOf) else d for name, d in defaults.items()}
    values = {name: read(name, defaults[name], given.get(name, plain[name])) for name in defaults}
    return SimpleNamespace(profile=profile, **values)


def check_page(profile: str, **given: Any) -> None:
    """Check the parameters of a page that is no table or figure: those that its cell has, with their values.

    Raises: ValueError as `settings` does.
    """
    settings(profile, {}, {}, ("profile", *given))


def injected() -> list[str]:
    """The names that papermill's -p has set in the notebook that runs: it sets any, also one that the notebook has not."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    cells = shell.user_ns.get("In", []) if shell else []
    trees = [ast.parse(cell) for cell in cells if cell.startswith("# Parameters\n")]
    return [target.id for tree in trees for node in tree.body if isinstance(node, ast.Assign) for target in _names(node)]


def _names(node: ast.Assign) -> list[ast.Name]:
    return [target for target in node.targets if isinstance(target, ast.Name)]
