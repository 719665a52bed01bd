"""The command line: ``tasd`` and ``python -m tasd``."""

import sys


def main() -> None:
    """Run a command. What a person can correct is printed as a line a mistake, exit code 1."""
    from tasd.cli.app import app
    from tasd.errors import quiet_threads, told
    from tasd.foreign import clean

    quiet_threads()
    try:
        app(prog_name="tasd")
    except Exception as error:
        found = told(error, command=sys.argv[1] if len(sys.argv) > 1 else "")
        if found is None:
            raise  # a mistake of ours: the traceback is for us
        for line in found.lines:
            print(f"tasd: {clean(line)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
