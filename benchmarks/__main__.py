"""``python -m benchmarks``: see ``--help``."""

import signal
import sys
from typing import NoReturn

from benchmarks.options import parse
from benchmarks.report import DOCUMENT, report, write
from benchmarks.run import run


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    text = report(run(options))
    print(f"\n{text}")
    if options.write or options.is_complete:
        write(text)
        print(f"Written into {DOCUMENT}.")
    else:
        print("Not a complete run, so docs/benchmarks.md stays as it is (--write writes it).")


def terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)  # so that what was started is stopped
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
