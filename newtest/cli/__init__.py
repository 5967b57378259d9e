"""The command line: parse, call one library function, print. One module a stage, in the order of the work."""

from newtest.cli.app import main

__all__ = ["main"]
