"""The console command `marginface`: a module for each subcommand, thin over public functions.

Nothing heavy is imported before a subcommand runs, so that --help comes at once. Exit codes: 0 done, 1 an error that says what
was wrong, 2 a command that makes no sense, 130 interrupted; `verify` has its own.
"""

import errno
import os
import sys
import warnings
from typing import Any

import click

from marginface import __version__
from marginface.commands.align import align
from marginface.commands.convert import convert
from marginface.commands.embed import embed
from marginface.commands.evaluate import evaluate
from marginface.commands.export import export
from marginface.commands.threshold import threshold
from marginface.commands.train import train
from marginface.commands.verify import verify

INTERRUPTED = 130  # as shells have it


class Commands(click.Group):
    """Errors end a command with their text alone, warnings are a line, commands stand in the order in which one uses them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                sys.exit(INTERRUPTED)
            except (ValueError, OSError, ModuleNotFoundError) as error:
                if getattr(error, "errno", None) == errno.EPIPE:
                    raise
                raise click.ClickException(str(error)) from error


def _show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    if os.environ.get("RANK", "0") != "0":  # of several processes one speaks
        return
    if category.__module__.startswith("marginface."):
        click.echo(f"warning: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, *place[:2]), err=True, nl=False)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="marginface")
def main() -> None:
    """Train a network on photographs of people, test it, find a threshold, compare two pictures.

    \b
    marginface align photographs/ aligned/
    marginface train --data aligned/ --out runs/mine
    marginface align others/ others-aligned/
    marginface evaluate runs/mine/best.pt --people others-aligned/
    marginface threshold runs/mine/best.pt --people others-aligned/ --far 1e-3
    marginface verify runs/mine/best.pt a.jpg b.jpg
    """


for command in (align, train, evaluate, threshold, verify, embed, export, convert):
    main.add_command(command)
