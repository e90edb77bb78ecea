"""python -m unisim, and the console script."""

import sys


def main() -> int:
    """The command line; returns its exit code."""
    from unisim.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
