"""The command line: ``tasd`` and ``python -m tasd``."""

import sys


def main() -> None:
    """Run a command. A `UserError` is printed as one line for each mistake, exit code 1."""
    from tasd.cli.app import app
    from tasd.errors import UserError
    from tasd.foreign import clean

    try:
        app(prog_name="tasd")
    except UserError as error:
        for line in error.lines:
            print(f"tasd: {clean(line)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
