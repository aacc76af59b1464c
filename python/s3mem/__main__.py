"""``python -m s3mem`` is the program ``s3mem``."""

import os
import sys

from ._errors import ProgramMissing
from ._program import program


def main() -> None:
    """Becomes the program, with the same arguments."""
    try:
        found = program()
    except ProgramMissing as error:
        sys.exit(f"s3mem: {error}")
    os.execv(found, ["s3mem", *sys.argv[1:]])


if __name__ == "__main__":
    main()
