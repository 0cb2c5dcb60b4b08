"""One cluster for all tests of the folder; each has its own key prefix, and leaves it whole."""

import os
from collections.abc import Iterator

import pytest

from benchmarks.chaos.stores.cluster import Cluster, unusable


@pytest.fixture(scope="package")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = unusable()
    if reason:
        told = pytest.fail if "CI" in os.environ else pytest.skip
        told(f"NO CLUSTER TEST: {reason}")
    with Cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """Three masters with a replica each, all of them well."""
    shared_cluster.heal()
    return shared_cluster
