"""Train by a recipe's name.

python -m marginface.training arcface/arcface-ms1m --data /path/to/faces --out runs/arcface
torchrun --nproc-per-node 8 -m marginface.training arcface/arcface-ms1m --data /path/to/faces --out runs/arcface
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import replace

from marginface.training.recipes import RECIPES
from marginface.training.trainer import DEVICES, train


def at_least(least: int) -> Callable[[str], int]:
    """A whole number that is not less, for argparse."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return number

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m marginface.training", description="Train by a recipe's name.")
    parser.add_argument("recipe", choices=sorted(RECIPES), metavar="RECIPE", help=f"one of {', '.join(sorted(RECIPES))}")
    parser.add_argument("--data", required=True, help="the folder with the data sets' folders in it")
    parser.add_argument("--out", required=True, help="a folder for logs and checkpoints; a run that is there goes on")
    parser.add_argument("--start", help="a checkpoint whose backbone to start from")
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--steps", type=at_least(1), metavar="STEPS", help="stop after so many; the schedule is fitted to them")
    parser.add_argument("--save-every", type=at_least(1), default=1000, metavar="STEPS")
    parser.add_argument(
        "--workers", type=at_least(0), metavar="N", default=min(8, os.cpu_count() or 1), help="processes that read images"
    )
    parser.add_argument("--compile", action="store_true", help="compile the backbone")
    parser.add_argument(
        "--batch-size", type=at_least(2), metavar="N", help="instead of the paper's; the learning rate is scaled"
    )
    options = parser.parse_args()
    recipe = RECIPES[options.recipe]
    if options.batch_size:
        recipe = replace(recipe, batch_size=options.batch_size, lr=recipe.lr * options.batch_size / recipe.batch_size)
    try:
        run = train(
            recipe,
            data_root=options.data,
            device=options.device,
            max_steps=options.steps,
            out=options.out,
            start=options.start,
            save_every=options.save_every,
            workers=options.workers,
            compiled=options.compile,
        )
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")
    if int(os.environ.get("RANK", 0)) == 0:
        for name, value in run.metrics.items():
            print(f"{name} {100 * value:.2f} %")


if __name__ == "__main__":
    main()
