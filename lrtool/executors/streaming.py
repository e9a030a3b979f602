"""Results of a job, one batch after the other, while the job is done in a thread of its own."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

from lrtool.executors.base import Work

#: Seconds that results wait for others, so that many small ones are one message.
_TOGETHER = 0.2


def streamed(work: Work[Any, Any], job: Any, beat: float | None = None) -> Iterator[tuple[str, Any]]:
    """What a job says: `("results", [...])` as it has them, last `("done", None)`, or `("error", its traceback)`.

    Also `("beat", None)` whenever it has said nothing for `beat` seconds; None: then nothing is said either.

    The job has no main thread, so signals stay with whoever runs this process. It may start no processes, as in
    lrtool's own: whoever shares out cores has given it its part.
    """
    import multiprocessing
    import queue

    multiprocessing.current_process().daemon = True
    box: queue.Queue[tuple[str, Any]] = queue.Queue()

    def live() -> None:
        try:
            work(job, lambda result: box.put(("result", result)))
        except BaseException:
            box.put(("error", traceback.format_exc()))
        else:
            box.put(("done", None))

    threading.Thread(target=live, daemon=True).start()
    kind = ""
    while kind not in ("done", "error"):
        try:
            kind, content = box.get(timeout=beat)
        except queue.Empty:
            yield "beat", None
            continue
        results, until = [], time.monotonic() + _TOGETHER
        while kind == "result":
            results.append(content)
            try:
                kind, content = box.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
        if results:
            yield "results", results
    yield kind, content
