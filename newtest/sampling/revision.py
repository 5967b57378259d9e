"""Sampling from a study: the pool, the votes and the reference come from the catalog, the draw becomes a
revision.

A revision is named by its inputs unless the user names it, and stores what it was drawn from: configuration,
parent, and hashes of the votes, the pool and the members. Drawing it again changes nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from newtest.catalog import files, revisions
from newtest.catalog.revisions import Revision
from newtest.catalog.votes import single_votes, totals
from newtest.config import canonical_json, fingerprint, to_mapping
from newtest.digests import frame_digest
from newtest.duplicates import flags
from newtest.errors import NotFoundError, SamplingError, UsageError
from newtest.sampling.config import NEEDS_REFERENCE, SamplingConfig
from newtest.sampling.diagnosis import diagnose_draft
from newtest.sampling.sample import Draft, Sample, prepare
from newtest.study import Study, now

__all__ = ["Inputs", "Origin", "gather", "sample_study"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Origin:
    """Where a revision comes from. ``reference`` None means the study's only one; ``filtered`` leaves out the
    votes of excluded workers; ``without_bytes`` also draws images whose bytes are not here, for a set of ids alone."""

    reference: str | None = None
    parent: str | None = None
    filtered: bool = False
    without_bytes: bool = False


@dataclass(frozen=True)
class Inputs:
    """What a sample is a pure function of, with its hashes: the frames of ``newtest.sampling.sample``."""

    candidates: pd.DataFrame
    reference: pd.DataFrame | None
    origin: Origin
    simulated: bool
    votes_hash: str
    pool_hash: str
    left_out: int
    """Classes of the reference that the study never collected for: they are not sampled."""


def sample_study(
    study: Study,
    config: SamplingConfig,
    *,
    name: str | None = None,
    origin: Origin | None = None,
    before_draw: Callable[[Draft], None] | None = None,
) -> Sample:
    """Draw a revision and store it; ``Sample.name`` is its name.

    Without ``name`` it is called after its strategy and its inputs (``matched-frequency-3fa9c1d2``). The same inputs
    under the same name are drawn again to the same members and store nothing; other inputs under a name that is taken
    are an error. ``before_draw`` sees what is feasible. Raises UsageError: an unusable name, an unknown reference or
    parent, a threshold of its own for a class that the study does not have; SamplingError: see ``sample``.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError(f"a revision's name has letters, digits, '.', '_' and '-', at most 64; got {name!r}")
    with study.exclusive("sample"):
        inputs = gather(study, config, origin or Origin())
        _check_classes(config, inputs)
        draft = prepare(inputs.candidates, inputs.reference, config)
        if before_draw:
            before_draw(draft)
        votes = single_votes(study.catalog, filtered=inputs.origin.filtered)
        drawn = dataclasses.replace(draft.draw(), diagnostics=diagnose_draft(draft, votes))
        revision = _revision(drawn, inputs, name)
        _keep(study, revision, drawn)
    return dataclasses.replace(drawn, name=revision.name)


def gather(study: Study, config: SamplingConfig, origin: Origin) -> Inputs:
    """The frames that ``config`` would sample from, read from the catalog. Raises UsageError for names it lacks."""
    catalog = study.catalog
    origin = dataclasses.replace(origin, reference=_reference_name(study, config, origin.reference))
    counts = totals(catalog, filtered=origin.filtered)
    pool = _with_counts(revisions.candidate_pairs(catalog), counts)
    if pool.empty:
        raise SamplingError(
            f"{study.root}: there are no candidates to sample from; collect some with newtest collect"
        )
    pool = pool.merge(flags(study)[["image_id", "near_duplicate", "unreviewed"]], on="image_id", how="left")
    pool["blocked"] = _marked(pool, revisions.blocked_pairs(catalog))
    if not origin.without_bytes and not (there := pool["image_id"].isin(files.with_bytes(catalog))).all():
        pool["no_bytes"] = ~there
    pool["in_parent"] = _marked(pool, _parent_members(study, origin.parent))
    reference, left_out = None, 0
    if origin.reference is not None:
        members = revisions.reference_pairs(catalog, origin.reference)
        ours = members["wnid"].isin(revisions.study_classes(catalog))
        left_out = int(members.loc[~ours, "wnid"].nunique())
        reference = _with_counts(members[ours], counts)
    if config.strategy == "matched-keywords":
        pool = _with_keys(pool, revisions.candidate_keys(catalog))
        if reference is not None and origin.reference is not None:
            reference = _with_keys(reference, revisions.reference_keys(catalog, origin.reference))
    return _hashed(pool, reference, origin, left_out)


def _hashed(pool: pd.DataFrame, reference: pd.DataFrame | None, origin: Origin, left_out: int) -> Inputs:
    frames = [pool] if reference is None else [pool, reference]
    votes = [frame_digest(frame[["image_id", "wnid", "num_selected", "num_shown"]]) for frame in frames]
    simulated = any(bool(frame["simulated"].any()) for frame in frames)
    pool, *rest = (frame.drop(columns="simulated") for frame in frames)
    facts = [frame_digest(frame.drop(columns=["num_selected", "num_shown"])) for frame in (pool, *rest)]
    return Inputs(
        pool, rest[0] if rest else None, origin, simulated, fingerprint(votes), fingerprint(facts), left_out
    )


def _reference_name(study: Study, config: SamplingConfig, name: str | None) -> str | None:
    known = revisions.reference_names(study.catalog)
    if name is not None and name not in known:
        raise NotFoundError(f"there is no reference {name!r}; the study has {', '.join(known) or 'none'}")
    if name is None and len(known) > 1:
        raise UsageError(f"the study has several references ({', '.join(known)}); say which with `reference`")
    if name is None and not known and config.strategy in NEEDS_REFERENCE:
        raise SamplingError(
            f"{config.strategy} imitates an original set, and the study has none; add it with newtest reference add"
        )
    return name or (known[0] if known else None)


def _check_classes(config: SamplingConfig, inputs: Inputs) -> None:
    """Raise UsageError for a class's own threshold that no class would ask for: a misspelt wnid, most likely."""
    if not config.class_thresholds:
        return
    frames = (inputs.candidates, inputs.reference)
    known = {wnid for frame in frames if frame is not None for wnid in frame["wnid"].unique()}
    for wnid, _ in config.class_thresholds:
        if wnid not in known:
            near = get_close_matches(wnid, sorted(known), n=5, cutoff=0)
            more = f", ... ({len(known)} in all)" if len(known) > len(near) else ""
            raise UsageError(
                f"`class_thresholds`: the study has no class {wnid!r}; it has {', '.join(near)}{more}"
            )


def _with_counts(pairs: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    joined = pairs.merge(counts, on=["image_id", "wnid"], how="left")
    voted = joined["num_shown"].notna()
    return joined.assign(
        num_selected=joined["num_selected"].fillna(0).astype("int64"),
        num_shown=joined["num_shown"].fillna(0).astype("int64"),
        simulated=joined["simulated"].where(voted, other=False).astype(bool),
    )


def _with_keys(pairs: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    return pairs.merge(keys, on=["image_id", "wnid"], how="left")


def _marked(pool: pd.DataFrame, pairs: set[tuple[str, str | None]]) -> list[bool]:
    """Which rows of the pool are among the pairs, or among those that hold for every class."""
    if not pairs:
        return [False] * len(pool)
    rows = zip(pool["image_id"].tolist(), pool["wnid"].tolist(), strict=True)
    return [(image_id, wnid) in pairs or (image_id, None) in pairs for image_id, wnid in rows]


def _parent_members(study: Study, parent: str | None) -> set[tuple[str, str | None]]:
    if parent is None:
        return set()
    if revisions.find(study.catalog, parent) is None:
        known = ", ".join(revisions.names(study.catalog)) or "none"
        raise NotFoundError(f"there is no revision {parent!r} to start from; the study has {known}")
    members = revisions.members_of(study.catalog, parent)
    return set(zip(members["image_id"], members["wnid"], strict=True))


def _revision(drawn: Sample, inputs: Inputs, name: str | None) -> Revision:
    origin = inputs.origin
    config = canonical_json(to_mapping(drawn.config))
    key = fingerprint(config, origin.reference, origin.parent, inputs.votes_hash, inputs.pool_hash)
    summary = {
        "classes_left_out": inputs.left_out,
        "filtered": origin.filtered,
        **({"without_bytes": True} if origin.without_bytes else {}),
        "histogram": {column: drawn.histogram[column].tolist() for column in drawn.histogram.columns},
        "excluded": drawn.exclusions["reason"].value_counts().to_dict(),
        "problems": dict(drawn.problems),
        "diagnostics": drawn.diagnostics and to_mapping(drawn.diagnostics),
    }
    return Revision(
        name=name or f"{drawn.config.strategy}-{key[:8]}",
        config=config,
        reference=origin.reference,
        parent=origin.parent,
        votes_hash=inputs.votes_hash,
        pool_hash=inputs.pool_hash,
        members_hash=frame_digest(drawn.members[["image_id", "wnid"]]),
        simulated=inputs.simulated,
        incomplete=bool(drawn.problems),
        summary=canonical_json(summary),
        created_at=now(),
    )


def _keep(study: Study, revision: Revision, drawn: Sample) -> None:
    """Store the revision, unless it is there already. Raises SamplingError when its name stands for something
    else.
    """
    stored = revisions.find(study.catalog, revision.name)
    if stored is None:
        members = drawn.members[["image_id", "wnid", "num_selected", "num_shown"]]
        # In the order of the tables' keys, and of the images': rows at random places cost three times as much.
        frames = (frame.sort_values(["image_id", "wnid"]) for frame in (members, drawn.exclusions))
        rows = (frame.itertuples(index=False, name=None) for frame in frames)
        revisions.store(study.catalog, revision, *rows)
        return
    for what in ("config", "reference", "parent", "votes_hash", "pool_hash", "members_hash"):
        if getattr(stored, what) != getattr(revision, what):
            raise SamplingError(
                f"revision {revision.name!r} exists and was drawn from something else (its {what.replace('_', ' ')} "
                "differs); revisions never change: choose another `name`"
            )
