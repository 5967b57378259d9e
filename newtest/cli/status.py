"""newtest status"""

from __future__ import annotations

from pathlib import Path

from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table

__all__ = ["status"]


def status(study: StudyDir = Path(), json: JsonFlag = False) -> None:
    """Show what is done, missing, failed and spent: one line per stage.

    Reward and fees are dollars, of assignments that were not rejected; the fees are what MTurk adds to the rewards.

    Example: newtest status --study goldfish
    """
    from dataclasses import asdict

    from newtest.catalog.status import stages
    from newtest.crowd.bonuses import bonuses_told
    from newtest.crowd.costs import cents
    from newtest.crowd.ledger import hourly_warning, ledger
    from newtest.study import Study

    with Study(study) as opened:
        rows = stages(opened.catalog)
        book, warning = ledger(opened.catalog), hourly_warning(opened.catalog)
    earned = book.earned
    reward, fees = cents(earned.reward), None if earned.fees is None else cents(earned.fees)
    bonuses = bonuses_told(opened)
    sums = {name: getattr(book, name).total for name in ("planned", "open", "owed", "paid")}
    if warning:
        note(f"warning: {warning}")
    if json:
        dollars = {
            "reward": float(reward),
            "fees": None if fees is None else float(fees),
            "ledger": {name: float(total) for name, total in sums.items()},
            "bonuses": float(bonuses),
        }
        print_json([asdict(row) | (dollars if row.stage == "annotate" else {}) for row in rows])
        return
    spent = {"annotate": (f"${reward:,}", "unknown" if fees is None else f"${fees:,}")}
    if any(sums.values()):
        note("money: " + ", ".join(f"{name} ${total:,}" for name, total in sums.items()))
    if bonuses:
        note(f"bonuses on Prolific, beside it: ${bonuses:,}")
    print_table(
        ["stage", "done", "missing", "failed", "reward", "fees", ""],
        [(r.stage, r.done, r.missing, r.failed, *spent.get(r.stage, ("", "")), r.remark) for r in rows],
    )
