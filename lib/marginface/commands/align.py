"""marginface align: faces found in photographs and cut out as InsightFace's sets have them."""

from pathlib import Path

import click

from marginface.commands import options

EXAMPLE = """\b
Examples:
  marginface align photographs/ aligned/
  marginface align photographs/ aligned/ --size 160 --confidence 0.8
"""


@click.command(epilog=EXAMPLE, short_help="Cut the faces out of photographs.")
@click.argument("photographs", type=options.PATH)
@click.argument("to", type=options.PATH)
@click.option("--size", type=click.IntRange(8), default=112, show_default=True, help="Of a face in pixels; 160 for Inception.")
@click.option("--width", type=click.IntRange(8), help="Where it is another: --size 112 --width 96 for SphereFace's crops.")
@click.option("--confidence", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="From which on a face counts.")
def align(photographs: Path, to: Path, size: int, width: int | None, confidence: float) -> None:
    """Cut out the largest face of every photograph in a folder of people.

    The new folder TO gets a PNG of the same name for each; it is written whole or not at all. Photographs without a face, and
    those that cannot be read, are left out and named. Takes the extra [detector].
    """
    from marginface.data.detect import align_people
    from marginface.data.files import printable

    done = align_people(photographs, to, size, confidence, width)
    for name in done.faceless:
        click.echo(f"no face: {printable(name)}", err=True)
    for why in done.unreadable.values():
        click.echo(f"not read: {why}", err=True)
    click.echo(
        f"{done.faces:,} faces of {size} × {width or size} pixels in {printable(to)}; left out: "
        f"{len(done.faceless)} without a face, {len(done.unreadable)} that cannot be read"
    )
