"""The command line: parse, call one library function, print. One module a stage, in the order of the work."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``newtest``. Ctrl-C has one ending, also while Python still loads what the command needs."""
    try:
        from newtest.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("newtest: interrupted; what was done is kept, run the same command again to go on\n")
        raise SystemExit(130) from None
