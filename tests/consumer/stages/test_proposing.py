"""The thread that answers requests for references, with whatever may stand in its keys."""

import logging
import threading
from typing import Any

import pytest
import redis

from driftgauge.consumer.stages.proposing import Proposer
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.proposals import ReferenceRequest, decode_answer, encode
from driftgauge.shared.settings import Settings
from tests.integration.plant import settings_of, wait_for


def test_a_key_that_is_no_list_keeps_no_other_model_waiting(
    client: redis.Redis, redis_url: str, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """What Redis refuses of one model is logged once, and the requests of another are answered all
    the same.
    """
    client.set(keys.proposals("broken"), "mine")
    request: Any = encode(ReferenceRequest("0" * 32, "1.0.0", 1000))
    proposer, stop = Proposer(Settings(**settings_of(redis_url, keys))), threading.Event()
    for model in ("broken", "other"):
        proposer.add(model)
    thread = threading.Thread(target=proposer.run, args=(stop,))
    with caplog.at_level(logging.WARNING, "driftgauge.worker"):
        thread.start()
        try:
            for _ in range(2):
                client.rpush(keys.proposals("other"), request)
                wait_for(lambda: client.exists(keys.proposed("other", "0" * 32)), "the answer")
                answer: Any = client.getdel(keys.proposed("other", "0" * 32))
                assert "never published" in decode_answer(answer).fault
        finally:
            stop.set()
            thread.join()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "Requests for references of broken cannot be answered"
    ]
