"""The pages that workers see: found, checked and filled in.

A template is one self-contained HTML file with ``${placeholders}`` and with blocks that are repeated for each
image (``<!-- each image --> ... <!-- end -->``); ``mturk_templates/README.md`` lists them. Everything that is
put in is escaped, and nothing is put into a script, so that a page's scripts are known before strangers' text
arrives.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from newtest.catalog.asked import Kind
from newtest.crowd.languages import language
from newtest.crowd.requester.hosts import host_of
from newtest.crowd.requester.inspection import needs_of
from newtest.errors import UsageError
from newtest.files import text_at

__all__ = [
    "MAX_QUESTION_BYTES",
    "PLACEHOLDERS",
    "Page",
    "check_template",
    "is_requester_page",
    "kind_of_template",
    "load_template",
    "render",
    "shows_checks",
    "template_folder",
]

MAX_QUESTION_BYTES = 65_535
"""MTurk takes no longer Question, the XML around the page included."""

PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "": frozenset({"class_name", "class_names", "definition", "encyclopedia_url", "lang", "dir", "must_see"}),
    "more": frozenset({"more.names"}),
    "image": frozenset({"image.number", "image.url"}),
    "option": frozenset({"option.number", "option.name"}),
    "example": frozenset({"example.url"}),
    "pair": frozenset({"pair.number", "pair.left_url", "pair.right_url"}),
}
"""What may stand outside of any block (''), and inside a block of each name; ``text.KEY`` of a language everywhere."""

_SCRIPT = re.compile(r"(<script\b[^>]*>.*?</script\s*>)", re.DOTALL | re.IGNORECASE)
_BLOCK = re.compile(r"<!--\s*each (\w+)\s*-->(.*?)<!--\s*end\s*-->", re.DOTALL)
_OPTION = re.compile(r"<!--\s*option\s*-->(.*?)<!--\s*end option\s*-->", re.DOTALL)
"""Inside of an image's block: repeated for each class that is offered."""
OPTIONAL = frozenset({"image.check", "option.definition"})
_NAME = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_TAG = re.compile(r"<[a-zA-Z][^>]*>")
_HANDLER = re.compile(r"\son\w+\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """What is put into a template: the class, and (for each block) one mapping per item."""

    class_name: str
    class_names: Sequence[str] = ()
    definition: str = ""
    encyclopedia_url: str = ""
    language: str = "en"
    """Of the template's own texts; ``newtest.crowd.languages`` has them."""
    must_see: bool = True
    """Whether every image must have been in view before the form can be sent."""
    blocks: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """Block name -> items, whose keys are without the block's name: ``{"image": [{"number": "1", "url":
    ...}]}``."""


def template_folder() -> Path:
    """Where the templates that come with newtest are: in the installed package, or at the top of a
    checkout."""
    package = Path(str(files("newtest")))
    installed = package / "mturk_templates"
    return installed if installed.is_dir() else package.parent / "mturk_templates"


def load_template(name_or_path: str) -> str:
    """The text of a template: one of ours by name (``select_images``), or a user's own file.

    Raises UsageError when there is no such file, or when it is not UTF-8 text.
    """
    ours = template_folder() / f"{name_or_path}.html"
    path = ours if re.fullmatch(r"\w+", name_or_path) and ours.exists() else Path(name_or_path)
    try:
        return text_at(path)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(p.stem for p in template_folder().glob("*.html")))
        raise UsageError(
            f"{path}: not a readable template ({error}); those of newtest are {known}"
        ) from error


def render(template: str, page: Page) -> str:
    """The template filled in: every value HTML-escaped, scripts left as they are. Raises UsageError for odd
    names."""
    spoken = language(page.language)
    values = {
        "lang": spoken.tag,
        "dir": spoken.dir,
        "must_see": "yes" if page.must_see else "no",
        **dict.fromkeys(OPTIONAL, ""),
        **{f"text.{key}": text for key, text in spoken.page.items()},
        "class_name": page.class_name,
        "class_names": ", ".join(page.class_names) or page.class_name,
        "definition": page.definition,
        "encyclopedia_url": _web_url(page.encyclopedia_url),
    }

    more = [name for name in page.class_names if name != page.class_name]
    blocks = {"more": [{"names": ", ".join(more)}] if more else [], **page.blocks}

    def options(body: str, inside: Mapping[str, str]) -> str:
        def each(match: re.Match[str]) -> str:
            of = (
                {f"option.{key}": value for key, value in one.items()}
                for one in page.blocks.get("option", ())
            )
            return "".join(_fill(match.group(1), {**inside, **one}) for one in of)

        return _OPTION.sub(each, body)

    def fill(text: str) -> str:
        pieces = _BLOCK.split(text)  # text, block's name, block's body, text, ...
        filled = [_fill(pieces[0], values)]
        for name, body, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            for item in blocks.get(name, ()):
                inside = values | {f"{name}.{key}": value for key, value in item.items()}
                filled.append(_fill(options(body, inside), inside))
            filled.append(_fill(after, values))
        return "".join(filled)

    return "".join(part if _SCRIPT.fullmatch(part) else fill(part) for part in _SCRIPT.split(template))


def is_requester_page(text: str) -> bool:
    """Whether a file is a page made for MTurk rather than a template of newtest's: it has none of its placeholders."""
    known = OPTIONAL.union(*PLACEHOLDERS.values())
    return not _BLOCK.search(text) and not known & set(_NAME.findall(text))


def kind_of_template(template: str) -> Kind:
    """What a template can ask: pairs, a choice among classes for each image, or which images show the class."""
    blocks = {name for name, _ in _BLOCK.findall(template)}
    return "pairs" if "pair" in blocks else "which" if _OPTION.search(template) else "select"


def shows_checks(template: str) -> bool:
    """Whether a template shows what an attention check says: ``${image.check}``."""
    return "${image.check}" in template


def check_template(template: str) -> list[str]:
    """What is wrong with a template, one sentence each; an empty list when nothing is."""
    text = "".join(part for part in _SCRIPT.split(template) if not _SCRIPT.fullmatch(part))
    found = [*_check_placeholders(text), *_check_form(text)]
    if any(_HANDLER.search(tag) for tag in _TAG.findall(text)):
        found.append(
            "it has event handlers in attributes (onclick=...), which the server forbids: use a script"
        )
    for host, element in _outside(template):
        found.append(
            f"<{element}> loads from another host, {host}, and our own pages load nothing from elsewhere: put it into "
            "the file"
        )
    if "]]>" in template:
        found.append("it contains ']]>', which ends the CDATA section that MTurk requires around it")
    if (size := _large_size(template)) > MAX_QUESTION_BYTES:
        found.append(f"it is too long: {size:,} bytes with 48 images, and MTurk takes {MAX_QUESTION_BYTES:,}")
    return found


def _outside(template: str) -> list[tuple[str, str]]:
    """(host, element) of everything that a template loads from elsewhere."""
    found = ((host_of(need.address), need.element) for need in needs_of(template))
    return list(dict.fromkeys((host, element) for host, element in found if host is not None))


def _large_size(template: str) -> int:
    """About how many bytes a Question of this template takes, for a page as large as they get."""
    text = len(template.encode())
    for name, body in _BLOCK.findall(template):
        each = len(body.encode()) + 100  # the URL of an image is longer than its placeholder
        each += sum(4 * len(option.encode()) for option in _OPTION.findall(body))  # of five classes
        text += {"option": 4, "more": 1}.get(name, 47) * each
    return text + 600


def _check_placeholders(text: str) -> list[str]:
    outside = set(_NAME.findall(_BLOCK.sub("", text)))
    blocks = {name: set(_NAME.findall(body)) for name, body in _BLOCK.findall(text)}
    unknown = outside - PLACEHOLDERS[""]
    for name, inside in blocks.items():
        unknown |= inside - PLACEHOLDERS[""] - PLACEHOLDERS.get(name, frozenset()) - OPTIONAL
        unknown -= PLACEHOLDERS["option"] if _OPTION.search(text) else frozenset()
    unknown -= {f"text.{key}" for key in language("en").page}
    found = [
        f"unknown placeholder ${{{name}}}; mturk_templates/README.md lists those there are"
        for name in sorted(unknown)
    ]
    kind = "pair" if "pair" in blocks else "image"
    if kind not in blocks:
        return [*found, "there is no block <!-- each image --> ... <!-- end -->: the images are missing"]
    missing = PLACEHOLDERS[kind] - blocks[kind]
    which = bool(_OPTION.search(text))
    if which:
        missing |= PLACEHOLDERS["option"] - set(_NAME.findall(text))
    if kind == "image" and not which and not {"class_name", "text.select_title"} & outside:
        missing |= {"class_name"}
    return found + [f"the placeholder ${{{name}}} is missing" for name in sorted(missing)]


def _check_form(text: str) -> list[str]:
    forms = re.findall(r"<form\b[^>]*>", text, re.IGNORECASE)
    if not forms:
        return ["the form is missing: nothing would be sent"]
    found = [] if len(forms) == 1 else [f"it has {len(forms)} forms where one is required"]
    if not re.search(r"""\smethod\s*=\s*["']?post\b""", forms[0], re.IGNORECASE):
        found.append('the form must have method="post"')
    if "externalSubmit" not in forms[0]:
        found.append('the form must have action="https://www.mturk.com/mturk/externalSubmit"')
    inputs = {
        "assignmentId": "a hidden field",
        "selected": "a checkbox per image",
        "none": "an explicit none",
    }
    for name, what in inputs.items():
        if not re.search(rf"""\sname\s*=\s*["']?{name}\b""", text):
            found.append(f'the form has no input named "{name}" ({what})')
    return found


def _fill(text: str, values: Mapping[str, str]) -> str:
    inside = {
        "{name}": values["class_name"],
        "{number}": next((values[name] for name in ("image.number", "pair.number") if name in values), ""),
    }

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        try:
            text = values[name]
        except KeyError:
            raise UsageError(f"the template has an unknown placeholder ${{{name}}}") from None
        if name.startswith("text."):
            text = re.sub(r"\{name\}|\{number\}", lambda found: inside[found.group()], text)
        return html.escape(text)

    return _NAME.sub(value, text)


def _web_url(url: str) -> str:
    """The URL if a browser may be sent there: never ``javascript:`` and its kind."""
    return url if re.match(r"https?://", url) else ""
