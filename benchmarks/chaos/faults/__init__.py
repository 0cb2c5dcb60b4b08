"""Every kind of fault, a function each; importing this fills the table.

processes     workers, APIs and connections that end or stop
restarting    a Redis that ends, loses power or stops, and comes back with all that it had
refusing      a Redis that answers and takes no writes
failing_over  a replica that takes over
sharding      a Redis Cluster: masters that end or are replaced, slots that are moved
losing        a Redis that loses what it had: deleted keys, an older copy
serving       a disk of the API without space, a model that hangs, requests that never end
"""

from benchmarks.chaos.faults import (
    failing_over,
    losing,
    processes,
    refusing,
    restarting,
    serving,
    sharding,
)
from benchmarks.chaos.faults.fault import FAULTS, Fault

__all__ = [
    "FAULTS",
    "Fault",
    "failing_over",
    "losing",
    "processes",
    "refusing",
    "restarting",
    "serving",
    "sharding",
]
