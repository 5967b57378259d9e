"""newtest doctor"""

from __future__ import annotations

from dataclasses import asdict

import typer

from newtest.cli.options import JsonFlag, print_json, print_table

__all__ = ["doctor"]


def doctor(json: JsonFlag = False) -> None:
    """Show what is installed, what is missing for which command, and how to fix it.

    Nothing is downloaded or changed. Missing things are not failures: only some commands need them.
    Exit code 1 means that something must be fixed before any command works.

    Example: newtest doctor
    """
    from newtest.doctor import examine

    checks = examine()
    if json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        rows = [(check.name, check.state, check.found, check.needed_for) for check in checks]
        print_table(["thing", "state", "found", "needed for"], rows)
        fixes = [check for check in checks if check.fix]
        if fixes:
            print()
            print_table(["to fix", "do"], [(check.name, check.fix) for check in fixes])
    if any(check.state == "wrong" for check in checks):
        raise typer.Exit(1)
