"""How a trial, or a run, ended or stands: one enum for all of them; its values are the words in files and messages."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The states of trials and runs.

    >>> f"it {Status.DIVERGED}", Status("finished").is_finished, Status.INTERRUPTED.is_finished
    ('it diverged', True, False)
    """

    #: All updates were done.
    FINISHED = "finished"
    #: The loss exploded, or stopped being a number.
    DIVERGED = "diverged"
    #: The user's code, its data, or the memory failed.
    FAILED = "failed"
    #: Others of its sweep were better.
    PRUNED = "pruned"
    #: It was stopped from outside, and can be resumed.
    INTERRUPTED = "interrupted"
    #: It has got through a part of its run, and waits for its rivals.
    WAITING = "waiting"

    @property
    def is_finished(self) -> bool:
        """Whether it is over: nothing more of it will be trained."""
        return self not in (Status.INTERRUPTED, Status.WAITING)

    @property
    def is_measured(self) -> bool:
        """Whether what it led to is known: all of its updates were done, or it diverged."""
        return self in (Status.FINISHED, Status.DIVERGED)
