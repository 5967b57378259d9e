"""negCLIPLoss: a CLIP score less what the sample's images and captions have in common with everybody else's.

Wang et al. 2024 (arXiv 2405.19547, section 3.1). With unit vectors v of images and l of captions, a temperature t and
K random batches B that hold the sample i:

    negCLIPLoss(i) = v_i . l_i - t/(2K) * sum over B of ( log sum over j in B of exp(v_i . l_j / t)
                                                        + log sum over j in B of exp(v_j . l_i / t) )

That is t times the negative loss of CLIP's training. The paper has batches of 32,768, K = 10 and t = 0.01.

The paper parts the pool into batches at random. Here the batch of sample i in draw k is i and the first
``batch`` - 1 other samples in an order that hashes of the uids give. So each sample's batch is a random one of the same
size, and all samples of a draw are measured against the same others; no shard has to see another. A pool of fewer
samples is one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError

__all__ = ["NegClipLoss", "References", "neg_clip_loss"]

Halves = npt.NDArray[np.float16]
Ints = npt.NDArray[np.int64]
PRODUCTS = 1 << 22
"""Products that are looked at at a time on the CPU."""
MOST_ROWS = 2048
"""Rows at a time, at most: a shard's last block is filled up to as many."""


@dataclass(frozen=True)
class NegClipLoss:
    """Samples per batch, batches per sample, the temperature, and the seed of the draws. Raises UsageError."""

    batch: int = 32_768
    batches: int = 10
    temperature: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 2 or self.batches < 1:
            raise UsageError(
                f"negCLIPLoss needs batches of at least 2 samples and at least 1 of them, not {self.batches} of "
                f"{self.batch}"
            )
        if not 0 < self.temperature < np.inf:
            raise UsageError(f"a temperature is a number above 0, not {self.temperature}")


@dataclass(frozen=True)
class References:
    """One draw's samples in the order of their hashes: place in the pool (r,), vectors (r, d) of unit length.

    At most as many as a batch has; fewer where the pool has no more.
    """

    places: Ints
    images: Halves
    texts: Halves


def neg_clip_loss(
    images: Halves,
    texts: Halves,
    places: Ints,
    draws: list[References],
    config: NegClipLoss,
    device: str = "numpy",
) -> npt.NDArray[np.float32]:
    """negCLIPLoss of samples (n,): unit ``images`` and ``texts`` (n, d), ``places`` (n,) in the pool.

    ``device``: numpy, or a device of torch. Products are float32, sums float64; another device or processor may change
    the last digits (1e-7). Which rows are computed together changes none.
    """
    own = np.einsum("nd,nd->n", images.astype(np.float64), texts.astype(np.float64))
    loss = np.zeros(len(own))
    for draw in draws:
        inside = np.isin(places, draw.places[: config.batch - 1])
        for rows, others in ((images, draw.texts), (texts, draw.images)):
            loss += _log_sums(rows, others, own, inside, config, device)
    return np.asarray(own - config.temperature * loss / (2 * len(draws)), np.float32)


def _log_sums(
    rows: Halves,
    others: Halves,
    own: npt.NDArray[np.float64],
    inside: npt.NDArray[np.bool_],
    config: NegClipLoss,
    device: str,
) -> npt.NDArray[np.float64]:
    """log sum exp of the rows' products with their batch, (n,). A row that is not ``inside`` takes the last place of a
    full batch, or one more where the batch is not full.
    """
    result = np.empty(len(rows))
    full = len(others) >= config.batch
    summed = _Numpy(others, config) if device == "numpy" else _Torch(others, config, device)
    step = min(max(summed.at_a_time // max(len(others), 1), 1), MOST_ROWS)
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        size = part.stop - start
        # Each block has as many rows as any other: a library multiplies few of them in another way than many.
        block = np.zeros((step, rows.shape[1]), np.float32)
        block[:size] = rows[part]
        last = np.zeros(step, np.float32)
        last[:size] = np.where(inside[part], np.nan if full else -np.inf, own[part])
        result[part] = summed(block, last, instead=full)[:size]
    return result


class _Numpy:
    at_a_time = PRODUCTS

    def __init__(self, others: Halves, config: NegClipLoss) -> None:
        self.turned = np.ascontiguousarray(others[: config.batch].astype(np.float32).T)
        self.temperature = np.float32(config.temperature)

    def __call__(
        self, rows: npt.NDArray[np.float32], last: npt.NDArray[np.float32], *, instead: bool
    ) -> npt.NDArray[np.float64]:
        """log sum exp of products; ``last`` (n,) stands ``instead`` of the last one where it is a number, or behind."""
        products = rows @ self.turned
        if instead:
            products[:, -1] = np.where(np.isnan(last), products[:, -1], last)
        else:
            products = np.concatenate([products, last[:, None]], axis=1)
        products /= self.temperature
        highest = products.max(axis=1, keepdims=True)
        np.subtract(products, highest, out=products)
        sums = np.exp(products, out=products).sum(axis=1, dtype=np.float64)
        return np.asarray(highest[:, 0].astype(np.float64) + np.log(sums))


class _Torch:
    """The same on a CPU or GPU by torch, whose exp uses all cores."""

    def __init__(self, others: Halves, config: NegClipLoss, device: str) -> None:
        import torch

        self.at_a_time = 1 << 26 if device.startswith("cuda") else PRODUCTS

        self.torch, self.device, self.temperature = torch, device, config.temperature
        wide = others[: config.batch].astype(np.float32)
        self.turned = torch.from_numpy(np.ascontiguousarray(wide.T)).to(device)

    def __call__(
        self, rows: npt.NDArray[np.float32], last: npt.NDArray[np.float32], *, instead: bool
    ) -> npt.NDArray[np.float64]:
        products = self.torch.from_numpy(rows).to(self.device) @ self.turned
        extra = self.torch.from_numpy(last).to(self.device)
        if instead:
            products[:, -1] = self.torch.where(extra.isnan(), products[:, -1], extra)
        else:
            products = self.torch.cat([products, extra[:, None]], dim=1)
        products /= self.temperature
        highest = products.amax(dim=1, keepdim=True)
        sums = (products - highest).exp_().sum(dim=1, dtype=self.torch.float64)
        return np.asarray((highest[:, 0].double() + sums.log()).cpu().numpy())
