"""marginface train: a network from a folder of photographs, or by a paper's recipe."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from marginface.data.types import FaceData, ImageData
    from marginface.training import Recipe, Run

RUN = "run.json"  # in the folder of a run: what it was begun with, which --resume reads
DEFAULT = "small"
OF_A_RUN = ("data", "validate", "size", "start", "steps", "validate_every", "save_every", "compile", "sharded")
EXAMPLE = """\b
Examples:
  marginface train --data photographs/ --out runs/mine
  marginface train --data photographs/ --out runs/wide --loss cosface --set margin.m=0.3 --set backbone=ResNet18E-IR
  marginface train --recipe arcface/arcface-ms1m --show > my.toml
  marginface train --recipe my.toml --data faces/faces_emore --out runs/emore
  marginface train --data staff/ --start runs/mine/best.pt --freeze 0.2 --set lr=0.01 --out runs/staff
  marginface train --resume runs/staff
  torchrun --nproc-per-node 8 -m marginface train --recipe arcface/arcface-ms1m --data faces/faces_emore --out runs/emore
"""


@click.command(epilog=EXAMPLE, short_help="Train a network on photographs, or by a recipe.")
@click.option(
    "--data", help="A folder of people, a list of paths and labels (.csv, .tsv, .txt, .lst), a folder with train.rec."
)
@click.option("--out", type=click.Path(path_type=Path), help="A folder for checkpoints and logs; a run that is there goes on.")
@click.option("--recipe", metavar="NAME|FILE.toml", help=f"What to train with; by default {DEFAULT}, or that of --start.")
@click.option(
    "--loss",
    help="Such as arcface, cosface, normface, softmax, interface, triplet, npairloss, uniformface; at its defaults but for the "
    "scale, which is the recipe's; γ of circleloss, r of sphereface2, and λ of magface and adaptiveface go with it.",
)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field of the recipe, such as margin.m=0.3.")
@click.option(
    "--show", is_flag=True, help="Print the whole recipe as TOML, to be edited and given to --recipe, and train nothing."
)
@click.option(
    "--validate", type=float, help="The share of people to test on meanwhile; by default 0.05, and 0 for record files."
)
@click.option("--validate-every", type=click.IntRange(1), metavar="STEPS", help="By default twenty times a run.")
@click.option(
    "--size", type=click.IntRange(8), metavar="PIXELS", help="Scale images; by default only where their sizes differ."
)
@click.option(
    "--start", type=click.Path(path_type=Path), help="A checkpoint whose network to start from; people may be others."
)
@click.option("--freeze", type=float, metavar="SHARE", help="Train the head alone for this share of the run, as with --start.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="FOLDER", help="Go on with the run in a folder, as it was begun."
)
@click.option("--epochs", type=click.IntRange(1))
@click.option("--steps", type=click.IntRange(1), help="Stop after so many; the schedule is fitted to them.")
@click.option("--batch-size", type=click.IntRange(2), help="Instead of the recipe's; the learning rate is scaled.")
@click.option("--accumulate", type=click.IntRange(1), metavar="PARTS", help="Cut a batch in parts, which takes less memory.")
@click.option("--precision", type=click.Choice(["auto", "32-true", "64-true", "bf16-mixed", "16-mixed"]))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(0), help="Processes that read images; by default one a core, at most 8.")
@click.option("--save-every", type=click.IntRange(1), default=1000, show_default=True, metavar="STEPS")
@click.option("--wandb", metavar="PROJECT", help="Log to Weights & Biases as well, by Lightning's logger.")
@click.option("--compile", is_flag=True, help="Compile the network.")
@click.option(
    "--sharded/--whole", default=None, help="Whether every process has classes of its own; by default from 100,000 classes on."
)
def train(resume: Path | None, show: bool, **options: Any) -> None:
    """Train a network, on a folder of photographs or by a paper's recipe.

    A folder of people has a folder for each person. Photographs should be aligned first: marginface align. Some people are set
    aside, and what the network is worth on them is shown meanwhile; best.pt is the best state by them, checkpoint.pt the last.
    """
    if resume is not None:
        options |= _begun(resume, options)
    recipe = _recipe(options)
    if show:
        from marginface.training.editing import to_toml

        click.echo(to_toml(recipe), nl=False)
        return
    if options["out"] is None:
        raise click.UsageError("Missing option '--out': a folder for checkpoints and logs.")
    _run(recipe, options)


def _begun(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """What a run was begun with."""
    from marginface.data.files import printable, read_bytes

    source = click.get_current_context().get_parameter_source
    default = (click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP)
    given = [name for name in options if source(name) not in default and name not in ("device", "workers", "wandb")]
    if given:
        name = {"settings": "set"}.get(given[0], given[0]).replace("_", "-")
        raise click.UsageError(f"--resume goes on with a run as it was begun: leave out --{name}.")
    path = folder / RUN
    if not path.exists():
        raise ValueError(f"{printable(folder)}: there is no run in it that was begun by marginface train ({RUN})")
    try:
        found = json.loads(read_bytes(path))
        return {name: found.get(name) if name == "sharded" else found[name] for name in OF_A_RUN} | {
            "recipe": found["recipe"],
            "out": folder,
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{printable(path)}: not a run's ({type(error).__name__}: {error})") from error


def _recipe(options: dict[str, Any]) -> "Recipe":
    """The recipe that the options describe."""
    from marginface.data.files import read_bytes
    from marginface.training import checkpoints, editing

    given, start = options["recipe"], options["start"]
    if isinstance(given, dict):
        recipe = editing.from_plain(given, recorded=True)
    elif given is not None and given.endswith(".toml"):
        recipe = editing.from_toml(read_bytes(given).decode(errors="replace"), given)
    elif given is None and start is not None:
        recipe = replace(editing.from_plain(checkpoints.read(Path(start)).recipe, recorded=True), start=None)
    else:
        recipe = editing.named(given or DEFAULT)
    if options["loss"]:
        recipe = editing.with_loss(recipe, options["loss"])
    if size := options["batch_size"]:
        recipe = replace(recipe, batch_size=size, lr=recipe.lr * size / recipe.batch_size)
    if options["epochs"]:
        recipe = replace(recipe, epochs=options["epochs"], steps=None)
    named = {name: options[name] for name in ("freeze", "accumulate", "precision") if options[name] is not None}
    return editing.changed(replace(recipe, **named), options["settings"])


def _run(recipe: "Recipe", options: dict[str, Any]) -> None:
    from marginface.data.damage import counted
    from marginface.training import train
    from marginface.training.logs import wandb_logger

    leads = int(os.environ.get("RANK", 0)) == 0
    out, workers = options["out"], options["workers"]
    with counted():
        data = _data(recipe, options)
        recipe = replace(recipe, data=data.name)
        if leads:
            _keep(recipe, options)
            click.echo(_told(recipe, options, data), err=True)
        try:
            run = train(
                recipe,
                data,
                device=options["device"],
                max_steps=options["steps"],
                out=out,
                start=options["start"],
                save_every=options["save_every"],
                validate_every=options["validate_every"],
                workers=min(8, os.cpu_count() or 1) if workers is None else workers,
                compiled=options["compile"],
                sharded=options["sharded"],
                loggers=[wandb_logger(options["wandb"], out)] if options["wandb"] and leads else (),
            )
        except KeyboardInterrupt:
            if leads:
                click.echo(f"go on with: marginface train --resume {out}", err=True)
            raise
    if leads:
        _report(run, out)


def _data(recipe: "Recipe", options: dict[str, Any]) -> "FaceData | ImageData":
    """What to train on: files of one's own, a data set by its name, or the recipe's own."""
    from marginface.data import catalog, own
    from marginface.training import checkpoints

    source, size = options["data"], options["size"]
    if source is None or (catalog.is_known(source) and not Path(source).exists()):
        if options["validate"] or size:
            raise ValueError("--validate and --size are for files of one's own: name them as --data")
        return catalog.load(source or recipe.data)
    if options["start"] is not None and size is None:
        shape = checkpoints.read(Path(options["start"])).about.get("image_shape")
        size = shape[1] if shape else None
    return own.load(source, options["validate"], size)


def _keep(recipe: "Recipe", options: dict[str, Any]) -> None:
    """Write what the run is begun with, unless it was begun before."""
    from marginface.data.files import writing
    from marginface.training import sharded_checkpoints

    path = options["out"] / RUN
    begun = (options["out"] / "checkpoint.pt").exists() or sharded_checkpoints.any_in(options["out"] / "checkpoints")
    if path.exists() and begun:
        return
    kept = {name: options[name] for name in OF_A_RUN} | {"recipe": recipe.to_json()}
    for name in ("data", "start"):  # --resume may be called from anywhere
        if kept[name] is not None and Path(kept[name]).exists():
            kept[name] = str(Path(kept[name]).resolve())
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        file.write(json.dumps(kept, indent=1).encode(errors="surrogateescape"))


def _told(recipe: "Recipe", options: dict[str, Any], data: "FaceData | ImageData") -> str:
    """What is going to be trained, in a few lines."""
    from marginface.data.types import VALIDATION, FaceData
    from marginface.margins import Margin, described

    lines = [f"{data.label}, {' × '.join(map(str, data.image_shape[1:]))} pixels"]
    if isinstance(data, FaceData) and (test := data.tests.get(VALIDATION)) is not None:
        lines.append(f"set aside: {len(set(test.people.tolist())):,} people with {len(test.images):,} images")  # type: ignore
    margin = described(recipe.margin) if isinstance(recipe.margin, Margin) else recipe.margin
    lines.append(" + ".join([f"{recipe.backbone}, {margin}", *map(str, recipe.regularizers)]))
    steps = min(filter(None, (recipe.steps, options["steps"])), default=None)
    length = f"{recipe.epochs} epochs" if steps is None else f"{steps:,} steps"
    lines.append(f"{length}, batches of {recipe.batch_size}, {recipe.optimizer}, lr {recipe.lr:g}")
    return "\n".join(lines)


def _report(run: "Run", out: Path) -> None:
    for name, value in run.metrics.items():
        shown = f"{value:.1f}°" if name.endswith("_angle") else f"{100 * value:.2f} %"
        click.echo(f"{name} {shown}")
    took, device = run.provenance["duration_s"], run.provenance["device"]
    last = max((out / "checkpoints").glob("step-*/run.pt"), default=out / "checkpoint.pt")
    click.echo(f"trained in {took:.0f} s on {device}; the last state is {last}", err=True)
    if (best := out / "best.pt").exists():
        click.echo(f"the best on people set aside is {best}", err=True)
