"""ArcFace Table 8's ten networks: parameters, size, and milliseconds an image; written to data/backbones.csv.

    python benchmarks/speeds.py                  some minutes on one thread
    python benchmarks/speeds.py --device cuda

One image of 112×112 at a time, as the paper measures, and the best of a few rounds over all networks. On a CPU it is the
processor's time of one thread, so that other programs count little; on a GPU wall time.
"""

import argparse
import time
from pathlib import Path

import torch

from marginface.backbones import create, size_mb
from marginface.book.machine import processor
from marginface.book.papers.arcface.table8 import NETWORKS, PLAIN_BOTTLENECK
from marginface.data.files import writing

OUT = Path(__file__).parents[1] / "data" / "backbones.csv"
COLUMNS = ("network", "parameters", "size_mb", "ms", "device", "torch")


@torch.no_grad()
def measure(name: str, device: str, rounds: int) -> dict[str, object]:
    """A line of the table."""
    network = create(name, embedding_dim=512).eval().to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(1, 3, 112, 112, device=device).contiguous(memory_format=torch.channels_last)
    took = []
    for _ in range(rounds + 1):
        clock = time.process_time if device == "cpu" else time.perf_counter
        started = clock()
        network(image)
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(clock() - started)
    where = f"{processor()}, one thread" if device == "cpu" else torch.cuda.get_device_name()
    return {
        "network": name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "size_mb": f"{size_mb(network):.1f}",
        "ms": f"{1000 * min(took[1:]):.1f}",
        "device": where,
        "torch": torch.__version__.split("+")[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for name in (*NETWORKS.values(), PLAIN_BOTTLENECK):
        lines.append(measure(name, options.device, options.rounds))
        print(*lines[-1].values(), sep="  ", flush=True)
    with writing(OUT) as file:
        text = [",".join(COLUMNS), *(",".join(f'"{v}"' if "," in str(v) else str(v) for v in line.values()) for line in lines)]
        file.write(("\n".join(text) + "\n").encode())


if __name__ == "__main__":
    main()
