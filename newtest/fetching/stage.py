"""The stage that gets the bytes: images without a file are downloaded, checked, and stored by their sha256.

Each image ends as one row: bytes, or a kind and a reason. Failures are tried again by the next run, up to
``max_attempts`` runs (a run that a throttling host had no time for does not count). What is gone (404, 410) or asked
to be left alone is not. Whatever has no bytes at the end is in the summary. Rows follow the bytes they speak of, so
kill -9 loses at most the last moment's rows, whose bytes the next run finds again without storing them twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from newtest.catalog.files import FileRow, Wanted, left_out, record, stored_files, unstore, wanted
from newtest.download import Download, DownloadConfig, Request, Traffic, download
from newtest.errors import ImageError
from newtest.fetching.store import Store, has_size
from newtest.fetching.thumbnails import make_thumbnails
from newtest.files import NotAFile, open_bytes
from newtest.images import ImageLimits, check
from newtest.progress import UNWATCHED, Progress
from newtest.reading.texts import read_at_most
from newtest.study import Study, now

__all__ = ["LOCAL_SOURCES", "FetchConfig", "FetchSummary", "fetch_missing"]

LOCAL_SOURCES = frozenset({"folder", "table"})
"""Sources that the user's own disk feeds: only their images may have ``file:`` URLs."""

_BATCH_ROWS, _BATCH_SECONDS, _HANDFUL = 256, 0.1, 16


@dataclass(frozen=True)
class FetchConfig:
    """How images are fetched. With ``thumbnails`` they are made at the end, which decodes every image once."""

    download: DownloadConfig = field(default_factory=DownloadConfig)
    limits: ImageLimits = field(default_factory=ImageLimits)
    max_attempts: int = 3
    thumbnails: bool = True
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass(frozen=True)
class FetchSummary:
    """What one run did: numbers of images, ``num_bytes`` received, failures by kind; ``seconds`` of downloading."""

    fetched: int
    failed: int
    gone: int
    num_bytes: int
    seconds: float
    kinds: dict[str, int]
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    """All images without bytes after the run, whenever they failed: ``next_run``, ``given_up``, ``gone`` -> kind ->
    images (see ``newtest.catalog.files.left_out``)."""
    animated: int = 0
    """How many of those fetched hold several pictures, of which the first is shown."""

    @property
    def given_up(self) -> int:
        """How many images failed in as many runs as are allowed and are not asked for any more."""
        return sum(self.left_out.get("given_up", {}).values())


def fetch_missing(
    study: Study,
    config: FetchConfig | None = None,
    *,
    image_ids: Sequence[str] | None = None,
    progress: Progress = UNWATCHED,
    watch: Callable[[Traffic], None] | None = None,
) -> FetchSummary:
    """Get the bytes of all images that lack them (or of those among ``image_ids``); ``progress`` counts them.

    ``watch`` is told once a second which hosts throttle and how much waits for them.

    Raises StudyError when another process fetches for this study, OSError when the disk is full: what was stored
    by then stays, with its rows.
    """
    config = config or FetchConfig()
    started = time.monotonic()
    with study.exclusive("fetch"):
        _notice_losses(study)
        store = Store(study, "fetch")
        ledger = _Ledger(study, progress)
        try:
            if todo := wanted(study.catalog, config.max_attempts, image_ids):
                ledger.total = len(todo)
                asyncio.run(_fetch(todo, store, config, ledger, watch))
        finally:
            ledger.flush()
        downloaded = time.monotonic() - started
        unshowable = _show(study, store) if config.thumbnails else {}
        return ledger.summary(downloaded, unshowable, left_out(study.catalog, config.max_attempts, image_ids))


def _notice_losses(study: Study) -> None:
    """Rows whose bytes are not there (a power cut, a clumsy hand) become failures that were never tried."""
    for file in stored_files(study.catalog):
        if not has_size(study.image_path(file.sha256), file.num_bytes):
            unstore(study.catalog, file.sha256, "lost", "its bytes are not in the study any more", attempts=0)


def _show(study: Study, store: Store) -> dict[str, int]:
    """Make missing thumbnails; what cannot be decoded is not an image after all. Gives numbers of images by kind."""
    kinds: Counter[str] = Counter()
    bad = make_thumbnails(study, store, [file.sha256 for file in stored_files(study.catalog)])
    for sha256, error in sorted(bad.items()):
        kinds[error.kind] += unstore(study.catalog, sha256, error.kind, str(error))
        study.image_path(sha256).unlink(missing_ok=True)
    return dict(kinds)


class _Ledger:
    """Collects rows and writes them in batches, on the thread that owns the catalog."""

    def __init__(self, study: Study, progress: Progress) -> None:
        self._catalog, self._progress = study.catalog, progress
        self.total: int | None = None
        self._rows: list[FileRow] = []
        self._states: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._num_bytes = self._animated = 0

    def add(self, row: FileRow, *, animated: bool = False) -> None:
        self._rows.append(row)
        self._animated += animated
        self._states[row.state] += 1
        self._num_bytes += row.num_bytes or 0
        if row.kind is not None:
            self._kinds[row.kind] += 1
        if len(self._rows) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            record(self._catalog, self._rows)
            self._progress.advance("downloading", len(self._rows), self.total)
        self._rows = []

    def summary(
        self, seconds: float, unshowable: dict[str, int], left: dict[str, dict[str, int]]
    ) -> FetchSummary:
        """Images that turned out not to be showable move from the fetched to the failed."""
        self._kinds.update(unshowable)
        late = sum(unshowable.values())
        kinds = dict(sorted(self._kinds.items(), key=lambda item: (-item[1], item[0])))
        states = self._states
        return FetchSummary(
            states["ok"] - late,
            states["failed"] + late,
            states["gone"],
            self._num_bytes,
            seconds,
            kinds,
            left,
            self._animated,
        )


class _Keeper:
    """Hands outcomes to threads, some at a time: one by one, the handing over costs more than the work."""

    def __init__(self, store: Store, config: FetchConfig, ledger: _Ledger) -> None:
        self._store, self._config, self._ledger = store, config, ledger
        self._room = asyncio.Semaphore(2 * config.threads)
        self._batch: list[Download] = []

    async def take(self, outcomes: AsyncIterator[Download]) -> None:
        """Check and store all outcomes; the first OSError ends it."""
        try:
            with ThreadPoolExecutor(self._config.threads, thread_name_prefix="keep") as threads:
                async with asyncio.TaskGroup() as group:
                    ticking = group.create_task(self._tick(group, threads))
                    async for outcome in outcomes:
                        self._batch.append(outcome)
                        if len(self._batch) >= _HANDFUL:
                            await self._hand_over(group, threads)
                    await self._hand_over(group, threads)
                    ticking.cancel()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # all fail alike, of a full disk

    async def _tick(self, group: asyncio.TaskGroup, threads: ThreadPoolExecutor) -> None:
        """What is there is stored, and its rows are written, while slow hosts are waited for."""
        while True:
            await asyncio.sleep(_BATCH_SECONDS)
            await self._hand_over(group, threads)
            self._ledger.flush()

    async def _hand_over(self, group: asyncio.TaskGroup, threads: ThreadPoolExecutor) -> None:
        await self._room.acquire()
        batch, self._batch = self._batch, []
        if batch:
            group.create_task(self._keep(batch, threads))
        else:
            self._room.release()

    async def _keep(self, batch: list[Download], threads: ThreadPoolExecutor) -> None:
        def work() -> list[tuple[FileRow, bool]]:
            return [_keep(outcome, self._store, self._config) for outcome in batch]

        try:
            for row, animated in await asyncio.get_running_loop().run_in_executor(threads, work):
                self._ledger.add(row, animated=animated)
        finally:
            self._room.release()


async def _fetch(
    todo: Sequence[Wanted],
    store: Store,
    config: FetchConfig,
    ledger: _Ledger,
    watch: Callable[[Traffic], None] | None,
) -> None:
    async with aclosing(_outcomes(todo, config, watch)) as outcomes:
        await _Keeper(store, config, ledger).take(outcomes)


async def _outcomes(
    todo: Sequence[Wanted], config: FetchConfig, watch: Callable[[Traffic], None] | None
) -> AsyncGenerator[Download, None]:
    remote: list[Request] = []
    for image in todo:
        if image.url is None:
            yield Download(image.image_id, None, "no-url", "its source gave no URL", permanent=True)
        elif not _is_file(image.url):
            remote.append(Request(image.image_id, image.url))
        elif image.source in LOCAL_SOURCES or image.source.startswith("reference:"):
            yield await asyncio.to_thread(_read_local, image, config)
        else:
            reason = f"a file: URL from {image.source}, which is not a local source"
            yield Download(image.image_id, None, "local-file", reason, permanent=True)
    if remote:
        async with aclosing(download(remote, config.download, watch)) as outcomes:
            async for outcome in outcomes:
                yield outcome


def _is_file(url: str) -> bool:
    return url[:5].lower() == "file:"


def _read_local(image: Wanted, config: FetchConfig) -> Download:
    """Read a file of the user's own; only regular files, no more bytes than allowed."""
    path = Path(unquote(urlsplit(image.url or "").path))
    try:
        with open_bytes(path) as handle:
            return Download(image.image_id, read_at_most(handle, config.limits.max_bytes))
    except NotAFile as error:
        return Download(image.image_id, None, "not-a-file", str(error))
    except (OSError, ValueError) as error:
        return Download(
            image.image_id, None, "unreadable", f"{path}: {getattr(error, 'strerror', None) or error}"
        )


def _keep(outcome: Download, store: Store, config: FetchConfig) -> tuple[FileRow, bool]:
    """Check and store what came, and say whether it holds several pictures; runs in a thread."""
    if outcome.data is None:
        state = "gone" if outcome.permanent else "failed"
        kind, reason, attempt = outcome.kind, outcome.reason, not outcome.throttled
        return FileRow(outcome.key, state, now(), kind=kind, reason=reason, attempt=attempt), False
    try:
        info = check(outcome.data, config.limits)
    except ImageError as error:
        return FileRow(outcome.key, "failed", now(), kind=error.kind, reason=str(error)), False
    if (reason := store.refusal(outcome.data)) is not None:
        return FileRow(outcome.key, "gone", now(), kind="taken-down", reason=reason), False
    sha256 = store.put_image(outcome.data)
    told = (sha256, len(outcome.data), info.format, info.width, info.height)
    return FileRow(outcome.key, "ok", now(), *told), info.animated
