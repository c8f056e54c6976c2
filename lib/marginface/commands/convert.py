"""marginface convert: sets of faces from one form to another."""

from pathlib import Path

import click

from marginface.commands import options

EXAMPLE = """\b
Examples:
  marginface convert people/ records/                       a folder of people, or a list, to train.rec
  marginface convert records/ people/                       and back
  marginface convert pairs.txt lfw.bin --images lfw/        pairs to a .bin
  marginface convert people/ test.bin --pairs 3000          pairs drawn from a folder of people
  marginface convert lfw.bin pairs/                         images and pairs.csv
"""


@click.command(epilog=EXAMPLE, short_help="Turn folders, record files and .bin into each other.")
@click.argument("source", type=options.PATH)
@click.argument("to", type=options.PATH)
@click.option("--images", type=options.PATH, metavar="FOLDER", help="Where the paths of a list of pairs begin.")
@click.option("--pairs", type=click.IntRange(1), default=3000, show_default=True, help="Of one person, and as many of two.")
@click.option(
    "--size", type=click.IntRange(8), metavar="PIXELS", help="Scale images; by default those of another size are left out."
)
@click.option("--part", type=click.IntRange(1), metavar="IMAGES", help="So many a record file, for a set too large for one.")
def convert(source: Path, to: Path, images: Path | None, pairs: int, size: int | None, part: int | None) -> None:
    """Convert a folder of people, InsightFace's record files and its .bin of pairs into each other.

    What becomes of SOURCE hangs on both names: .bin is pairs, a folder with train.rec or parts (or a .rec) is record files.
    Images stay as they are encoded. What is left out is counted, by why it is.
    """
    from marginface.data import converting
    from marginface.data.files import printable
    from marginface.data.record_parts import has_records

    records = source.suffix == ".rec" or has_records(source)
    if to.suffix == ".bin" and records:
        raise click.UsageError("Pairs are made of a folder of people: convert the record files to one first.")
    if size is not None and (records or source.suffix == ".bin"):
        raise click.UsageError("--size: images are scaled where they become record files or a .bin.")
    if part is not None and (to.suffix == ".bin" or records or source.suffix == ".bin"):
        raise click.UsageError("--part: it is record files that are written in parts.")
    if images is not None and (to.suffix != ".bin" or source.is_dir() or source.suffix.lower() == ".lst"):
        raise click.UsageError("--images: it is where the paths of a list of pairs begin, which becomes a .bin.")
    if to.suffix == ".bin":
        done = converting.to_bin(source, to, images, pairs, size=size)
    elif source.suffix == ".bin":
        done = converting.from_bin(source, to)
    elif records:
        done = converting.to_people(source, to)
    else:
        done = converting.to_records(source, to, size, part)
    what = f"{done.written:,} images of {done.people:,} people" if done.people else f"{done.written:,} pairs"
    click.echo(f"{what} in {printable(to)}; left out: {sum(done.left_out.values()):,}")
    for why, count in done.left_out.items():
        click.echo(f"  {count:,}: {why}")
