"""The equations of the papers, written literally: slow, in the order and with the letters of the text.

Nothing here is used for training. The tests hold the fast code against these lines, values and gradients, and the book
prints them beside the formulas. Arguments are float64 tensors: embeddings x (N, d), class weights W (C, d) with one row a
class, labels y (N,), and of a margin in `margins` its settings by their names, with s for the scale. Each loss returns the
mean over the batch, a tensor of shape ().
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Numbers = Sequence[Tensor | float]


def norm(v: Tensor) -> Tensor:
    return (v * v).sum().sqrt()


def theta(x_i: Tensor, w_j: Tensor) -> Tensor:
    """The angle between a sample and a class weight."""
    return torch.arccos((x_i @ w_j) / (norm(x_i) * norm(w_j)))


def cross_entropy(target: Tensor, others: list[Tensor]) -> Tensor:
    """-log of e^target over e^target plus the sum of e^other."""
    return -torch.log(torch.exp(target) / (torch.exp(target) + _sum([torch.exp(z) for z in others])))


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()


def _mean(terms: list[Tensor], dim: int | None = None) -> Tensor:
    return torch.stack(terms).mean(dim)


def softmax(x: Tensor, W: Tensor, y: Tensor, b: Tensor) -> Tensor:
    """ArcFace Eq. 1."""
    N, C = len(x), len(W)
    return _mean(
        [cross_entropy(W[y[i]] @ x[i] + b[y[i]], [W[j] @ x[i] + b[j] for j in range(C) if j != y[i]]) for i in range(N)]
    )


def weight_norm_softmax(x: Tensor, W: Tensor, y: Tensor) -> Tensor:
    """ArcFace Eq. 3."""
    loss = []
    for i in range(len(x)):
        z = [norm(x[i]) * torch.cos(theta(x[i], W[j])) for j in range(len(W))]
        loss.append(cross_entropy(z[y[i]], [z[j] for j in range(len(W)) if j != y[i]]))
    return _mean(loss)


def normface(x: Tensor, W: Tensor, y: Tensor, s: float) -> Tensor:
    """IAM Eq. 3."""
    loss = []
    for i in range(len(x)):
        z = [s * torch.cos(theta(x[i], W[j])) for j in range(len(W))]
        loss.append(cross_entropy(z[y[i]], [z[j] for j in range(len(W)) if j != y[i]]))
    return _mean(loss)


def psi(angle: Tensor, m: float, lam: float = 0.0) -> Tensor:
    """ArcFace Eq. 6: the piece-wise monotonic target of SphereFace, mixed with λ times the softmax's."""
    k = 0
    while angle > (k + 1) * math.pi / m:
        k += 1
    return ((-1) ** k * torch.cos(m * angle) - 2 * k + lam * torch.cos(angle)) / (1 + lam)


def sphereface(x: Tensor, W: Tensor, y: Tensor, m: float, lam: float, s: float | None = None) -> Tensor:
    """ArcFace Eq. 5 (s is None: the norm of x stays) and Eq. 7 (F-Norm: it is replaced by s)."""
    loss = []
    for i in range(len(x)):
        r = norm(x[i]) if s is None else s
        others = [r * torch.cos(theta(x[i], W[j])) for j in range(len(W)) if j != y[i]]
        loss.append(cross_entropy(r * psi(theta(x[i], W[y[i]]), m, lam), others))
    return _mean(loss)


def cosface(x: Tensor, W: Tensor, y: Tensor, s: float, m: float) -> Tensor:
    """ArcFace Eq. 8, IAM Eq. 5."""
    loss = []
    for i in range(len(x)):
        others = [s * torch.cos(theta(x[i], W[j])) for j in range(len(W)) if j != y[i]]
        loss.append(cross_entropy(s * (torch.cos(theta(x[i], W[y[i]])) - m), others))
    return _mean(loss)


def arcface(x: Tensor, W: Tensor, y: Tensor, s: float, m: float) -> Tensor:
    """ArcFace Eq. 9."""
    loss = []
    for i in range(len(x)):
        others = [s * torch.cos(theta(x[i], W[j])) for j in range(len(W)) if j != y[i]]
        loss.append(cross_entropy(s * torch.cos(theta(x[i], W[y[i]]) + m), others))
    return _mean(loss)


def partial_fc(x: Tensor, W: Tensor, y: Tensor, s: float, m: float, met: Tensor, corrected: bool) -> Tensor:
    """ArcFace over the classes `met` alone, those of the batch and some drawn (An et al. 2021).

    `corrected`, as it is not in the paper: each that was drawn stands for its share of all that are not of the batch.
    """
    own = set(y.tolist())
    share = (len(W) - len(own)) / (len(met) - len(own)) if corrected else 1.0
    loss = []
    for i in range(len(x)):
        cos = {j: torch.cos(theta(x[i], W[j])) for j in met.tolist() if j != y[i]}
        others = [s * c + (0.0 if j in own else math.log(share)) for j, c in cos.items()]
        loss.append(cross_entropy(s * torch.cos(theta(x[i], W[y[i]]) + m), others))
    return _mean(loss)


def l2_softmax(x: Tensor, W: Tensor, y: Tensor, radius: float) -> Tensor:
    """[20] of IAM: the softmax of embeddings that are put on a sphere. No bias."""
    loss = []
    for i in range(len(x)):
        z = [W[j] @ (radius * x[i] / norm(x[i])) for j in range(len(W))]
        loss.append(cross_entropy(z[y[i]], [z[j] for j in range(len(W)) if j != y[i]]))
    return _mean(loss)


def l_softmax(x: Tensor, W: Tensor, y: Tensor, m: float, lam: float) -> Tensor:
    """PAM Eq. 2, with cos θ_j for the other classes; λ is of the loss's own paper."""
    loss = []
    for i in range(len(x)):
        others = [norm(W[j]) * norm(x[i]) * torch.cos(theta(x[i], W[j])) for j in range(len(W)) if j != y[i]]
        w = W[y[i]]
        loss.append(cross_entropy(norm(w) * norm(x[i]) * psi(theta(x[i], w), m, lam), others))
    return _mean(loss)


def combined_margin(x: Tensor, W: Tensor, y: Tensor, s: float, m1: float, m2: float, m3: float) -> Tensor:
    """InterFace Eq. 2."""
    loss = []
    for i in range(len(x)):
        others = [s * torch.cos(theta(x[i], W[j])) for j in range(len(W)) if j != y[i]]
        loss.append(cross_entropy(s * (torch.cos(m1 * theta(x[i], W[y[i]]) + m2) - m3), others))
    return _mean(loss)


def redefined_arcface(x: Tensor, W: Tensor, y: Tensor, s: float, m1: float, m2: float) -> Tensor:
    """InterFace Eq. 4."""
    loss = []
    for i in range(len(x)):
        others = [s * torch.cos(theta(x[i], W[j]) - m2) for j in range(len(W)) if j != y[i]]
        loss.append(cross_entropy(s * torch.cos(theta(x[i], W[y[i]]) + m1), others))
    return _mean(loss)


def interface_gamma(x_i: Tensor, w_y: Tensor, d_inter: Tensor) -> Tensor:
    """InterFace Eq. 5, read as the ratio of two angles."""
    d_s = theta(x_i, w_y)
    return d_s / d_inter


def interface_t(d_inter: Tensor, a: float, b: float) -> Tensor:
    """InterFace Eq. 6; b in radians."""
    return a + b / d_inter


def interface_f(gamma: Tensor, t: Tensor, alpha: float) -> Tensor:
    """InterFace Eq. 7, as printed. The authors' code has the opposite sign."""
    return alpha * (torch.exp(-gamma) - torch.exp(-t))


def interface(
    x: Tensor,
    W: Tensor,
    y: Tensor,
    s: float,
    m: float,
    alpha: float,
    a: float,
    b: float,
    d_inter: float | None,
    sign: str = "paper",
    detach: bool = False,
) -> Tensor:
    """InterFace Eq. 8. d_inter None is the angle between the class weights; with sign "released" as in the authors' code."""
    loss = []
    for i in range(len(x)):
        others = []
        for j in range(len(W)):
            if j == y[i]:
                continue
            d = theta(W[y[i]], W[j]) if d_inter is None else torch.tensor(d_inter, dtype=x.dtype)
            f = interface_f(interface_gamma(x[i], W[y[i]], d), interface_t(d, a, b), alpha)
            f = f if sign == "paper" else -f
            others.append(s * torch.cos(theta(x[i], W[j]) - (f.detach() if detach else f)))
        loss.append(cross_entropy(s * torch.cos(theta(x[i], W[y[i]]) + m), others))
    return _mean(loss)


def _moved(x: Tensor, W: Tensor, y: Tensor, s: float, turned: Numbers, taken: Numbers) -> Tensor:
    """T_i(θ) = cos(θ + turned_i) - taken_i, with numbers of each sample's own."""
    loss = []
    for i in range(len(x)):
        others = [s * torch.cos(theta(x[i], W[j])) for j in range(len(W)) if j != y[i]]
        loss.append(cross_entropy(s * (torch.cos(theta(x[i], W[y[i]]) + turned[i]) - taken[i]), others))
    return _mean(loss)


def adaface(
    x: Tensor, W: Tensor, y: Tensor, s: float, m: float, h: float, alpha: float, before: Numbers = (20.0, 100.0)
) -> Tensor:
    """AdaFace Eq. 15-18, with what μ and σ were before the batch; of a first one 20 and 100."""
    z = torch.stack([norm(x_i) for x_i in x]).detach()
    mu = alpha * z.sum() / len(z) + (1 - alpha) * before[0]
    sigma = alpha * torch.sqrt(((z - z.mean()) ** 2).sum() / (len(z) - 1)) + (1 - alpha) * before[1]
    z_hat = [((z_i - mu) / (sigma / h)).clamp(-1, 1) for z_i in z]
    g_angle, g_add = [-m * z_i for z_i in z_hat], [m * z_i + m for z_i in z_hat]
    return _moved(x, W, y, s, g_angle, g_add)


def magface(
    x: Tensor, W: Tensor, y: Tensor, s: float, least: float, most: float, short: float, long: float, lam: float
) -> Tensor:
    """MagFace Eq. 3 with the functions of its Section 4: l_m, u_m = least, most and l_a, u_a = short, long."""
    a = [norm(x_i).clamp(short, long) for x_i in x]
    m = [(most - least) / (long - short) * (a_i - short) + least for a_i in a]
    g = [1 / a_i + a_i / long**2 for a_i in a]
    return _moved(x, W, y, s, m, [0.0] * len(x)) + lam * _mean(g)


def curricularface(x: Tensor, W: Tensor, y: Tensor, s: float, m: float, alpha: float, before: Tensor | float = 0.0) -> Tensor:
    """CurricularFace Eq. 8-10, with what t was before the batch; of a first one 0."""
    N, C = len(x), len(W)
    r = _mean([torch.cos(theta(x[i], W[y[i]])) for i in range(N)]).detach()
    t = alpha * r + (1 - alpha) * before
    loss = []
    for i in range(N):
        T = torch.cos(theta(x[i], W[y[i]]) + m)
        cos = [torch.cos(theta(x[i], W[j])) for j in range(C) if j != y[i]]
        loss.append(cross_entropy(s * T, [s * (c * (t + c) if c > T else c) for c in cos]))
    return _mean(loss)


def elasticface(x: Tensor, W: Tensor, y: Tensor, s: float, kind: str, plus: bool, drawn: Tensor) -> Tensor:
    """ElasticFace Eq. 4-6 with the margins that were drawn; `plus` sorts them by how near a sample is to its class."""
    E = list(drawn)
    if plus:
        by_distance = sorted(range(len(x)), key=lambda i: float(theta(x[i], W[y[i]]).detach()))
        ascending = sorted(E)
        for place, i in enumerate(by_distance):
            E[i] = ascending[place]
    none = [0.0] * len(x)
    return _moved(x, W, y, s, E, none) if kind == "arc" else _moved(x, W, y, s, none, E)


def adacos(x: Tensor, W: Tensor, y: Tensor, dynamic: bool, before: float | None = None) -> Tensor:
    """AdaCos Eq. 12, or 15 and 16 with what s was before the batch; of a first one the fixed scale."""
    N, C = len(x), len(W)
    s = math.sqrt(2) * math.log(C - 1) if before is None else before
    if dynamic:
        B = _mean([_sum([torch.exp(s * torch.cos(theta(x[i], W[j]))) for j in range(C) if j != y[i]]) for i in range(N)])
        median = torch.stack([theta(x[i], W[y[i]]) for i in range(N)]).median()
        s = math.log(float(B.detach())) / math.cos(min(math.pi / 4, float(median.detach())))
    return normface(x, W, y, s)


def adaptiveface(x: Tensor, W: Tensor, y: Tensor, s: float, m: Tensor | float, lam: float) -> Tensor:
    """AdaptiveFace Eq. 5-7, with a margin m (C,) for each class, or one for all as at the beginning.

    As in public code, and not in the paper, one below 0 counts as 0 in T, one above 1 as 1.
    """
    margins = list(m) if isinstance(m, Tensor) else [torch.tensor(float(m), dtype=x.dtype)] * len(W)
    taken = [margins[y_i].clamp(0, 1) for y_i in y]
    return _moved(x, W, y, s, [0.0] * len(x), taken) - lam * _sum([m_j.clamp(max=1) for m_j in margins]) / len(W)


def dynarcface(x: Tensor, W: Tensor, y: Tensor, s: float, m: float, slope: float, begins: float) -> Tensor:
    """Dyn-ArcFace: ArcFace with a margin by the angle between a class and the nearest other, which carries no gradient."""
    nearest = [min(float(theta(W[y_i], W[j]).detach()) for j in range(len(W)) if j != y_i) for y_i in y]
    return _moved(x, W, y, s, [m + slope * max(0.0, angle - begins) for angle in nearest], [0.0] * len(x))


def circleloss(x: Tensor, W: Tensor, y: Tensor, s: float, m: float) -> Tensor:
    """Circle loss Eq. 5 and 6 with class weights as proxies, γ = s; the weights α_p and α_n carry no gradient."""
    loss = []
    for i in range(len(x)):
        cos = [torch.cos(theta(x[i], w)) for w in W]
        zero = torch.zeros((), dtype=x.dtype)
        alpha_p = max(1 + m - cos[y[i]].detach(), zero)
        others = [s * max(c.detach() + m, zero) * (c - m) for j, c in enumerate(cos) if j != y[i]]
        loss.append(cross_entropy(s * alpha_p * (cos[y[i]] - (1 - m)), others))
    return _mean(loss)


def spherefacer(x: Tensor, W: Tensor, y: Tensor, s: float | None, m: float, version: str, gradient: str) -> Tensor:
    """SphereFace-R: the own angle times m, as far as π ("v1"), or the others' over m ("v2"), or ψ ("v0")."""
    loss = []
    for i in range(len(x)):
        t = [theta(x[i], w) for w in W]
        z = [torch.cos(t_j) for t_j in t]
        if version == "v2":
            changed = [z[j] if j == y[i] else torch.cos(t[j] / m) for j in range(len(W))]
        else:
            own = psi(t[y[i]], m) if version == "v0" else torch.cos(m * t[y[i]].clamp(max=math.pi / m))
            changed = [own if j == y[i] else z[j] for j in range(len(W))]
        if gradient == "detached":
            changed = [z[j] + (changed[j] - z[j]).detach() for j in range(len(W))]
        r = norm(x[i]) if s is None else s
        loss.append(cross_entropy(r * changed[y[i]], [r * changed[j] for j in range(len(W)) if j != y[i]]))
    return _mean(loss)


def subcenterarcface(x: Tensor, W: Tensor, y: Tensor, s: float, m: float) -> Tensor:
    """Sub-center ArcFace Eq. 3, with W (C, K, d)."""
    loss = []
    for i in range(len(x)):
        nearest = [torch.stack([torch.cos(theta(x[i], w)) for w in of_class]).max() for of_class in W]
        target = torch.cos(torch.arccos(nearest[y[i]]) + m)
        loss.append(cross_entropy(s * target, [s * nearest[j] for j in range(len(W)) if j != y[i]]))
    return _mean(loss)


def sphereface2(x: Tensor, W: Tensor, y: Tensor, s: float, m: float, t: float, lam: float, b: Tensor) -> Tensor:
    """SphereFace2 Eq. 8 with the g of Eq. 7, r = s."""
    loss = []
    for i in range(len(x)):
        g = [2 * ((torch.cos(theta(x[i], w)) + 1) / 2) ** t - 1 for w in W]
        positive = torch.log(1 + torch.exp(-s * (g[y[i]] - m) - b))
        negative = [torch.log(1 + torch.exp(s * (g[j] + m) + b)) for j in range(len(W)) if j != y[i]]
        loss.append(lam / s * positive + (1 - lam) / s * _sum(negative))
    return _mean(loss)


def iam(x: Tensor, W: Tensor, y: Tensor, s: float) -> Tensor:
    """IAM Eq. 7: log of the mean of the other classes' e^(s cos θ) over the sum of all classes'. No β."""
    C = len(W)
    loss = []
    for i in range(len(x)):
        e = [torch.exp(s * torch.cos(theta(x[i], W[j]))) for j in range(C)]
        loss.append(torch.log(_sum([e[j] for j in range(C) if j != y[i]]) / (C - 1) / _sum(e)))
    return _mean(loss)


# ArcFace Table 1: the left-hand sides of the decision boundaries for class 1 of two. The boundary is where each is 0.


def boundary_softmax(x: Tensor, W1: Tensor, W2: Tensor, b1: float, b2: float) -> Tensor:
    return (W1 - W2) @ x + b1 - b2


def boundary_weight_norm_softmax(norm_x: float, theta1: Tensor, theta2: Tensor) -> Tensor:
    return norm_x * (torch.cos(theta1) - torch.cos(theta2))


def boundary_sphereface(norm_x: float, m: float, theta1: Tensor, theta2: Tensor) -> Tensor:
    return norm_x * (torch.cos(m * theta1) - torch.cos(theta2))


def boundary_cosineface(s: float, m: float, theta1: Tensor, theta2: Tensor) -> Tensor:
    return s * (torch.cos(theta1) - m - torch.cos(theta2))


def boundary_arcface(s: float, m: float, theta1: Tensor, theta2: Tensor) -> Tensor:
    return s * (torch.cos(theta1 + m) - torch.cos(theta2))


# IAM Eq. 9-14: gradients with respect to features x and class weights W of unit length, each taken as free. The summand
# of one sample i, as printed. The equations then take 1/N times its sum over all i, also where the derivative is with
# respect to x_i, or to a class that is the own class of some samples only.


def iam_p(x_i: Tensor, W: Tensor, y_i: int, s: float) -> Tensor:
    """p_i: the scaled softmax's probability of the own class (under Eq. 9)."""
    return torch.exp(s * W[y_i] @ x_i) / _sum([torch.exp(s * W[j] @ x_i) for j in range(len(W))])


def iam_p1(x_i: Tensor, W: Tensor, j: int, s: float) -> Tensor:
    """p_ij1: the probability of class j among all (under Eq. 11)."""
    return torch.exp(s * W[j] @ x_i) / _sum([torch.exp(s * W[k] @ x_i) for k in range(len(W))])


def iam_p2(x_i: Tensor, W: Tensor, y_i: int, j: int, s: float) -> Tensor:
    """p_ij2: the probability of class j among the others (under Eq. 11)."""
    return torch.exp(s * W[j] @ x_i) / _sum([torch.exp(s * W[k] @ x_i) for k in range(len(W)) if k != y_i])


def iam_eq9(x_i: Tensor, W: Tensor, y_i: int, s: float) -> Tensor:
    """∂L_IAM/∂x_i. The sum over "j ≠ w_yi" is one over j ≠ y_i."""
    e = [torch.exp(s * W[j] @ x_i) for j in range(len(W))]
    terms = [s * (W[y_i] - W[j]) * e[y_i] * e[j] for j in range(len(W)) if j != y_i]
    return -1 / (1 - iam_p(x_i, W, y_i, s)) * torch.stack(terms).sum(dim=0) / _sum(e) ** 2


def iam_eq10(x_i: Tensor, W: Tensor, y_i: int, s: float) -> Tensor:
    """∂L_IAM/∂w_yi."""
    return -s * x_i * iam_p(x_i, W, y_i, s)


def iam_eq11(x_i: Tensor, W: Tensor, y_i: int, j: int, s: float) -> Tensor:
    """∂L_IAM/∂w_j, j ≠ y_i."""
    return s * x_i * (iam_p2(x_i, W, y_i, j, s) - iam_p1(x_i, W, j, s))


def iam_eq12(x: Tensor, W: Tensor, y: Tensor, s: float, beta: float) -> Tensor:
    """L = L_scale + β L_IAM, in the form with p_i. A whole equation: the sum over i included."""
    p = torch.stack([iam_p(x[i], W, int(y[i]), s) for i in range(len(x))])
    return -torch.log(p).mean() + beta * torch.log((1 - p) / (len(W) - 1)).mean()


def iam_eq13(x_i: Tensor, W: Tensor, y_i: int, s: float, beta: float) -> Tensor:
    """∂L/∂w_yi."""
    p = iam_p(x_i, W, y_i, s)
    return -s * x_i * (1 - p + beta * p)


def iam_eq14(x_i: Tensor, W: Tensor, y_i: int, j: int, s: float, beta: float) -> Tensor:
    """∂L/∂w_j, j ≠ y_i."""
    p1, p2 = iam_p1(x_i, W, j, s), iam_p2(x_i, W, y_i, j, s)
    return s * x_i * (p1 + beta * p2 - beta * p1)


# PAM Eq. 10: the cosine of the real margin, θ - θ_i - θ_j, from the three cosines W_i·W_j = cos θ, R_i = cos θ_i and
# R_j = cos θ_j.


def pam_eq10_printed(cosine: Tensor, R_i: Tensor, R_j: Tensor, bracket: str = "first") -> Tensor:
    """As printed. A bracket is opened before the second term and not closed: "first" closes it after that term's root,
    "end" at the end of the line."""
    second = torch.sqrt((1 - R_i**2) * (1 - R_j**2))
    third = torch.sqrt((1 - cosine**2) * (1 - R_i**2)) * R_j
    fourth = torch.sqrt(1 - cosine**2) * R_i * R_j
    if bracket == "first":
        return cosine * R_i * R_j - cosine * second + third + fourth
    return cosine * R_i * R_j - cosine * (second + third + fourth)


def pam_eq10(cosine: Tensor, R_i: Tensor, R_j: Tensor) -> Tensor:
    """Corrected: the last term has the sine of θ_j where the paper prints its cosine R(j)."""
    sine, sine_i, sine_j = torch.sqrt(1 - cosine**2), torch.sqrt(1 - R_i**2), torch.sqrt(1 - R_j**2)
    return cosine * R_i * R_j - cosine * sine_i * sine_j + sine * sine_i * R_j + sine * R_i * sine_j


# Regularizers and losses on distances: center, ring, marginal, range, uniform, PAM, triplet, and other losses of pairs. Each
# without its weight.


def center(x: Tensor, c: Tensor, y: Tensor) -> Tensor:
    """Wen et al. 2016 Eq. 2, divided by the batch size. c (C, d) are the class centres."""
    return _mean([norm(x[i] - c[y[i]]) ** 2 / 2 for i in range(len(x))])


def center_update(x: Tensor, c: Tensor, y: Tensor, alpha: float) -> Tensor:
    """Wen et al. 2016 Eq. 3-4: the centres after a batch."""
    rows = []
    for j in range(len(c)):
        own = [i for i in range(len(x)) if y[i] == j]
        delta = sum([c[j] - x[i] for i in own], start=0 * c[j]) / (1 + len(own))
        rows.append(c[j] - alpha * delta)
    return torch.stack(rows)


def ring(x: Tensor, R: Tensor) -> Tensor:
    """Zheng et al. 2018. R () is the learned radius."""
    return _mean([(norm(x[i]) - R) ** 2 / 2 for i in range(len(x))])


def marginal(x: Tensor, y: Tensor, tau: float, xi: float) -> Tensor:
    """Deng et al. 2017: over the m² - m pairs of a batch, with y_ij = 1 for one class and -1 for two."""
    m = len(x)
    loss = []
    for i in range(m):
        for j in [j for j in range(m) if j != i]:
            y_ij = 1 if y[i] == y[j] else -1
            loss.append(torch.relu(xi - y_ij * (tau - _squared_distance(x[i], x[j]))))
    return 1 / (m**2 - m) * _sum(loss)


def range_intra(x: Tensor, y: Tensor, k: int) -> Tensor:
    """Zhang et al. 2017: over the identities of a batch, the harmonic mean of the k largest ranges D_1 … D_k."""
    loss = [0 * x.sum()]
    for c in set(y.tolist()):
        own = [i for i in range(len(x)) if y[i] == c]
        D = sorted([norm(x[i] - x[j]) ** 2 for i in own for j in own if i < j], key=Tensor.item, reverse=True)[:k]
        if D:
            loss.append(len(D) / _sum([1 / D_j for D_j in D]))
    return _sum(loss)


def range_inter(x: Tensor, y: Tensor, M: float) -> Tensor:
    """Zhang et al. 2017: the margin M less the shortest distance between two centres of the batch."""
    centres = [_mean([x[i] for i in range(len(x)) if y[i] == c], dim=0) for c in set(y.tolist())]
    D = [norm(centres[q] - centres[r]) ** 2 for q in range(len(centres)) for r in range(q)]
    return torch.relu(M - min(D, key=Tensor.item))


def uniform(c: Tensor, moving: list[int] | None = None) -> Tensor:
    """Duan et al. 2019 Eq. 6, c (M, d) brought to the sphere; or of some centres alone, with the others as constants."""
    M = len(c)
    c = torch.stack([c[j] / norm(c[j]) for j in range(M)])
    if moving is None:
        d = [norm(c[i] - c[j]) + 1 for i in range(M) for j in range(M) if j != i]
    else:
        d = [norm(c[i] - c[j].detach()) + 1 for i in moving for j in range(M) if j != i]
    return _mean([1 / d_ij for d_ij in d])


def pam_delta(cosine: Tensor, R: Tensor, beta: float) -> Tensor:
    """PAM Eq. 9: what one sample changes in the range R of its class."""
    return cosine - R if cosine < R else beta * (cosine - R)


def pam_update(R: Tensor, cosines: Tensor, y: Tensor, beta: float) -> Tensor:
    """PAM Eq. 8 as printed: a class that occurs twice adds both changes, and can leave [-1, 1]."""
    new = R.clone()
    for j in range(len(R)):
        for i in range(len(y)):
            if y[i] == j:
                new[j] = new[j] + pam_delta(cosines[i], R[j], beta)
    return new


def pam_theta_ij(w_i: Tensor, w_j: Tensor, R_i: Tensor, R_j: Tensor) -> Tensor:
    """PAM Section 3: the real margin between two classes, θ - θ_i - θ_j."""
    return theta(w_i, w_j) - torch.arccos(R_i) - torch.arccos(R_j)


def pam_phi(theta_ij: Tensor) -> Tensor:
    """PAM, after Eq. 7."""
    return torch.cos(theta_ij) if theta_ij > 0 else -torch.cos(theta_ij) + 2


def pam_v1(W: Tensor, R: Tensor) -> Tensor:
    """PAM Eq. 6."""
    P = len(W)
    S = [pam_phi(pam_theta_ij(W[i], W[j], R[i], R[j])) for i in range(P) for j in range(P) if i > j]
    return _sum(sorted(S, key=Tensor.item, reverse=True)[:P]) / P


def pam_v2(W: Tensor, R: Tensor, include_self: bool = False) -> Tensor:
    """PAM Eq. 7; as printed, S_i includes the class i itself, for which θ = 0."""
    P = len(W)
    total = []
    for i in range(P):
        S_i = [pam_phi(pam_theta_ij(W[i], W[j], R[i], R[j])) for j in range(P) if j != i]
        if include_self:
            S_i.append(pam_phi(-2 * torch.arccos(R[i])))
        total += sorted(S_i, key=Tensor.item, reverse=True)[:2]
    return _sum(total) / (2 * P)


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    return norm(a / norm(a) - b / norm(b)) ** 2


def triplet(a: Tensor, p: Tensor, n: Tensor, margin: float) -> Tensor:
    """FaceNet Section 3.1 for one triplet, embeddings on the unit sphere."""
    return torch.relu(_squared_distance(a, p) - _squared_distance(a, n) + margin)


def triplet_semi_hard(x: Tensor, y: Tensor, margin: float) -> Tensor:
    """FaceNet Section 3.2: for each anchor and positive the nearest of the negatives that are farther than the positive."""
    loss = []
    for a in range(len(x)):
        for p in [p for p in range(len(x)) if y[p] == y[a] and p != a]:
            farther = [
                n for n in range(len(x)) if y[n] != y[a] and _squared_distance(x[a], x[n]) > _squared_distance(x[a], x[p])
            ]
            if farther:
                n = min(farther, key=lambda n: _squared_distance(x[a], x[n]).item())
                loss.append(triplet(x[a], x[p], x[n], margin))
    return _mean(loss) if loss else 0 * x.sum()


def triplet_batch_hard(x: Tensor, y: Tensor, margin: float) -> Tensor:
    """Hermans et al. 2017 Eq. 5: for each anchor the farthest positive and the nearest negative."""
    loss = []
    for a in range(len(x)):
        positives = [_squared_distance(x[a], x[p]) for p in range(len(x)) if y[p] == y[a] and p != a]
        negatives = [_squared_distance(x[a], x[n]) for n in range(len(x)) if y[n] != y[a]]
        if positives and negatives:
            loss.append(torch.relu(max(positives, key=Tensor.item) - min(negatives, key=Tensor.item) + margin))
    return _mean(loss) if loss else 0 * x.sum()


def contrastive(x: Tensor, y: Tensor, m: float) -> Tensor:
    """Hadsell et al. 2006 Eq. 4, the mean over the pairs of a batch: Y = 0 for one class and 1 for two."""
    loss = []
    for i in range(len(x)):
        for j in range(i):
            Y, D = int(y[i] != y[j]), norm(x[i] - x[j])
            loss.append((1 - Y) / 2 * D**2 + Y / 2 * torch.relu(m - D) ** 2)
    return _mean(loss) if loss else 0 * x.sum()


def n_pair(x: Tensor, y: Tensor, l2: float) -> Tensor:
    """Sohn 2016, N-pair-mc, with the mean of ‖f‖² over all that are in a pair."""
    pairs = []
    for c in set(y.tolist()):
        own = [i for i in range(len(x)) if y[i] == c]
        pairs += list(zip(own[::2], own[1::2], strict=False))
    loss = []
    for i, p in pairs:
        negatives = [torch.exp(x[i] @ x[n] - x[i] @ x[p]) for _, n in pairs if y[n] != y[i]]
        lengths = (norm(x[i]) ** 2 + norm(x[p]) ** 2) / 2
        loss.append(torch.log(1 + _sum([0 * x.sum(), *negatives])) + l2 * lengths)
    return _mean(loss) if loss else 0 * x.sum()


def circle_pair(x: Tensor, y: Tensor, m: float, gamma: float) -> Tensor:
    """Sun et al. 2020 Eq. 6 with its weights (Eq. 5 and 8) as constants, for each sample that has both kinds of pairs."""
    loss = []
    for i in range(len(x)):
        s = [torch.cos(theta(x[i], x[j])) if j != i else None for j in range(len(x))]
        s_p = [s_j for j, s_j in enumerate(s) if s_j is not None and y[j] == y[i]]
        s_n = [s_j for j, s_j in enumerate(s) if s_j is not None and y[j] != y[i]]
        if s_p and s_n:
            of_n = _sum([torch.exp(gamma * torch.relu(s_j + m).detach() * (s_j - m)) for s_j in s_n])
            of_p = _sum([torch.exp(-gamma * torch.relu(1 + m - s_j).detach() * (s_j - (1 - m))) for s_j in s_p])
            loss.append(torch.log(1 + of_n * of_p))
    return _mean(loss) if loss else 0 * x.sum()
