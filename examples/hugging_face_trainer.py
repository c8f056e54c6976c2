"""A margin loss in Hugging Face's Trainer: a model whose forward returns the loss. Takes `pip install 'transformers[torch]'`.

python examples/hugging_face_trainer.py
"""

import tempfile

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from marginface import ArcFace, MarginHead


class Embedder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.PReLU(), nn.Linear(128, 32))
        self.head = MarginHead(32, 10, ArcFace(scale=16.0, m=0.2))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        embeddings = self.network(images)
        logits = self.head.logits(embeddings)  # without the margin, for predictions
        return {"logits": logits} if labels is None else {"loss": self.head(embeddings, labels), "logits": logits}


class Digits(Dataset[dict[str, Tensor]]):
    def __init__(self) -> None:
        digits = load_digits()
        self.images = torch.tensor(digits.images, dtype=torch.float32).div_(8).sub_(1).flatten(1)
        self.labels = torch.tensor(digits.target)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {"images": self.images[i], "labels": self.labels[i]}


def main(epochs: int = 5) -> float:
    """The loss at the end."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=64,
            learning_rate=1e-2,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            seed=0,
        )
        model = Embedder()
        Trainer(model=model, args=arguments, train_dataset=Digits()).train()
    model.eval()
    data = Digits()
    with torch.no_grad():
        return float(model(data.images, data.labels)["loss"])


if __name__ == "__main__":
    print(f"loss {main():.3f}")
