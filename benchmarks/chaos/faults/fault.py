"""What a fault is: one function in one table, with what is lost, how it is told, and what a person
does.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from benchmarks.chaos.faults.scene import Scene

Course = Iterator[float]
"""The course of a fault: it begins, gives the seconds for which it lasts, and ends; it may have
several steps.
"""


class On(Enum):
    """What a Redis is to its clients: one at an address, one behind Sentinels, or a cluster."""

    ALONE = "alone"
    SENTINELS = "sentinels"
    CLUSTER = "cluster"


EVERYWHERE = frozenset(On)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind of fault.

    Parameters
    ----------
    name
        Name on the command line.
    what
        What happens, in words.
    course
        Injects it and ends it.
    needs
        Whether it can come now.
    of_redis
        Whether it is a fault of the Redis server, of which one is under way at a time.
    on
        The kinds of Redis on which it can come.
    told
        Regular expression of what an API must say of it within a minute, as a reason of `/readyz`
        or an alert of the watchdog; empty if nothing has to be said.
    loses
        Whether events that Redis acknowledged are lost.
    logged
        Regular expression of the errors in the logs that it explains; empty if it explains none.
    weight
        How often it comes, compared with others.
    """

    name: str
    what: str
    course: Callable[[Scene], Course]
    needs: Callable[[Scene], bool]
    of_redis: bool
    on: AbstractSet[On]
    told: str
    loses: bool
    logged: str
    weight: int


FAULTS: dict[str, Fault] = {}
"""Every kind of fault by its name."""


def fault(
    what: str,
    *,
    needs: Callable[[Scene], bool] = lambda _: True,
    of_redis: bool = False,
    on: AbstractSet[On] = EVERYWHERE,
    told: str = "",
    loses: bool = False,
    logged: str = "",
    weight: int = 1,
) -> Callable[[Callable[[Scene], Course]], Callable[[Scene], Course]]:
    """Enter a function into the table of faults, under its name."""

    def enter(course: Callable[[Scene], Course]) -> Callable[[Scene], Course]:
        name = course.__name__
        FAULTS[name] = Fault(
            name=name,
            what=what,
            course=course,
            needs=needs,
            of_redis=of_redis,
            on=on,
            told=told,
            loses=loses,
            logged=logged,
            weight=weight,
        )
        return course

    return enter
