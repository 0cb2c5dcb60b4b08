from collections.abc import Iterator

import pytest

from tests.consumer.notifying.sinks import Sink, listening


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found
