"""The languages of captions: most by the batch, and by fastText itself what is unusual or not sure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from newtest.pool.filtering.lid.batch import BatchModel
from newtest.pool.filtering.lid.model_file import EOS, LABEL

__all__ = ["Detector"]

_FEW = 64
"""Fewer captions than this cost less one by one."""

_LONG = 4096
"""Characters: a longer caption is fastText's, since the margin for rounding grows with its n-grams."""

_TOGETHER = 1 << 19
"""Characters of the captions that make one batch, about 8,000 captions; it takes some 50 MB at most."""


@dataclass(frozen=True)
class Detector:
    """A model for batches, and fastText's own answer about one caption, which decides what the batch leaves open."""

    model: BatchModel
    judge: Callable[[str], str]

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """One language code per caption, as ``judge`` would give it."""
        if len(texts) < _FEW:
            return [self.judge(text) for text in texts]
        return [answer for part in _parts(texts) for answer in self._batch(part)]

    def _batch(self, texts: Sequence[str]) -> list[str]:
        odd = np.array([len(text) > _LONG or EOS in text or LABEL in text for text in texts])
        plain = (
            ["" if is_odd else text for text, is_odd in zip(texts, odd, strict=True)] if odd.any() else texts
        )
        labels, sure = self.model.answers(plain)
        answers = [self.model.labels[label] for label in labels.tolist()]
        for place in np.flatnonzero(odd | ~sure).tolist():
            answers[place] = self.judge(texts[place])
        return answers


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Consecutive captions of about ``_TOGETHER`` characters; a longer one counts as the little that the batch sees."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    batches = np.cumsum(np.where(sizes > _LONG, 0, sizes) + 1) // _TOGETHER
    ends = np.flatnonzero(np.diff(batches, append=-1)) + 1
    start = 0
    for end in ends.tolist():
        yield texts[start:end]
        start = end
