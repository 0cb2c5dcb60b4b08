from collections.abc import Iterator

import pytest

from tests.consumer.notifying.sink import Sink, http_sink


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with http_sink() as found:
        yield found
