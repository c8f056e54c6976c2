"""marginface threshold: the score from which on two pictures count as of one person, at a wanted FAR."""

from pathlib import Path

import click

from marginface.commands import options

EXAMPLE = """\b
Examples:
  marginface threshold runs/mine/best.pt --people others/ --far 1e-3
  marginface threshold net.onnx --pairs pairs.txt --images lfw/ --far 1e-2
"""


@click.command(epilog=EXAMPLE, short_help="Find the score at a wanted FAR.")
@options.checkpoint
@options.tested_on
@click.option("--far", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=1e-3, show_default=True)
@options.find_faces
@options.device
@options.as_json
def threshold(
    checkpoint: Path,
    pairs: Path | None,
    images: Path | None,
    people: Path | None,
    far: float,
    find: bool,
    device: str,
    as_json: bool,
) -> None:
    """Find the threshold at a FAR, with its interval, and keep it beside the network.

    The people must not be those that the network was trained on: it knows these too well. marginface verify uses what is kept.
    """
    from marginface.data.files import printable
    from marginface.data.progress import Meter
    from marginface.evaluation.reports import RESAMPLES
    from marginface.training import thresholds

    network = options.load(checkpoint, device)
    compared = options.compared(network, pairs, images, people, find)
    with Meter("resampling", RESAMPLES) as meter:
        found = thresholds.find(compared, far, meter.update)
    path = thresholds.keep(network, found)
    if as_json:
        options.tell_json({"threshold": found, "failures": compared.failures, "kept in": printable(path)})
        return
    options.tell_failures(compared.failures)
    over = f"{found.people:,} people" if found.people else "pairs, for nobody knows who is who"
    click.echo(f"same person from a score of {found.score:.4f} on  [{found.low:.4f}, {found.high:.4f}] over {over}")
    click.echo(f"FAR {far:g} of {found.impostors:,} impostor pairs, TAR {100 * found.tar:.2f} %")
    click.echo(f"kept in {printable(path)}")
