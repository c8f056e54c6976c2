"""The house: which room may import which, and the names that stand at its door."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import marginface
from marginface.margins import Margin

PACKAGE = Path(marginface.__file__).parent
ROOMS = ("backbones", "data", "evaluation", "training", "commands", "book")
# what a room may import besides itself; all modules at the top are the room "losses"
MAY_IMPORT: dict[str, set[str]] = {
    "losses": set(),
    "backbones": set(),
    "data": set(),
    "evaluation": set(),
    "training": {"losses", "backbones", "data", "evaluation"},
    "commands": {"losses", "backbones", "data", "evaluation", "training"},
    "book": {"losses", "backbones", "data", "evaluation", "training", "commands"},
}
DOOR = "marginface"  # the package itself: it hands out names of all rooms, each when it is asked for


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    if module == f"{DOOR}.__main__":  # `python -m marginface` is the command
        return "commands"
    second = module.split(".")[1]
    return second if second in ROOMS else "losses"


def imports(module: str, everywhere: bool = True) -> Iterator[str]:
    """The modules of the package that one imports; only those that it needs to be imported itself, if not `everywhere`."""
    tree = ast.parse(MODULES[module].read_text())
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not everywhere and node in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from parts & MODULES.keys()
            if parts - MODULES.keys():
                yield node.module


@pytest.mark.parametrize("module", [name for name in MODULES if name != DOOR])
def test_a_room_imports_only_what_stands_below_it(module: str) -> None:
    room = room_of(module)
    found = {other for other in imports(module) if other != DOOR and room_of(other) not in MAY_IMPORT[room] | {room}}
    assert not found, f"{module} is in {room} and may not import {found}"


def test_there_is_no_circle() -> None:
    """Also not through a package whose module imports from the package."""
    graph = {name: {other for other in imports(name, everywhere=False) if other != DOOR} - {name} for name in MODULES}
    assert list(TopologicalSorter(graph).static_order())


def test_every_module_is_in_a_room() -> None:
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in MODULES.values() if path.parent != PACKAGE}
    assert folders <= set(ROOMS)


def test_the_names_at_the_door() -> None:
    """Each is the object of its module; what there is not is an AttributeError, as anywhere."""
    for name in marginface.__all__:
        found = getattr(marginface, name)
        assert found.__name__ == name
        assert name in dir(marginface)
    assert sorted(marginface.__all__) == sorted(marginface._HOME)
    assert marginface.ArcFace is marginface.margins.ArcFace
    losses = {name for name, kind in vars(marginface.margins).items() if isinstance(kind, type) and issubclass(kind, Margin)}
    assert losses - {"Margin"} < set(marginface.__all__), "also one that has been added"
    with pytest.raises(AttributeError, match="no attribute 'ArcFase'"):
        _ = marginface.ArcFase
