"""marginface embed: the embeddings of a folder of pictures."""

from pathlib import Path

import click

from marginface.commands import options

EXAMPLE = """\b
Examples:
  marginface embed runs/mine/best.pt aligned/ embeddings.npz
  marginface embed net.onnx photographs/ embeddings.parquet --find-faces
"""


@click.command(epilog=EXAMPLE, short_help="Write the embeddings of a folder.")
@options.checkpoint
@click.argument("folder", type=options.PATH)
@click.argument("to", type=options.PATH)
@options.find_faces
@options.device
def embed(checkpoint: Path, folder: Path, to: Path, find: bool, device: str) -> None:
    """Embed all pictures in a folder and below, and write them with their names.

    TO is a .npz with "names" (N) and "embeddings" (N, d) float32 of length 1, or a .parquet with a column "name" and one column
    "embedding" of lists (with pyarrow). What could not be enrolled is named and left out.
    """
    from marginface.data.files import printable
    from marginface.data.folders import pictures_in
    from marginface.training import enrolment

    enrolment.check_table(to)
    network = options.load(checkpoint, device)
    options.warn_of(network, folder, find)
    names = pictures_in(folder)
    found = enrolment.enrol(network, [folder / name for name in names], find)
    count = enrolment.write_table(to, names, found)
    options.tell_failures(tuple(found.failures.values()))
    click.echo(f"{count:,} embeddings of {network.card.embedding_dim} numbers in {printable(to)}")
