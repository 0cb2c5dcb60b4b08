"""What deployments of some sizes need, by the measured costs that come with the package."""

from typing import Final

from docs.making.prose import table
from driftgauge.producer.commands.plan import measured
from driftgauge.shared.planning.costs import Cost, Costs, Shape
from driftgauge.shared.planning.plan import Load, plan

SIZES: Final = (
    Load(1000, Shape(18)),
    Load(1000, Shape(12, 6, 3, 1.0), pending_max=10_000_000),
    Load(100_000, Shape(18), retention_hours=1),
    Load(1_000_000, Shape(18), retention_hours=0.1),
)
TITLES: Final = {
    "api_us": "API, µs of a core",
    "worker_us": "worker, µs",
    "redis_us": "Redis, µs",
    "log_bytes": "log, bytes",
    "request_bytes": "from clients, bytes",
    "redis_in_bytes": "to Redis, bytes",
    "redis_out_bytes": "from Redis, bytes",
    "pane_bytes": "a pane, bytes",
}


def sizes() -> str:
    """Write a table of plans."""
    rows = []
    for load in SIZES:
        found = plan(load, measured())
        shape = load.shape
        columns = f"{shape.numeric} numbers"
        if shape.categorical:
            columns += f", {shape.categorical} categories, {shape.segments} with segments, labels"
        rows.append(
            (
                f"{load.events_per_second:,.0f}",
                columns,
                f"{load.retention_hours:g} h",
                *(
                    f"{part.processes:,} ({part.cores:.2g})"
                    for part in (found.api, found.workers, found.redis)
                ),
                f"{found.redis.memory_gb:,.0f} GB",
                f"{found.partitions:,}",
                f"{found.redis_mbit:,.0f} Mbit/s",
            )
        )
    return table(
        [
            "Events a second",
            "Columns",
            "Log",
            "API",
            "Workers",
            "Redis",
            "Its memory",
            "Partitions",
            "Its network",
        ],
        rows,
    )


def costs() -> str:
    """Write a table of what an event costs, by its parts, and what does not grow with them."""
    found: Costs = measured()
    rows = []
    for name, title in TITLES.items():
        cost: Cost = getattr(found, name)
        parts = (cost.event, cost.numeric, cost.categorical, cost.segments, cost.label)
        rows.append((title, *(f"{part:.3g}" if part > 1e-3 else "0" for part in parts)))
    parts_of_an_event = table(
        ["Cost", "An event", "A number", "A category", "A feature with segments", "A label"], rows
    )
    return (
        f"{parts_of_an_event}\n\n"
        f"Each partition with traffic takes {found.model_cores:.2g} of a worker's core besides, "
        f"for commits, panes, judging and reports; a prediction that waits for its label takes "
        f"{found.waiting_bytes:.0f} bytes of Redis; an API process {found.api_mb:.0f} MB, a "
        f"worker {found.worker_mb:.0f} MB. Measured on {found.machine}."
    )
