"""Lists of images that evaluation protocols come with: templates and pairs of IJB-B and IJB-C, MegaFace and FaceScrub.

M images belong to templates (what is compared: all that is known of a person) and within these to media (an image, or the
frames of one video). The formats are those of NIST, of MegaFace's development kit and of the lists that the InsightFace
project distributes.
"""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marginface.data.files import printable, quoted, read_bytes, read_lines
from marginface.data.tables import INTEGER, line_of, read_table
from marginface.data.types import DataMissingError

METADATA = ("TEMPLATE_ID", "SUBJECT_ID", "FILENAME")
FACE_BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")


def ijb_media(path: str | Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """The images of a benchmark (ijbb_face_tid_mid.txt, ijbc_…): lines "name template medium".

    Returns: names (M), templates (M,) int64, media (M,) int64.
    Raises: ValueError naming the file and the line.
    """
    names, templates, media = read_table(path, " ", (str, int, int), "name template medium")
    return tuple(names), templates, media


def ijb_pairs(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of templates that are compared (ijbb_template_pair_label.txt, ijbc_…): lines "template template same".

    Returns: left (P,) int64, right (P,) int64, same (P,) bool.
    Raises: ValueError naming the file and the line.
    """
    left, right, same = read_table(path, " ", (int, int, int), "template template same")
    if not np.isin(same, (0, 1)).all():
        row = int((~np.isin(same, (0, 1))).argmax())
        raise ValueError(f"{printable(path)}, line {line_of(path, row)}: expected 0 or 1 at its end, got {same[row]}")
    return left, right, same.astype(bool)


def ijb_landmarks(path: str | Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Faces as detected (ijbb_name_5pts_score.txt, ijbc_…): lines "name x y x y x y x y x y score".

    Returns: names (M), landmarks (M, 5, 2) float32 in pixels (eyes, nose, corners of the mouth), scores (M,) float32.
    Raises: ValueError naming the file, and the line where a number is missing or not finite.
    """
    expected = "name, five points x y and a score, all finite"
    names, *columns = read_table(path, " ", (str, *[float] * 11), expected)
    values = np.stack(columns, axis=1)
    wrong = (np.abs(values) > np.finfo(np.float32).max).any(axis=1)
    if wrong.any():
        raise ValueError(f"{printable(path)}, line {line_of(path, int(wrong.argmax()))}: a number is too large for float32")
    values = values.astype(np.float32)
    return tuple(names), values[:, :10].reshape(-1, 5, 2), values[:, 10]


def ijb_metadata(path: str | Path) -> pd.DataFrame:
    """NIST's own tables (….csv of IJB-B and IJB-C: galleries, probes, metadata), a row for each face.

    Returns: the columns TEMPLATE_ID, SUBJECT_ID (int64) and FILENAME, and, where the file has them, SIGHTING_ID (int64) and the
        box FACE_X, FACE_Y, FACE_WIDTH, FACE_HEIGHT (float64 pixels, NaN where it is not given).
    Raises: ValueError naming the file, and the row and the column.
    """
    expected = f"a table with the columns {', '.join(METADATA)}"
    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path)), header=0, dtype=str, keep_default_na=False)
    except DataMissingError:
        raise
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{printable(path)}: expected {expected} ({quoted(str(error))})") from error
    if missing := [name for name in METADATA if name not in table]:
        raise ValueError(f"{printable(path)}: expected {expected}; {', '.join(missing)} is missing")
    wanted = [name for name in (*METADATA, "SIGHTING_ID", *FACE_BOX) if name in table]
    integers = {name: np.int64 for name in wanted if name.endswith("_ID")}
    for name in integers:
        _check_rows(path, table[name], table[name].str.fullmatch(INTEGER), "a whole number")
    numbers = {name: pd.to_numeric(table[name], errors="coerce").astype(np.float64) for name in wanted if name in FACE_BOX}
    for name, column in numbers.items():
        finite = column.between(-np.inf, np.inf, inclusive="neither")
        _check_rows(path, table[name], finite | (table[name] == ""), "a finite number or nothing")
    return table[wanted].astype(integers).assign(**numbers)


def _check_rows(path: str | Path, column: pd.Series, right: pd.Series, expected: str) -> None:
    """Titles may be quoted and so span lines: errors name the row below them."""
    if not right.all():
        row = int((~right).to_numpy().argmax())
        raise ValueError(
            f"{printable(path)}, row {row + 1}: {column.name} should be {expected}, got {quoted(str(column.iloc[row]))}"
        )


def image_list(path: str | Path) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The images of MegaFace or FaceScrub: JSON of the development kit, {"path": […], "id": […]}, or one path a line.

    Returns: paths (N), and who is on them (N) where the list says so: FaceScrub's has ids, MegaFace's has none.
    Raises: ValueError naming the file.
    """
    content = read_bytes(path)
    if content.lstrip()[:1] != b"{":
        lines = [line for line in read_lines(path) if line and not line.startswith("#")]
        if not lines:
            raise ValueError(f"{printable(path)}: there are no images in the list")
        return tuple(lines), None
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{printable(path)}: not JSON ({type(error).__name__}: {error})") from error
    paths, ids = entries.get("path"), entries.get("id")
    if not _texts(paths):
        raise ValueError(f'{printable(path)}: expected a list of paths under "path"')
    if ids is not None and (not isinstance(ids, list) or len(ids) != len(paths)):
        raise ValueError(f'{printable(path)}: expected as many entries under "id" as under "path", {len(paths)}')
    return tuple(paths), None if ids is None else tuple(str(one) for one in ids)


def noise_list(path: str | Path) -> frozenset[str]:
    """Images that are known to be wrong (megaface_noises.txt, facescrub_noises.txt): a name a line, # starts a comment.

    Of lines with a tab the second field counts. Raises: ValueError naming the file.
    """
    names = [line.split("\t")[:2][-1] for line in read_lines(path) if line and not line.startswith("#")]
    if not names:
        raise ValueError(f"{printable(path)}: there are no names in the list")
    return frozenset(names)


def is_noise(paths: Iterable[str], noises: frozenset[str]) -> np.ndarray:
    """Which of N paths are in a noise list: (N,) bool.

    The lists name images by the end of their paths, MegaFace's by the last three parts and FaceScrub's by the last.
    """
    depths = {noise.count("/") + 1 for noise in noises}
    return np.array([any("/".join(path.split("/")[-depth:]) in noises for depth in depths) for path in paths], dtype=bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)
