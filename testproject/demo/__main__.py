"""``python -m testproject.demo [--once] [--port PORT]``."""

import io
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from testproject.demo.environment import prepare_environment
from testproject.demo.errors import DemoError
from testproject.demo.terminal import Color, paint


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m testproject.demo", description="Run the shop and its scheduler.")
    parser.add_argument("--once", action="store_true", help="exit after the summary: 0 if every promise was held")
    parser.add_argument("--port", type=int, default=0, help="of the shop (default: one that is free)")
    options = parser.parse_args(arguments)
    try:
        with TemporaryDirectory(prefix="django_scheduler_demo_") as name:
            prepare_environment(Path(name))
            from testproject.demo.performance import perform

            return 0 if perform(Path(name), once=options.once, port=options.port) else 1
    except DemoError as error:
        print(f"{paint('The demo cannot go on.', Color.RED)} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def terminate(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, terminate)  # so that the processes that were started are stopped
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal has a tick
    sys.exit(main(sys.argv[1:]))
