"""Every example does what it says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plain_loop_learns_and_says_what_its_head_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("plain_loop").main() > 0.9
    assert "ArcFace(scale=16, m=0.2" in capsys.readouterr().out


def test_a_training_that_was_stopped_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("resuming").main()
    assert "at step 20 the head has ArcFace(scale=16.0, m=0.2," in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the trainer, about few workers
def test_a_lightning_module_converges() -> None:
    pytest.importorskip("pytorch_lightning")
    assert example("lightning_module").main() < 60


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the Trainer, about workers
def test_a_model_converges_under_hugging_faces_trainer() -> None:
    pytest.importorskip("transformers")
    assert example("hugging_face").main() > 0.85


@pytest.mark.slow
def test_what_is_no_faces() -> None:
    metrics = example("no_faces").main(classes=20, epochs=1)
    assert metrics.keys() >= {"accuracy"} or any("glyphs" in name for name in metrics)


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f'example("{path.stem}")' in text, path.name
