"""What was computed before and would come out the same again: kept in the user's cache, until code or versions change."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import pooch

import marginface
from marginface.data.files import writing

# what is computed with; of the library itself all that a training depends on, and not how the book shows it
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric")
APART = ("book", "commands")
OLD = 30 * 86_400  # seconds after which nobody is expected to come back to a state of the code


@cache
def code() -> str:
    """16 hex digits that change with the library's sources and the versions of what it computes with."""
    here = Path(marginface.__file__).parent
    digest = hashlib.sha256(" ".join([python_version(), *map(version, PACKAGES)]).encode())
    for path in sorted(here.rglob("*.py")):
        place = path.relative_to(here)
        if place.parts[0] not in APART or place.name == "rehearsals.py":
            digest.update(place.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Where this state of the code keeps what it computed."""
    return Path(pooch.os_cache("marginface")) / "computed" / code()


def recall(kind: str, name: str) -> Any:
    """What was kept, plain data; None where nothing was, or its file is damaged."""
    try:
        return json.loads(_path(kind, name).read_bytes())
    except (OSError, RecursionError, ValueError):
        return None


def keep(kind: str, name: str, value: Any) -> None:
    """Keep plain data for `recall`. Where the cache cannot be written, it is computed again the next time."""
    path = _path(kind, name)
    try:
        if not folder().exists():
            _forget_old_states(folder().parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as file:
            file.write(json.dumps(value).encode())
    except OSError:
        return


def remembered(kind: str, name: str, compute: Callable[[], Any]) -> Any:
    """What was kept, else what is computed and then kept. What is None is not kept."""
    if (value := recall(kind, name)) is None and (value := compute()) is not None:
        keep(kind, name, value)
    return value


def _path(kind: str, name: str) -> Path:
    return folder() / kind / f"{name}.json"


def _forget_old_states(states: Path) -> None:
    """Remove what states of the code kept to which nothing was added for long."""
    if states.is_dir():
        for state in states.iterdir():
            if time.time() - max(path.stat().st_mtime for path in (state, *state.iterdir())) > OLD:
                shutil.rmtree(state, ignore_errors=True)
