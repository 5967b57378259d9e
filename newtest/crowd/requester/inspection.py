"""What a requester's page needs, and what of it cannot work here: each host and element by name.

The browser would block it in silence, and people would vote on pictures that they do not see; so such a page is
refused when it is created. What a script does at run time cannot be read from its text in full: the addresses that
stand in it are judged, and ``scripts/watch.js`` notices at run time every picture that did not load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from newtest.crowd.requester.elements import (
    HARMLESS,
    REPLACED_SCRIPTS,
    SUPPORTED,
    categories_of,
)
from newtest.crowd.requester.hosts import AllowedHosts, host_of
from newtest.crowd.requester.tags import Tag, tags_of

__all__ = ["Need", "inspect_page", "needs_of"]

_PICTURE = r"\.(?:jpe?g|png|gif|webp|avif|bmp|svg|tiff?)"
_FONT = re.compile(r"\.(?:woff2?|ttf|otf|eot)(?:[?#]|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"""["'`]((?:https?:)?//[^\s"'`<>\\]+)["'`]""")
_IS_PICTURE = re.compile(_PICTURE + r"(?:[?#]|$)", re.IGNORECASE)
_IS_SCRIPT = re.compile(r"\.(?:m?js|css)(?:[?#]|$)", re.IGNORECASE)
_ASKS = re.compile(
    r"""(?:\bfetch|\.getJSON|\.ajax|\$\.get|\$\.post|\baxios(?:\.\w+)?|\.sendBeacon|\.open)\s*\([^()]{0,80}?["'`]"""
    r"""((?:https?:)?//[^\s"'`<>\\]+)["'`]"""
    r"""|new\s+(?:WebSocket|EventSource)\s*\(\s*["'`]((?:wss?|https?):)?//([^\s"'`/]+)"""
)
_POPUP = re.compile(r"""\bwindow\s*\.open\s*\([^()]*\)""")
_IMPORT = re.compile(r"""@import\s{1,20}(?:url\(\s{0,20})?["']?([^"')\s;]+)""", re.IGNORECASE)
_URL = re.compile(r"""url\(\s{0,20}["']?([^"'()\s]+)""", re.IGNORECASE)
_UNFILLED = re.compile(r"\$\{[^{}]*\}|\{\{[^{}]*\}\}")

_IMAGES = {
    ("img", "src"), ("image", "href"), ("image", "xlink:href"), ("input", "src"), ("video", "poster"),
    ("body", "background"), ("table", "background"), ("td", "background"), ("crowd-image-classifier", "src"),
    ("crowd-button", "icon-url"),
}  # fmt: skip
_NEVER = {
    ("iframe", "src"), ("frame", "src"), ("object", "data"), ("embed", "src"), ("audio", "src"), ("video", "src"),
    ("track", "src"),
}  # fmt: skip


@dataclass(frozen=True)
class Need:
    """Something that a page loads: ``kind`` is image, script (styles and fonts too), or never."""

    kind: str
    element: str
    address: str


def inspect_page(html: str, allowed: AllowedHosts, is_ours: Callable[[str], bool]) -> list[str]:
    """What of a page cannot work here, one sentence each; an empty list when all of it can.

    ``is_ours`` says of an address whether it is a picture of this server.
    """
    tags = list(tags_of(html))
    found = [_refusal(need, allowed) for need in _needs_of(tags) if not is_ours(need.address)]
    found += [problem for tag in tags for problem in _element_problems(tag.name, tag.attributes)]
    found += _form_problems(tags)
    return list(dict.fromkeys(sentence for sentence in found if sentence))


def needs_of(html: str) -> list[Need]:
    """Everything that a page loads, in the order of the page."""
    return list(_needs_of(tags_of(html)))


def _needs_of(tags: Iterable[Tag]) -> Iterator[Need]:
    for tag in tags:
        yield from _needs(tag.name, tag.attributes)
        if tag.name == "script":
            yield from _script_needs(tag.text)
        elif tag.name == "style":
            yield from _style_needs("style", tag.text)


def _refusal(need: Need, allowed: AllowedHosts) -> str | None:
    address = need.address.strip()
    if address.startswith(("data:", "blob:", "#", "about:")) or not address:
        return f"{need.element}: no address is given" if not address and need.kind == "image" else None
    if _UNFILLED.search(address):
        return f"{need.element}: {_short(address)} is a placeholder that nobody has filled in"
    host = host_of(address)
    if host is None:
        return (
            f"{need.element}: {_short(address)} has no host, and there is nothing at that place here; give the whole "
            "address"
        )
    if need.kind == "never":
        return f"{need.element} loads from {host}, and other sites cannot be shown inside a page or asked for data here"
    if need.kind == "image":
        return (
            None
            if host in allowed.images
            else f"{need.element} loads a picture from {host} (`allow_image_host` {host})"
        )
    what = "a script" if need.element.startswith("script") else "a style sheet or font"
    return (
        None
        if host in allowed.scripts
        else f"{need.element} loads {what} from {host} (`allow_script_host` {host})"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _needs(tag: str, given: dict[str, str]) -> Iterator[Need]:
    if tag == "script" and "src" in given and given["src"].strip() not in REPLACED_SCRIPTS:
        yield Need("script", "script", given["src"])
    if tag == "link" and {"stylesheet", "modulepreload"} & set(given.get("rel", "").lower().split()):
        yield Need("script", "link", given.get("href", ""))
    for name, value in given.items():
        if (tag, name) in _IMAGES and not (tag == "input" and given.get("type", "").lower() != "image"):
            yield Need("image", tag, value)
        elif (tag, name) in _NEVER or (tag == "source" and name == "src"):
            yield Need("never", tag, value)
        elif name == "srcset":
            for part in re.findall(r"(\S+?)(?:\s+[\d.]+[wx])?\s*(?:,\s+|,$|$)", value.strip()):
                yield Need("image", f"{tag} srcset", part)
        elif name == "style":
            yield from _style_needs(f"{tag} style", value)
        elif name.startswith("data-") and re.match(r"(?:https?:)?//", value) and _IS_PICTURE.search(value):
            yield Need("image", f"{tag} {name}", value)


def _style_needs(element: str, text: str) -> Iterator[Need]:
    imports = _IMPORT.findall(text)
    for address in imports:
        yield Need("script", element, address)
    for address in _URL.findall(text):
        if address not in imports:
            yield Need("script" if _FONT.search(address) else "image", element, address)


def _script_needs(text: str) -> Iterator[Need]:
    text = _POPUP.sub("", text)
    asked = []
    for match in _ASKS.finditer(text):
        asked.append(match.group(1) or f"//{match.group(3)}")
        yield Need("never", "script", asked[-1].replace("ws://", "http://").replace("wss://", "https://"))
    for address in _ADDRESS.findall(text):
        if address in asked or _UNFILLED.search(address):
            continue
        if _IS_PICTURE.search(address):
            yield Need("image", "script", address)
        elif _IS_SCRIPT.search(address) and address not in REPLACED_SCRIPTS:
            yield Need("script", "script", address)


def _element_problems(tag: str, given: dict[str, str]) -> Iterator[str]:
    if "-" in tag and tag not in SUPPORTED and tag not in HARMLESS:
        yield f"<{tag}> is not offered here; those there are: {', '.join(sorted(SUPPORTED))}"
    if tag == "base" and given.get("href"):
        yield "<base> is not followed here: give whole addresses"
    if tag in ("input", "crowd-input") and given.get("type", "").lower() == "file":
        yield f"<{tag} type=file>: files cannot be sent here"
    if tag in ("crowd-classifier", "crowd-image-classifier") and not categories_of(
        given.get("categories", "")
    ):
        yield f"<{tag}>: categories is not a list of names such as ['cat', 'dog']"
    if tag == "crowd-image-classifier" and given.get("overlay"):
        yield f"<{tag} overlay> is not offered here"
    if (
        tag in ("form", "crowd-form")
        and (host := host_of(given.get("action", "")))
        and "externalSubmit" not in given["action"]
    ):
        yield f"<{tag}> is sent to {host}: answers would not arrive here"


def _is_submit(tag: str, given: dict[str, str]) -> bool:
    kind = given.get("type", "").lower()
    return (tag == "button" and kind in ("", "submit")) or (tag == "input" and kind in ("submit", "image"))


def _form_problems(tags: Sequence[Tag]) -> Sequence[str]:
    scripts = "\n".join(tag.text for tag in tags if tag.name == "script")
    own_way = re.search(r"externalSubmit|createElement\(\s?[\"']form|customElements|\.submit\(", scripts)
    names = {tag.name for tag in tags}
    if not names & {"form", "crowd-form"} and not own_way:
        return ["it has neither <form> nor <crowd-form>: nothing could be sent"]
    if not {"crowd-form", "script"} & names and not any(_is_submit(tag.name, tag.attributes) for tag in tags):
        return ["its <form> has no button that submits it"]
    return []
