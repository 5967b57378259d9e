"""The practice before the first task: asked, answered with the reasons, and remembered per person."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from newtest.catalog.workers import put_training, trained
from newtest.crowd.languages import language
from newtest.crowd.server.pages import page
from newtest.crowd.server.persons import Person, Persons
from newtest.crowd.server.settings import Shared
from newtest.crowd.training import Training, TrainingImage
from newtest.web.forms import read_form

__all__ = ["TrainingPages", "is_trained"]

ANSWERS = ("yes", "no")


async def is_trained(person: Person, training: Training | None) -> bool:
    """Whether a person has done the practice, in any study of the server, or there is none."""
    if training is None:
        return True
    return any([await m.shared.database.look(trained, m.worker, training.version) for m in person.members])


class TrainingPages:
    """The routes of the practice below ``/work/<link>/``."""

    def __init__(self, studies: Sequence[Shared], persons: Persons) -> None:
        self._shared, self._persons = studies[0], persons
        self._spoken = language(self._shared.config.wording.language)

    def routes(self) -> list[Route]:
        """What the application mounts, before the routes of assignments."""
        return [
            Route("/work/{token}/training", self.ask),
            Route("/work/{token}/training", self.explain, methods=["POST"]),
            Route("/work/{token}/training/{number:int}.jpg", self.picture),
        ]

    async def ask(self, request: Request) -> Response:
        """The images with their questions."""
        training, _ = await self._of(request)
        return self._page(request, [(one, None) for one in training.images])

    async def explain(self, request: Request) -> Response:
        """The same images with the answers and the reasons. An image that was not answered counts as wrong."""
        training, person = await self._of(request)
        form = await read_form(request)
        token = request.path_params["token"]
        if not self._shared.keys.is_tag(form.one("csrf"), "csrf", token, "training"):
            raise HTTPException(403, "This form is out of date. Go back, reload the page and try again.")
        said = [form.one(f"image{n}") for n in range(1, len(training.images) + 1)]
        right = [
            one.shows == (value == "yes") and value in ANSWERS
            for one, value in zip(training.images, said, strict=True)
        ]
        member, at = person.members[0], self._shared.config.clock()
        row = (member.worker, training.version, sum(right), len(right))
        await member.shared.database.write(_remember, row, at)
        images = list(zip(training.images, right, strict=True))
        return self._page(request, images, score=(sum(right), len(right)))

    async def picture(self, request: Request) -> Response:
        """An image of the practice."""
        training, _ = await self._of(request)
        number = request.path_params["number"]
        if not 1 <= number <= len(training.images):
            raise HTTPException(404, "There is no such picture.")
        headers = {"Cache-Control": "private, max-age=300"}
        return Response(training.images[number - 1].picture, media_type="image/jpeg", headers=headers)

    async def _of(self, request: Request) -> tuple[Training, Person]:
        training = self._shared.config.training
        person = await self._persons.of(request.path_params["token"])
        if training is None or person is None:
            raise HTTPException(404, "There is no such task.")
        return training, person

    def _page(
        self,
        request: Request,
        images: Sequence[tuple[TrainingImage, bool | None]],
        score: tuple[int, int] | None = None,
    ) -> Response:
        token = request.path_params["token"]
        csrf = self._shared.keys.tag("csrf", token, "training")
        base = f"/work/{token}/"
        return page("training.html", spoken=self._spoken, base=base, csrf=csrf, images=images, score=score)


def _remember(catalog: sqlite3.Connection, row: tuple[str, str, int, int], at: float) -> None:
    put_training(catalog, *row, at=at)
