"""newtest status"""

from __future__ import annotations

from pathlib import Path

from newtest.cli.options import JsonFlag, StudyDir, print_json, print_table

__all__ = ["status"]


def status(study: StudyDir = Path(), json: JsonFlag = False) -> None:
    """What is done, missing, failed and spent: one line a stage.

    Example: newtest status --study goldfish
    """
    from dataclasses import asdict

    from newtest.catalog.status import stages
    from newtest.study import Study

    with Study(study) as opened:
        rows = stages(opened.catalog)
    if json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(
            ["stage", "done", "missing", "failed", "spent", ""],
            [(r.stage, r.done, r.missing, r.failed, r.spent, r.remark) for r in rows],
        )
