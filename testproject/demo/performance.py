"""The performance: prepare, start the processes, tell the story, judge what came of it, and stay open."""

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError

from django.conf import settings
from django.db import Error

from testproject.demo.errors import DemoError
from testproject.demo.preparation import ADMINISTRATOR, prepare_database
from testproject.demo.processes import Scheduler, WebServer
from testproject.demo.promises import Promises
from testproject.demo.story import Story
from testproject.demo.terminal import Color, paint
from testproject.demo.timeline import Timeline

#: How much later than planned the last function may end.
PATIENCE = timedelta(seconds=10)


def perform(directory: Path, *, once: bool, port: int) -> bool:
    """Whether every promise was held."""
    database = prepare_database()
    with ExitStack() as processes:
        web_server = processes.enter_context(WebServer(directory / "web_server.log", port))
        scheduler = processes.enter_context(Scheduler(directory / "scheduler.log"))
        web_server.wait()
        scheduler.wait()

        def check_processes() -> None:
            web_server.check()
            scheduler.check()

        print(f"The shop is open at {web_server.url}, on {database}, and runscheduler is running.")
        print(f"A day lasts {settings.SHOP_DAY.total_seconds():g} seconds here.\n", flush=True)
        try:
            timeline = Timeline(check_processes)
            held = _tell_and_judge(web_server.url, timeline)
            if not once:
                _stay_open(web_server.url, directory, timeline)
        except (URLError, Error) as error:
            check_processes()  # which says more, if it is one of them
            raise DemoError(" ".join(str(error).split())) from error
    return held


def _tell_and_judge(shop: str, timeline: Timeline) -> bool:
    story = Story(shop, timeline)
    story.tell()
    timeline.follow(timeline.is_finished, seconds=(7 * settings.SHOP_DAY + PATIENCE).total_seconds())
    timeline.flush()
    return _judge(Promises(story, timeline.functions))


def _judge(promises: Promises) -> bool:
    print(f"\n{paint('What was promised', Color.BOLD)}\n")
    verdicts = []
    for promise, verdict in promises.check():
        mark = paint("✓", Color.GREEN) if verdict.held else paint("✗", Color.RED)
        print(f"  {mark} {promise}\n    {paint(verdict.evidence, Color.FAINT)}")
        verdicts.append(verdict.held)
    broken = verdicts.count(False)
    conclusion = f"{broken} of {len(verdicts)} broken." if broken else f"All {len(verdicts)} held."
    print(f"\n{paint(conclusion, Color.RED if broken else Color.GREEN)}", flush=True)
    return not broken


def _stay_open(url: str, directory: Path, timeline: Timeline) -> None:
    user, password = ADMINISTRATOR
    print(f"\n  The shop   {url}")
    print(f"  The admin  {url}admin/ (user {user}, password {password})")
    print(f"  Mail, logs {directory}")
    print("\nPlace an order, and the timeline goes on. Ctrl-C closes the shop.\n", flush=True)
    try:
        timeline.follow()
    except KeyboardInterrupt:
        print("\nThe shop closes.")
