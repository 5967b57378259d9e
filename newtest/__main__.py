"""``python -m newtest``: the command line of this environment's newtest."""

from newtest.cli.app import main

if __name__ == "__main__":
    main()
