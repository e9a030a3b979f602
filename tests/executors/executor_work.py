"""Work that tests give to executors: a module of its own, so that other processes can import it."""

import os
import signal
import time


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
