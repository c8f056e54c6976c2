"""PAM Table 1: our recipe has what is printed, line by line, and a recipe that has not is named."""

from dataclasses import replace

import pytest

from marginface.book import published
from marginface.book.papers.pam.table1 import READ, RECIPE, SENTENCES, TABLE1, UNSAID, as_read, claims, verdict
from marginface.margins import CosFace
from marginface.training.recipes import Recipe


def test_every_printed_line_is_read_from_the_recipe() -> None:
    assert list(READ) == published.table("pam", 1).parameter.tolist()
    assert TABLE1.verdict().word == "as printed"
    assert len(as_read()) == len(READ) + len(SENTENCES) + len(UNSAID)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (replace(RECIPE, batch_size=128), "batch size"),
        (replace(RECIPE, margin=CosFace(64, 0.3)), "AM-Softmax scalar"),
        (replace(RECIPE, flip=0.0), "random flip"),
        (replace(RECIPE, dropout=0.2), "keep probability"),
        (replace(RECIPE, milestones=(0.5, 0.75)), "LR of epoch 100~199"),
        (replace(RECIPE, optimizer="sgd"), "optimizer"),
        (replace(RECIPE, steps=180_000), "epoch size"),
        (replace(RECIPE, backbone="LResNet50E-IR"), "network"),
    ],
)
def test_another_setting_is_named(other: Recipe, name: str) -> None:
    found = verdict(other)
    assert found.word == "contradicted"
    assert any(f"the printed {name}: " in line for line in found.evidence)
    assert sum(not claim.holds for claim in claims(other)) == len(found.evidence)


def test_lambda_is_among_what_is_not_printed() -> None:
    table = as_read().set_index("parameter")
    assert table.loc["λ after 275 epochs", "the paper"] == "–"
    assert str(table.loc["λ after 275 epochs", "ours"]).startswith("1; ")
