"""marginface export: a network for other programs."""

from pathlib import Path

import click

from marginface.commands import options

EXAMPLE = """\b
Examples:
  marginface export runs/mine/best.pt net.onnx
  marginface export runs/mine/best.pt net.safetensors
"""


@click.command(epilog=EXAMPLE, short_help="Write ONNX or safetensors.")
@options.checkpoint
@click.argument("to", type=options.PATH)
def export(checkpoint: Path, to: Path) -> None:
    """Write a network as ONNX or safetensors, with everything that one has to know to use it.

    ONNX takes images of 0 to 255 (N, C, H, W) uint8 and normalises them itself, for any N; it is checked through onnxruntime.
    The file says how the network was trained, on what, how faces are cut out, the order of colours, and the thresholds that
    were found; evaluate, threshold, verify and embed read it from there. Takes the extra [export].
    """
    from marginface.data.files import printable
    from marginface.training import exporting

    if to.suffix not in (".onnx", ".safetensors"):
        raise click.UsageError(f"{printable(to)}: write to .onnx or .safetensors.")
    network = options.load(checkpoint, "cpu")
    if to.suffix == ".onnx":
        worst = exporting.to_onnx(network, to)
        click.echo(f"{printable(to)}: by onnxruntime the embeddings differ by {worst:.1e} at most")
    else:
        exporting.to_safetensors(network, to)
        click.echo(f"{printable(to)}: {exporting.parameters(network):,} numbers")
    click.echo(exporting.in_words(exporting.complete(network)))
