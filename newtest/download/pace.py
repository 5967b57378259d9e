"""How fast a host may be asked: learned from what it refuses, and nothing else.

A host that nobody knows is asked gently at first: six requests at once, and after 60 answers one more for every two.
The first refusal (429, or 503 with Retry-After) ends that. From then on:

- the host rests for as long as it says, or 1 s, 2 s, 4 s ... while it goes on refusing, whichever is longer; one
  request at a time tries whether it answers again;
- once it does, its pace is 95 % of what it answered over the time since it was begun, the rest included: 30 answers and
  a minute of rest make 28 a minute. Later refusals measure anew over the minutes since it answered again;
- requests are then spread evenly, and every 15 answers the pace is raised a little: by 2 %, 4 %, 8 % ... up to a half.

A sliding window, a fixed one and a bucket of tokens are all met within a few refusals, without a word of theirs
(``tests/download/test_download_pace.py``). Times are seconds of any clock that does not go back.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]

_CAREFUL = 0.95
_FIRST_WINDOW, _GENTLE_ANSWERS, _WIDER = 6.0, 60, 0.5
_ANSWERS_A_STEP, _FIRST_STEP, _LARGEST_STEP = 15, 0.02, 0.5
_LARGEST_FALL = 1 / 4
_MEMORY = 600.0
"""Seconds after which what was counted begins to weigh less."""
_LONGEST_REST = 86400.0
"""Whatever a host says, it is asked again after a day."""


@dataclass
class Pace:
    """One host's pace. ``rate`` in requests per second, None where the host never refused."""

    most_at_once: int
    first_rest: float = 1.0
    rate: float | None = None
    rest_until: float = 0.0
    refusals: int = 0
    """How often it refused since it last answered; requests that were under way together count once."""
    answered_at: float | None = None
    """When it last answered otherwise than by refusing."""
    _window: float = _FIRST_WINDOW
    _ended: int = 0
    _next: float = 0.0
    _since: float | None = None
    _answers: float = 0.0
    _refused_at: float = float("-inf")
    _clean: int = 0
    _step: float = _FIRST_STEP
    _measured: bool = False

    def wait(self, active: int, now: float) -> float | None:
        """Seconds until one more request may start, beside ``active`` ones; None: not before one of these ends."""
        if active >= min(self.most_at_once, int(self._window)):
            return None
        return max(0.0, self.rest_until - now, self._next - now)

    def begin(self, now: float) -> None:
        """A request starts."""
        if self._since is None:
            self._since = now
        if self.rate is not None:
            self._next = max(self._next, now - 1 / self.rate) + 1 / self.rate

    def end(self) -> None:
        """A request ended, with an answer or without, and was not refused."""
        self._ended += 1
        if self._ended >= _GENTLE_ANSWERS:
            self._window = min(float(self.most_at_once), self._window + _WIDER)

    def answer(self, now: float) -> None:
        """The host answered, whatever it said."""
        self.answered_at = now
        self._answers += 1
        if self.refusals:
            self.refusals = 0
            self._measure(now)
        elif self.rate is not None:
            self._clean += 1
            if self._clean >= _ANSWERS_A_STEP:
                self.rate *= 1 + self._step
                self._clean, self._step = 0, min(_LARGEST_STEP, 2 * self._step)

    def refuse(self, begun: float, asked: float, now: float) -> float:
        """A request that started at ``begun`` was refused; the seconds of rest that ``asked`` for some come to."""
        asked = rest = min(asked, _LONGEST_REST)
        if begun > self._refused_at:  # not one of those that were under way when the last one was refused
            rest = max(asked, self.first_rest * 2**self.refusals)
            self.refusals += 1
            self._refused_at = now
        self.rest_until = max(self.rest_until, now + rest)
        self._window = 1.0
        return self.rest_until - now

    def known_rate(self) -> float:
        """The rate, or while it is being learned what was answered so far over the time with the rest."""
        if self.rate is not None or self._since is None:
            return self.rate or 1 / self.first_rest
        return max(1.0, self._answers) / max(self.first_rest, self.rest_until - self._since)

    def _measure(self, now: float) -> None:
        """It answers again: what it allowed since it was begun, or since it was last measured, is its pace."""
        since = now if self._since is None else self._since
        measured = _CAREFUL * self._answers / max(now - since, self.first_rest)
        if self.rate is not None:
            measured = min(_CAREFUL * self.rate, max(measured, _LARGEST_FALL * self.rate))
        if not self._measured:  # what came before the first refusal may have been saved up
            self._measured, self._since, self._answers = True, now, 0.0
        elif now - since > _MEMORY:
            self._since, self._answers = now - (now - since) / 2, self._answers / 2
        self.rate = measured
        self._next = now + 1 / measured
        self._clean, self._step = 0, _FIRST_STEP
