"""What several rows ask for."""

from typing import Final

from deploy.boards.panels import Query

MODEL: Final = 'model=~"$model"'
PARTITION: Final = "{{model}} {{partition}}"
RATE: Final = "[$__rate_interval]"


def partitions(metric: str) -> list[Query]:
    """Return the query of a gauge of each partition, which every API process tells alike."""
    return [Query(f"max by (model, partition) ({metric}{{{MODEL}}})", PARTITION)]


def grown(metric: str, rest: str = "") -> str:
    """Return the expression of how fast a counter of partitions grows, by model."""
    within = f", {rest}" if rest else ""
    return (
        f"sum by (model{within}) (max by (model, partition{within}) "
        f"(rate({metric}{{{MODEL}}}{RATE})))"
    )


def times(metric: str, by: str = "") -> list[Query]:
    """Return the queries of three quantiles of a histogram."""
    name = f"{{{{{by}}}}} " if by else ""
    labels = f"le, {by}" if by else "le"
    buckets = f"sum by ({labels}) (rate({metric}_bucket{RATE}))"
    return [
        Query(f"histogram_quantile({share}, {buckets})", f"{name}{float(share):.0%}")
        for share in ("0.5", "0.95", "0.99")
    ]
