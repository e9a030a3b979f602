"""Work that tests give to executors: a module of its own, so that other processes can import it."""

import os
import signal
import sys
import time
from pathlib import Path


def square(job, report):
    report(job * job)


def squares(job, report):
    for number in range(job):
        report((job, number * number))


def fail_on_three(job, report):
    if job == 3:
        raise ValueError("three is not liked")
    report(job)


def die_on_three(job, report):
    report(("began", job))
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    report(("ended", job))


def about_itself(job, report):
    report((os.getpid(), os.environ.get("OMP_NUM_THREADS")))


def long(job, report):
    report(os.getpid())
    time.sleep(600)


def numbers(job, report):
    """One result for each number of a tuple, in order; whoever it is for may die at one of them, once or always."""
    for number in job["numbers"]:
        mark = Path(job["folder"]) / f"died-{number}"
        if number in job.get("deadly", ()) and (job.get("always") or not mark.exists()):
            mark.touch()
            # What was reported has left this process by then.
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        report((number, os.getpid()))


def rest_of_numbers(job, results):
    done = {number for number, _ in results}
    left = tuple(number for number in job["numbers"] if number not in done)
    return job if len(left) == len(job["numbers"]) else {**job, "numbers": left} if left else None


def slow_numbers(job, report):
    for number in job["numbers"]:
        time.sleep(job["seconds"])
        report((number, os.getpid()))


def where_it_is(job, report):
    report((str(Path.cwd()), sys.path[:], job))


class Named:
    """A job that names a folder, and may be told where that is now."""

    def __init__(self, folder):
        self.folder = folder

    def moved(self, places):
        return Named(places[self.folder])
