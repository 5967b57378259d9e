"""The set described for machines: Croissant 1.1 JSON-LD (mlcommons.org/croissant), written without its library."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from newtest.images import KINDS
from newtest.releasing.facts import Facts
from newtest.releasing.licenses import license_url
from newtest.releasing.members import Member
from newtest.releasing.responsible import responsible
from newtest.spreadsheets import TEXTS

__all__ = ["croissant"]

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "containedIn": "cr:containedIn",
    "description": {"@container": "@language"},
    "isArray": "cr:isArray",
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_GUARDED = "In manifest.csv a text that begins like a formula has an apostrophe before it."
_NUMBERS = {"num_selected": "sc:Integer", "num_shown": "sc:Integer", "frequency": "sc:Float"}
_TEXTS = ("image_id", "wnid", "file", "sha256", "source", "page_url", "title", "license", "owner")


_MEDIA = {suffix: kind.media_type for kind in KINDS for suffix in kind.suffixes}


def croissant(facts: Facts, manifest_sha256: str) -> str:
    """``croissant.json``: the manifest as a file and the record set ``images``; where the images lie as files, these as
    a file set and the record set ``pictures``, whose ``file`` is the manifest's.
    """
    members, about, created_at = facts.members, facts.about, facts.revision.created_at
    pictures = facts.formats[0] in ("imagefolder", "csv")  # the manifest speaks of the first format
    licenses = sorted({url for member in members if (url := license_url(member.row.license))})
    makers = [{"@type": "sc:Person", "name": name} for name in about.creator]
    told = {"creator": makers, "url": about.url, "keywords": list(about.keywords)}
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": facts.revision.name,
        "description": about.description
        or f"{len(members)} labelled images drawn by newtest; README.md says how.",
        **{name: value for name, value in told.items() if value},
        "version": about.version,
        "datePublished": created_at[:10],
        "citeAs": about.citation
        or f"{facts.revision.name}: a test set drawn with newtest, {created_at[:4]}.",
        "license": [*([about.license] if about.license else []), *licenses] or ["see ATTRIBUTION.md"],
        **responsible(facts, about),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "manifest.csv",
                "name": "manifest.csv",
                "contentUrl": "manifest.csv",
                "encodingFormat": "text/csv",
                "sha256": manifest_sha256,
            },
            *([_file_set(members)] if pictures else []),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "description": "One record per image and class.",
                "key": [{"@id": "images/image_id"}, {"@id": "images/wnid"}],
                "field": [_field(column) for column in (*_TEXTS, *_NUMBERS)],
            },
            *([_PICTURES] if pictures else []),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _field(column: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"images/{column}",
        "name": f"images/{column}",
        "dataType": _NUMBERS.get(column, "sc:Text"),
        **({"description": _GUARDED} if column in TEXTS else {}),
        "source": {"fileObject": {"@id": "manifest.csv"}, "extract": {"column": column}},
    }


def _file_set(members: Sequence[Member]) -> dict[str, Any]:
    kinds = sorted({_MEDIA.get(member.suffix.lower(), "image/jpeg") for member in members})
    return {
        "@type": "cr:FileSet",
        "@id": "image-files",
        "name": "image-files",
        "description": "The images as they were downloaded.",
        "encodingFormat": kinds[0] if len(kinds) == 1 else kinds,
        "includes": "images/*/*",
    }


def _of_file(name: str, kind: str, file_property: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"pictures/{name}",
        "name": f"pictures/{name}",
        "dataType": kind,
        "source": {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": file_property}},
    }


_PICTURES: dict[str, Any] = {
    "@type": "cr:RecordSet",
    "@id": "pictures",
    "name": "pictures",
    "description": "One record per image file; its file is the column of that name in the manifest.",
    "key": {"@id": "pictures/file"},
    "field": [_of_file("file", "sc:Text", "fullpath"), _of_file("image", "sc:ImageObject", "content")],
}
