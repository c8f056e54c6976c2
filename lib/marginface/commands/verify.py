"""marginface verify: do two pictures show the same person?"""

import sys
from pathlib import Path
from typing import Any

import click

from marginface.commands import options

EXPECTED = (ValueError, OSError, ModuleNotFoundError)  # their text says what was wrong
DIFFERENT, TROUBLE = 1, 2
EXAMPLE = """\b
Examples:
  marginface verify runs/mine/best.pt a.jpg b.jpg
  marginface verify net.onnx aligned/a.png aligned/b.png --aligned --json
"""


@click.command(epilog=EXAMPLE, short_help="Compare two pictures.")
@options.checkpoint
@click.argument("first", type=options.PATH)
@click.argument("second", type=options.PATH)
@click.option("--aligned", is_flag=True, help="The pictures are cut out already; look for no faces.")
@click.option("--far", type=float, help="Use the threshold kept for this FAR; by default that of the least.")
@click.option("--threshold", type=float, help="Use this threshold.")
@options.device
@options.as_json
def verify(**given: Any) -> None:
    """Compare two pictures: the score, the threshold, and what FAR that is.

    The largest face of each is found, aligned and embedded. Exit codes: 0 the same person, 1 not, 2 no answer: a picture has no
    face or cannot be read, there is no threshold, or something went wrong.
    """
    try:
        same = _compare(**given)
    except Exception as error:  # whatever it is, it is no answer, and Python itself would exit with the code of "not the same"
        click.echo(f"Error: {error if isinstance(error, EXPECTED) else f'{type(error).__name__}: {error}'}", err=True)
        sys.exit(TROUBLE)
    sys.exit(TROUBLE if same is None else 0 if same else DIFFERENT)


def _compare(
    checkpoint: Path,
    first: Path,
    second: Path,
    aligned: bool,
    far: float | None,
    threshold: float | None,
    device: str,
    as_json: bool,
) -> bool | None:
    """Compare, and tell; whether it is the same person, None where nobody can say."""
    from marginface.data.files import printable
    from marginface.training import thresholds
    from marginface.training.enrolment import verify as compare

    network = options.load(checkpoint, device)
    found = compare(network, first, second, find=not aligned)
    chosen = thresholds.choose(network, far) if threshold is None else None
    limit = threshold if threshold is not None else chosen.score if chosen else None
    same = None if limit is None else found.score >= limit
    of_score = None if chosen is None else chosen.far_of(found.score)
    if as_json:
        options.tell_json(
            {
                "score": found.score,
                "same": same,
                "threshold": limit,
                "far": chosen.far if chosen else None,
                "far of the score": of_score[0] if of_score else None,
                "faces": found.faces,
            }
        )
        return same
    for path, faces in zip((first, second), found.faces, strict=True):
        if faces is not None and faces > 1:
            click.echo(f"warning: {printable(path)} has {faces} faces; the largest one is compared", err=True)
    click.echo(f"score {found.score:.4f}")
    if limit is None:
        told = "of other weights: find it again" if thresholds.stale(network) else "no threshold is kept for this network"
        click.echo(f"{told}: marginface threshold {printable(checkpoint)} --people FOLDER --far 1e-3", err=True)
    else:
        at = f" at FAR {chosen.far:g}" if chosen else ""
        click.echo(f"{'the same person' if same else 'not the same person'}: the threshold{at} is {limit:.4f}")
    if of_score:
        rate, least = of_score
        click.echo(f"two people reach this score in {'less than ' if least else ''}{rate:.2g} of cases")
    return same
