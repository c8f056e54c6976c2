"""ArcFace in its original framework, as a symbolic graph: an independent witness for value and gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from marginface.heads import MarginHead
from marginface.margins import ArcFace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mxnet has not been maintained since 2022


def symbolic_arcface(mx: Any, s: float, m: float, classes: int) -> Any:
    """The loss of §2.6 with the authors' fallback beyond π - m, from mxnet's own operators."""
    x, W, y = (mx.sym.Variable(name) for name in ("x", "W", "y"))
    cosine = mx.sym.FullyConnected(
        mx.sym.L2Normalization(x), mx.sym.L2Normalization(W), num_hidden=classes, no_bias=True, flatten=False
    )
    own = mx.sym.pick(cosine, y, axis=1)
    turned = own * math.cos(m) - mx.sym.sqrt(1 - own * own) * math.sin(m)
    target = mx.sym.where(own > math.cos(math.pi - m), turned, own - m * math.sin(m))
    change = mx.sym.expand_dims(target - own, 1)
    logits = s * (cosine + mx.sym.broadcast_mul(mx.sym.one_hot(y, classes, dtype="float64"), change))
    return mx.sym.MakeLoss(-mx.sym.mean(mx.sym.pick(mx.sym.log_softmax(logits, axis=1), y, axis=1)))


@pytest.mark.parametrize(("s", "m"), [(64.0, 0.5), (16.0, 0.3), (30.0, 1.2)])
def test_arcface_equals_mxnets(mx: Any, s: float, m: float) -> None:
    numbers = np.random.default_rng(0)
    x, W, y = numbers.normal(size=(64, 5)), numbers.normal(size=(9, 5)), numbers.integers(0, 9, 64)
    arrays = {name: mx.nd.array(value, dtype="float64") for name, value in (("x", x), ("W", W), ("y", y))}
    gradients = {name: mx.nd.zeros_like(array) for name, array in arrays.items()}
    bound = symbolic_arcface(mx, s, m, 9).bind(mx.cpu(), arrays, args_grad=gradients)
    (loss,) = bound.forward(is_train=True)
    bound.backward()

    head = MarginHead(5, 9, ArcFace(s, m, fallback="monotonic")).double()
    head.weight.data = torch.from_numpy(W)
    embeddings = torch.from_numpy(x).requires_grad_()
    ours = head(embeddings, torch.from_numpy(y))
    grad_x, grad_w = torch.autograd.grad(ours, [embeddings, head.weight])
    assert ours.item() == pytest.approx(float(loss.asnumpy().item()), rel=1e-9)
    np.testing.assert_allclose(grad_x.numpy(), gradients["x"].asnumpy(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(grad_w.numpy(), gradients["W"].asnumpy(), rtol=1e-6, atol=1e-9)
