"""The division of a batch among processes: the same samples in all, and weights that give the same mean."""

from __future__ import annotations


def part_of(count: int, rank: int, size: int) -> tuple[slice, float]:
    """Which of a batch's samples a process takes, and the factor of its mean loss.

    The parts differ by one sample at most. The mean over the processes of factor·(mean over the part) is the mean over
    the batch, so the factor is size·(samples of the part)/count. Of a batch with fewer samples than there are processes
    (as the last of an epoch may be) each takes all.

    >>> [part_of(10, rank, 4) for rank in range(2)]
    [(slice(0, 3, None), 1.2), (slice(3, 6, None), 1.2)]
    >>> part_of(2, 3, 4)
    (slice(0, 2, None), 1.0)
    """
    if count < size:
        return slice(0, count), 1.0
    least, more = divmod(count, size)
    start = rank * least + min(rank, more)
    own = least + (rank < more)
    return slice(start, start + own), size * own / count
