"""What the Croissant file says of the making of a set: the vocabularies RAI 1.0 and PROV, filled from the catalog.

NeurIPS 2026 asks for dataLimitations, dataBiases, personalSensitiveInformation, dataUseCases, dataSocialImpact,
hasSyntheticData, wasDerivedFrom and wasGeneratedBy (neurips.cc/Conferences/2026/EvaluationsDatasetsHosting). What no
catalog knows comes from the makers (``newtest.releasing.about``); a field that nobody answered is left out.
"""

from __future__ import annotations

from typing import Any

from newtest.releasing.about import About
from newtest.releasing.facts import Facts
from newtest.releasing.limits import known_biases, known_limits
from newtest.version import __version__

__all__ = ["responsible"]

_WEB = {"flickr": "https://www.flickr.com", "openverse": "https://openverse.org"}
_PEOPLE = (
    "Photographs may show people who can be recognised. Names of owners are published with the images, as their "
    "licences require. To have an image removed, write to the makers. Workers are known by keyed hashes alone, "
    "which are not published."
)


def responsible(facts: Facts, about: About) -> dict[str, Any]:
    """``rai:`` and ``prov:`` properties of the dataset, in the order of a reader's questions."""
    values: dict[str, Any] = {
        "rai:dataCollection": _collection(facts),
        "rai:dataCollectionType": _kinds(facts),
        "rai:dataCollectionTimeFrame": [day for day in (facts.votes.first, facts.votes.last) if day],
        "rai:dataPreprocessingProtocol": _preparation(facts),
        "rai:dataAnnotationProtocol": _annotation(facts),
        "rai:dataAnnotationPlatform": _platforms(facts),
        "rai:annotationsPerItem": _per_image(facts),
        "rai:annotatorDemographics": [about.annotators] if about.annotators else [],
        "rai:dataLimitations": [*known_limits(facts), *_more(about.limitations)],
        "rai:dataBiases": [*known_biases(facts), *_more(about.biases)],
        "rai:personalSensitiveInformation": [_PEOPLE, *_more(about.personal_information)],
        "rai:dataUseCases": _more(about.use_cases),
        "rai:dataSocialImpact": about.social_impact,
        "rai:dataReleaseMaintenancePlan": about.maintenance,
        "rai:hasSyntheticData": facts.revision.simulated,
        "prov:wasDerivedFrom": _sources(facts),
        "prov:wasGeneratedBy": _activities(facts),
    }
    return {name: value for name, value in values.items() if value not in ("", [])}


def _more(text: str) -> list[str]:
    return [text] if text else []


def _collection(facts: Facts) -> str:
    parts = []
    for search in facts.collected:
        queries = (
            f"{search['count']} queries that found members" if search["examples"] else "read class by class"
        )
        parts.append(f"{search['source']}: {queries}; {'; '.join(search['windows'])}")
    return ". ".join(parts) + "." if parts else "No searches are on record for the members."


def _kinds(facts: Facts) -> list[str]:
    sources = {member.row.source for member in facts.members}
    found = ["Web API"] if sources & set(_WEB) else ["Secondary Data Analysis"]
    return [*found, "Crowdsourcing"] if _voted(facts) else found


def _preparation(facts: Facts) -> list[str]:
    metrics = sorted({metric for metric, _ in facts.compared})
    near = (
        f"Near-duplicates were looked for by {', '.join(metrics)}."
        if metrics
        else "No search for near-duplicates."
    )
    excluded = ", ".join(f"{reason} {number}" for reason, number in sorted(facts.exclusions.items()))
    return [
        "The bytes of the images are as they were downloaded.",
        near,
        f"Candidates left out, by the first reason that held: {excluded or 'none'}.",
        f"Drawn by the strategy {facts.strategy} with seed {facts.seed} (newtest {__version__}).",
    ]


def _voted(facts: Facts) -> bool:
    """Whether anybody was asked about any member."""
    return any(member.row.num_shown for member in facts.members)


def _annotation(facts: Facts) -> list[str]:
    if not _voted(facts):
        return ["Nobody was asked about these images: each has the class that it was collected for."]
    asked = (
        "People were shown images of one class at a time and selected those that hold at least one object of it. "
        "The selection frequency of an image is the share of people who selected it."
    )
    paid = [
        f"{one.assignments} assignments on the market {market} were paid {one.reward:.2f} US dollars."
        for market, one in facts.paid.items()
    ]
    simulated = ["SIMULATED: no person gave (all of) these votes."] if facts.revision.simulated else []
    return [*simulated, asked, f"Different workers: {facts.votes.workers}.", *(paid or ["Nothing was paid."])]


def _platforms(facts: Facts) -> list[str]:
    names = {"local": "newtest's own crowd server", "mturk": "Amazon Mechanical Turk"}
    markets = [names.get(market, market) for market in facts.paid]
    origins = [f"votes {origin}" for origin in (*facts.votes.votes, *facts.votes.count_batches)]
    return sorted({*markets, *origins})


def _per_image(facts: Facts) -> str:
    shown = [member.row.num_shown for member in facts.members]
    return f"{min(shown)} to {max(shown)} votes per image" if _voted(facts) else ""


def _sources(facts: Facts) -> list[dict[str, str]]:
    names = sorted({member.row.source for member in facts.members})
    found = [{"@id": _WEB[name], "name": name} if name in _WEB else {"name": name} for name in names]
    reference = facts.revision.reference
    return found + ([{"name": f"the original test set {reference} (frequencies)"}] if reference else [])


def _activities(facts: Facts) -> list[dict[str, str]]:
    steps = [
        ("collection", _collection(facts)),
        ("annotation", " ".join(_annotation(facts))),
        ("sampling", " ".join(_preparation(facts)[1:])),
    ]
    return [{"@type": "prov:Activity", "name": name, "description": text} for name, text in steps]
