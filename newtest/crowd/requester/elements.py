"""The form elements of AWS (``crowd-*``) that ``scripts/elements.js`` offers, and the scripts that it stands for.

Names, attributes and answers follow the reference that AWS published ("Crowd HTML Elements",
https://github.com/awsdocs/amazon-sagemaker-developer-guide, doc_source/sms-ui-template-crowd-*.md).
"""

from __future__ import annotations

import re

from newtest.reading.jsons import parse_json

__all__ = ["HARMLESS", "REPLACED_SCRIPTS", "SUPPORTED", "categories_of"]

ELEMENTS_SCRIPT = "https://assets.crowd.aws/crowd-html-elements.js"
TURK_SCRIPT = "https://s3.amazonaws.com/mturk-public/externalHIT_v1.js"

REPLACED_SCRIPTS = frozenset(
    address.replace("https:", scheme)
    for address in (ELEMENTS_SCRIPT, TURK_SCRIPT)
    for scheme in ("https:", "http:", "")
)
"""Scripts that ours take the place of."""

SUPPORTED = frozenset(
    {
        "crowd-form", "crowd-button", "crowd-input", "crowd-text-area", "crowd-checkbox", "crowd-radio-group",
        "crowd-radio-button", "crowd-instructions", "crowd-classifier", "crowd-image-classifier",
    }
)  # fmt: skip

HARMLESS = frozenset(
    {
        # regions inside the elements above
        "short-instructions", "full-instructions", "classification-target", "worker-comment", "short-summary",
        "detailed-instructions", "positive-example", "negative-example",
        # an icon beside words; and names with a hyphen that are SVG's and MathML's own
        "iron-icon", "annotation-xml", "color-profile", "font-face", "font-face-src", "font-face-uri",
        "font-face-format", "font-face-name", "missing-glyph",
    }
)  # fmt: skip

_SINGLE = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


def categories_of(text: str) -> list[str]:
    """The names in a ``categories`` attribute: JSON, or the same with single quotes; empty for anything else."""
    text = text.strip()
    try:
        values = parse_json(text)
    except (ValueError, RecursionError):
        if not re.fullmatch(r"\[\s*(?:(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\s*(?:,\s*)?)*\]", text):
            return []
        values = [re.sub(r"\\(.)", r"\1", single or double) for single, double in _SINGLE.findall(text)]
    if not isinstance(values, list) or not all(isinstance(value, (str, int, float)) for value in values):
        return []
    return [str(value) for value in values]
