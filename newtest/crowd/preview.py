"""A template as a worker would see it, without a market: on loopback, or as one file."""

from __future__ import annotations

import base64

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from newtest.catalog.crowd import HitImage, file_of
from newtest.crowd.questions import from_question_xml, page_of
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.crowd.server.questions import Question, requester_question
from newtest.crowd.server.worker_images import Pictures
from newtest.crowd.templates import Page, render
from newtest.errors import ConfigError, ImageError
from newtest.study import Study
from newtest.web.headers import content_security_policy, script_hashes
from newtest.web.serving import guarded

__all__ = ["drawn_page", "preview_app", "requester_preview", "study_page", "template_preview"]

_CLASSES = (
    ("goldfish", "small golden or orange-red freshwater fishes used as pond or aquarium pets"),
    ("tench", "freshwater dace-like game fish of Europe and western Asia"),
    ("great white shark", "large aggressive shark widespread in warm seas"),
)
_HUES = range(0, 360, 23)


def drawn_page(images: int = 48) -> Page:
    """A page without a study: its images are drawn tiles with their number."""
    tiles = [_tile(n) for n in range(1, images + 1)]
    return Page(
        class_name="goldfish",
        class_names=("goldfish", "Carassius auratus"),
        definition="small golden or orange-red freshwater fishes used as pond or aquarium pets",
        encyclopedia_url="https://en.wikipedia.org/wiki/Goldfish",
        blocks={
            "image": [{"number": str(n), "url": url} for n, url in enumerate(tiles, 1)],
            "option": [
                {"number": str(n), "name": name, "definition": definition}
                for n, (name, definition) in enumerate(_CLASSES, 1)
            ],
            "pair": [
                {"number": str(n), "left_url": left, "right_url": right}
                for n, (left, right) in enumerate(zip(tiles[::2], tiles[1::2], strict=False), 1)
            ],
        },
    )


def study_page(study: Study, pictures: Pictures, hit_id: str) -> Page:
    """The page of a planned HIT, its images in the page itself. Raises UsageError when there is no such HIT."""

    def picture_url(_: str, image: HitImage) -> str:
        try:
            data = pictures.read(file_of(study.catalog, image.image_id) or "")
        except (OSError, ImageError):
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"

    return page_of(study.catalog, hit_id, picture_url)


def template_preview(template: str, page: Page) -> Question:
    """A template filled in, with the policy that the crowd server would send."""
    return Question(render(template, page), content_security_policy(scripts=script_hashes(template)))


def requester_preview(name: str, text: str, allowed: AllowedHosts) -> Question:
    """A page made for MTurk (HTML, or an HTMLQuestion) as the crowd server would show it.

    Raises ConfigError that names each host and element that cannot work here.
    """
    html = from_question_xml(text) if "<HTMLQuestion" in text[:1_000] else text
    shown = requester_question(html, allowed, lambda _: False)
    if shown.problems:
        raise ConfigError(f"the page {name} cannot work here: {'; '.join(shown.problems)}")
    return shown


def preview_app(shown: Question) -> ASGIApp:
    """A server with the one page, under its policy."""
    headers = {"Content-Security-Policy": shown.policy}

    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse(shown.html, headers=headers)

    return guarded(Starlette(routes=[Route("/", show)]))


def _tile(number: int) -> str:
    hue = _HUES[number % len(_HUES)]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><rect width="400" height="300" '
        f'fill="hsl({hue} 45% 62%)"/><text x="200" y="180" font-size="90" text-anchor="middle" '
        f'font-family="sans-serif" fill="#fff">{number}</text></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
