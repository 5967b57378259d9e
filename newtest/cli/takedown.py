"""newtest takedown"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json

__all__ = ["takedown"]


def takedown(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="An image_id, or the sha256 of the image's bytes.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept, without the name of who asked.")],
    by: Annotated[str, typer.Option("--by", help="Who removes it.", envvar="USER")] = "unknown",
    study: StudyDir = Path(),
    json: JsonFlag = False,
) -> None:
    """Remove an image from the study and from the next revisions, with its bytes and what was known of its owner.

    Example: newtest takedown 2c7af50194e611dd6a445bc20004417b4ea3b865 --reason "the owner asked"
    """
    from newtest.study import Study
    from newtest.withdrawal import takedown as take_down

    with Study(study) as opened:
        done = take_down(opened, image, reason=reason, by=by)
    if json:
        print_json(done.__dict__)
        return
    note(f"removed: {', '.join(done.image_ids)}; files deleted: {done.files_removed}")
    if done.revisions:
        note(f"it was drawn into {', '.join(done.revisions)}; draw a new one with newtest sample --parent")
    for path in done.releases:
        note(f"it is in the release {path}, which stays as it is: withdraw it where you published it")
