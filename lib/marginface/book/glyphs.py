"""The page about the second test bed: pictures drawn from the typefaces at hand when it is built, and tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from marginface.book.papers.glyphs import CANDIDATES, DECIDES, GLYPHS, SCALE, SEEDS, SETTINGS
from marginface.book.records import lookup
from marginface.data import glyph_images, glyphs
from marginface.data.files import data_folder, data_root
from marginface.data.typefaces import Typeface, locate, packages, typefaces
from marginface.data.types import DataMissingError
from marginface.training.recipes import Recipe, on_choice, with_seeds


def sheet(characters: str, groups: Sequence[str], size: int = 32, root: str | Path | None = None) -> None:
    """Each character in a typeface of each group, a row a typeface; those that it does not have stay empty.

    Without the fonts it says what it would show.
    """
    faces = [_plain(group) for group in groups]
    try:
        files = locate(faces, data_root(root))
    except DataMissingError:
        names = ", ".join(packages(faces))
        text = f"*Here would be {len(characters)} characters in {len(faces)} typefaces, of the packages {names}.*"
        display(Markdown(text))
        return
    figure, axes = plt.subplots(figsize=(8, 8 * len(faces) / (len(characters) + 6)))
    axes.imshow(_sheet(faces, files, characters, size), cmap="gray_r", interpolation="nearest")
    axes.set_yticks(size * (np.arange(len(faces)) + 0.5), [face.family for face in faces], fontsize=7)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.tight_layout()
    plt.show()


def _plain(group: str) -> Typeface:
    """The group's typeface that is no bold or light one, if it has any."""
    own = [face for face in typefaces() if face.group == group]
    return next((face for face in own if face.style in ("Regular", "Medium", "Book")), own[0])


def _sheet(faces: Sequence[Typeface], files: Sequence[Path], characters: str, size: int) -> np.ndarray:
    empty = np.zeros((size, size), dtype=np.uint8)
    codes, rows = [ord(character) for character in characters], []
    for face, path in zip(faces, files, strict=True):
        there = glyph_images.ideographs(path, face.face)
        drawn = glyph_images.draw(path, face.face, codes, size)
        images = [image if image is not None and code in there else empty for code, image in zip(codes, drawn, strict=True)]
        rows.append(np.concatenate(images, axis=1))
    return np.concatenate(rows)


def facts() -> pd.DataFrame:
    """What the list of typefaces and the parts of the characters come to."""
    faces = typefaces()
    kinds = {kind: [face for face in faces if face.unseen == kind] for kind in (False, True)}
    lines = [
        (f"typefaces {name}", f"{len(own)} in {len({face.group for face in own})} groups")
        for name, own in (("trained on", kinds[False]), ("for testing alone", kinds[True]))
    ]
    lines += [
        ("characters tested", f"{glyphs.TESTED:,}, each in up to {glyphs.SEEN} seen and {glyphs.UNSEEN} unseen typefaces"),
        ("characters for choices", f"{glyphs.CHOICE:,}"),
        ("characters to be told from", f"{glyphs.STRANGERS:,}"),
        ("characters to train on", "as many as the name says, those in most typefaces first"),
    ]
    return pd.DataFrame(lines, columns=["what", "how many"])


def listed() -> pd.DataFrame:
    """The groups of typefaces with their packages and licences."""
    faces = typefaces()
    lines = []
    for group in dict.fromkeys(face.group for face in faces):
        own = [face for face in faces if face.group == group]
        lines.append(
            {
                "group": group + (" (unseen)" if own[0].unseen else ""),
                "families": ", ".join(dict.fromkeys(face.family for face in own)),
                "typefaces": len(own),
                "packages": ", ".join(dict.fromkeys(f"{face.package} {face.version}" for face in own)),
                "licences": ", ".join(dict.fromkeys(face.licence for face in own)),
            }
        )
    return pd.DataFrame(lines)


def costs() -> pd.DataFrame:
    """What benchmarks/glyphs.py has written: a step of training with more characters, in time and memory and as ratios."""
    table = pd.read_csv(data_folder() / "glyph_costs.csv")
    first, images = table.iloc[0], table.images_MB * table.characters / 1000
    return pd.DataFrame(
        {
            "characters": [f"{count:,}" for count in table.characters],
            "a step": [f"{1000 * seconds:.0f} ms" for seconds in table.step_s],
            "time, of the first": [f"{seconds / first.step_s:.2f}" for seconds in table.step_s],
            "memory": [f"{megabytes:,.0f} MB" for megabytes in table.MB],
            "memory, of the first": [f"{megabytes / first.MB:.2f}" for megabytes in table.MB],
            "the images": [f"{megabytes:,.0f} MB" for megabytes in images],
        }
    )


def measured_on() -> str:
    """What that was measured on, in half a sentence."""
    first = pd.read_csv(data_folder() / "glyph_costs.csv").iloc[0]
    return f"{first.loss}, {first.batch} images a step, {first.threads} threads of {first.device}, PyTorch {first.torch}"


def tried() -> pd.DataFrame:
    """Every candidate and setting with what was measured of it on the characters set aside; "–" where there is no record."""
    lines: list[dict[str, Any]] = []
    for name, margins in CANDIDATES.items():
        for margin in margins:
            scale, m = getattr(margin, "scale", None), getattr(margin, "m", None)
            lines.append({"loss": name, "s": scale, "m": m, "else": ""} | _measured(replace(GLYPHS, margin=margin)))
    for recipe in SETTINGS:
        (what,) = (f"{key} = {value}" for key, value in recipe.to_json().items() if value != GLYPHS.to_json().get(key))
        lines.append({"loss": "ArcFace", "s": SCALE, "m": 0.3, "else": what} | _measured(recipe))
    return pd.DataFrame(lines).fillna("–")


def _measured(recipe: Recipe) -> dict[str, str]:
    runs = [run for run in map(lookup, with_seeds(on_choice(recipe), SEEDS)) if run is not None]
    measures = {"accuracy": "glyphs seen", "AUC": "glyphs seen all pairs AUC", DECIDES: DECIDES}
    titles = {DECIDES: "TAR at FAR 1e-4"}
    shown = {titles.get(name, name): ", ".join(f"{100 * run.metrics[m]:.2f}" for run in runs) for name, m in measures.items()}
    return {f"{name}, %": values or "–" for name, values in shown.items()}
