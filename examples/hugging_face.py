"""A margin loss under Hugging Face's Trainer: the model returns it. Takes `pip install transformers accelerate`.

python examples/hugging_face.py
"""

import tempfile

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import EvalPrediction, Trainer, TrainingArguments, set_seed

from marginface import ArcFace, MarginHead


class Digits(Dataset[dict[str, Tensor]]):
    """Images by number, as the Trainer passes them on: by the names of the model's arguments."""

    def __init__(self, train: bool) -> None:
        digits = load_digits()
        own = slice(0, 1200) if train else slice(1200, None)
        self.images = torch.tensor(digits.images[own], dtype=torch.float32).div_(8).sub_(1).flatten(1)
        self.labels = torch.tensor(digits.target[own])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"images": self.images[index], "labels": self.labels[index]}


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.PReLU(), nn.Linear(128, 32))
        self.head = MarginHead(32, 10, ArcFace(scale=16.0, m=0.3))  # saved, moved and optimized with the rest

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss, and after it what predictions are: the scaled cosines, without a margin."""
        embeddings = self.backbone(images)
        return {"loss": self.head(embeddings, labels), "logits": self.head.logits(embeddings)}


def accuracy(found: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((np.argmax(found.predictions, axis=1) == found.label_ids).mean())}


def main(epochs: int = 5) -> float:
    """The share of digits that are told on images that were not trained on."""
    set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=64,
            learning_rate=5e-3,
            weight_decay=5e-4,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        train, test = Digits(train=True), Digits(train=False)
        trainer = Trainer(Network(), arguments, train_dataset=train, eval_dataset=test, compute_metrics=accuracy)
        trainer.train()
        return float(trainer.evaluate()["eval_accuracy"])


if __name__ == "__main__":
    print(f"accuracy {100 * main():.1f} %")
