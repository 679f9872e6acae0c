"""``python -m conceptspace`` is the command ``conceptspace``."""

import sys

from conceptspace.cli import main

if __name__ == "__main__":
    sys.exit(main())
