"""A margin loss in a LightningModule: the head is a part like any other. Takes `pip install pytorch-lightning`.

python examples/lightning_module.py
"""

import pytorch_lightning as lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from marginface import CosFace, MarginHead


class Digits(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.PReLU(), nn.Linear(128, 32))
        self.head = MarginHead(32, 10, CosFace(scale=16.0, m=0.2))  # its weights are saved, moved and optimized with the rest

    def training_step(self, batch: tuple[Tensor, Tensor], place: int) -> Tensor:
        images, labels = batch
        loss = self.head(self.network(images), labels)  # float32 under any precision of the trainer
        self.log("loss", loss)
        self.log("theta", self.head.cosine.acos().rad2deg().mean())  # falls where it converges
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)


def main(epochs: int = 5) -> float:
    """The mean angle between images and their classes at the end, in degrees."""
    lightning.seed_everything(0, verbose=False)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).div_(8).sub_(1).flatten(1)
    data = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    module = Digits()
    trainer.fit(module, data)
    return float(trainer.callback_metrics["theta"])


if __name__ == "__main__":
    print(f"θ {main():.1f}°")
