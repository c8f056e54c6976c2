"""What several subcommands share: options, and how numbers are told."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from marginface.evaluation.reports import Range
    from marginface.training.enrolment import Compared
    from marginface.training.networks import Network

Function = TypeVar("Function", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
MOST_FAILURES = 10  # that are named

checkpoint = click.argument("checkpoint", type=PATH)
device = click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
find_faces = click.option(
    "--find-faces", "find", is_flag=True, help="Find the face in each photograph and align it first (the extra [detector])."
)


def tested_on(function: Function) -> Function:
    """--pairs with --images, or --people."""
    options = (
        click.option("--pairs", type=PATH, help="Pairs: LFW's pairs.txt, a CSV of two paths and 1 or 0, InsightFace's .bin."),
        click.option(
            "--images", type=PATH, metavar="FOLDER", help="Where the paths of --pairs begin; by default beside the list."
        ),
        click.option("--people", type=PATH, metavar="FOLDER", help="A folder of people, with a folder for each."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def load(path: Path, device: str) -> "Network":
    from marginface.training.networks import load_network

    return load_network(path, device)


def check_source(pairs: Path | None, images: Path | None, people: Path | None, find: bool) -> None:
    """That what `tested_on` asks for is given, and nothing that would be left unused."""
    if (pairs is None) == (people is None):
        raise click.UsageError("Give either --pairs (and --images), or --people.")
    if images is not None and (pairs is None or _is_bin(pairs)):
        raise click.UsageError(
            "--images: it is where the paths of a list of pairs begin; --people and a .bin have no such list."
        )
    if find and _is_bin(pairs):
        raise click.UsageError("--find-faces: a .bin has no photographs, but faces that are cut out.")


def source_of(pairs: Path | None, images: Path | None, people: Path | None) -> Path | None:
    """The folder that images are read from; None for a .bin."""
    source = people or images or pairs
    if source is None or _is_bin(pairs):
        return None
    return source.parent if source.is_file() else source


def _is_bin(pairs: Path | None) -> bool:
    return pairs is not None and pairs.suffix.lower() == ".bin"


def compared(network: "Network", pairs: Path | None, images: Path | None, people: Path | None, find: bool) -> "Compared":
    """Pairs of a list, or all pairs of a folder of people."""
    from marginface.training import enrolment

    check_source(pairs, images, people, find)
    warn_of(network, source_of(pairs, images, people), find)
    if pairs is not None:
        return enrolment.compare_pairs(network, pairs, images, find)
    assert people is not None
    return enrolment.compare_people(network, people, find)[0]


def warn_of(network: "Network", source: Path | None, find: bool) -> None:
    """Say so where images may be cut out in another way than those that the network was trained on."""
    from marginface.training.enrolment import mismatch

    if source is not None and source.is_dir() and (doubt := mismatch(network, source, find)):
        click.echo(f"warning: {doubt}", err=True)


def tell_failures(failures: Sequence[str]) -> None:
    """Name what could not be enrolled."""
    if failures:
        click.echo(f"images that could not be enrolled, and match nobody: {len(failures)}", err=True)
        for why in failures[:MOST_FAILURES]:
            click.echo(f"  {why}", err=True)
        if len(failures) > MOST_FAILURES:
            click.echo(f"  and {len(failures) - MOST_FAILURES} more", err=True)


def plain(value: Any) -> Any:
    """Dataclasses and numbers as JSON has them: without NaN and infinity."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tell_json(value: Any) -> None:
    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False))


def percent(value: "Range") -> str:
    return f"{100 * value.value:6.2f} %  [{100 * value.low:.2f}, {100 * value.high:.2f}]"
