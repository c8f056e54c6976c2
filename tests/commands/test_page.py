"""The page "From a folder of photographs to a threshold": its commands, as typed, on synthetic faces."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from marginface.commands import main
from marginface.data.align import write_note
from marginface.data.images import encode_image
from marginface.data.synthetic import Synthetic
from marginface.evaluation import reports

PAGE = (Path(__file__).parents[2] / "book" / "photographs.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.split("\n") if line]


def draw(folder: Path, first: int, people: int, each: int) -> None:
    """Synthetic faces as they would come from `marginface align`, 32 pixels large."""
    identity = torch.arange(first, first + people).repeat_interleave(each)
    images = Synthetic(identities=100, size=32).images(identity, torch.arange(each).repeat(people)).numpy()
    for i, image in enumerate(images):
        path = folder / f"person_{i // each}" / f"person_{i // each}_{i % each + 1:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(np.ascontiguousarray(image.transpose(1, 2, 0))))
    write_note(folder, 32)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the exporter, about itself
def test_the_pages_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reports, "RESAMPLES", 20)
    draw(tmp_path / "aligned", 0, 20, 4)
    draw(tmp_path / "others-aligned", 50, 15, 5)
    pictures = sorted((tmp_path / "others-aligned").rglob("*.png"))
    (tmp_path / "a.png").write_bytes(pictures[0].read_bytes())
    (tmp_path / "b.png").write_bytes(pictures[1].read_bytes())
    seen = []
    for line in COMMANDS:
        name, *arguments = shlex.split(line, comments=True)
        if name != "marginface" or arguments[0] == "align":  # the detector sees no face in a drawing
            continue
        done = CliRunner().invoke(main, [*arguments], catch_exceptions=False)
        assert done.exit_code == 0 or (arguments[0] == "verify" and done.exit_code == 1), f"{line}\n{done.output}"
        seen.append(arguments[0])
    assert seen == ["train", "evaluate", "threshold", "verify", "export", "verify"]
