"""Personal fields: which they are, and that only what the rules leave gets into columns, rows and
published schemas.
"""

import gzip
import hashlib
import hmac
import json
import logging
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.shared.errors import BadData, ConfigurationError
from driftgauge.shared.reference import pii
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of, infer, rows_of
from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.tables.reading import read_table

KEY = "a secret of more than 16 characters"
SCHEMA = Schema(
    (
        Feature("email", "categorical"),
        Feature("x", "numeric"),
        Feature("customer", "numeric", pii="hash", minimum=0),
        Feature("city", "categorical", pii="hash", nullable=True, categories=("Ulm", "Bern")),
        Feature("nickname", "categorical", pii="keep"),
    )
)
FRAME = pd.DataFrame(
    {
        "email": ["a@example.org", "b@example.org"],
        "x": [1.0, 2.0],
        "customer": [77.0, 78.0],
        "city": ["Ulm", None],
        "nickname": ["al", "bo"],
    }
)


PERSONAL = """
    fname lname tel addr cell customer_cell password user_pwd IBAN passport_no Vorname Nachname
    GeburtsDatum Straße nom prénom date_de_naissance apellido Apellidos teléfono correo cognome
    codice_fiscale nascimento_data_de_nascimento achternaam nazwisko imię personnummer
    email e_mail e-mail EMail eMail E_MAIL phone mobile telephone name Name first_name firstName
    FIRSTNAME lastname surname address Addresses street ssn SSN customerSSN social_security card
    credit_card creditcard CardNumber iban passport DOB birth_date dateOfBirth ip IP ip_addr
    clientIp remote_ip ip_address customer_name customers.name patient/name phone_numbers email2
    contact_1_email address_line_2
"""
NOT_PERSONAL = """
    named_entity_count card_type ship_mode discard cardinality tip zip strip chip model_name
    file_name product_name addressable streetwise is_mobile name_length emailing phoneme
    cell_voltage fuel_cell p_nom rating telemetry
    email_count has_phone days_since_address_change age gender
    Lagging_Current_Reactive.Power_kVarh CO2(tCO2) prediction_score _ 1 ÄÖ
"""


@pytest.mark.parametrize("name", PERSONAL.split())
def test_personal_names_are_found_however_they_are_written(name: str) -> None:
    """Case, separators, plurals and numbers do not hide a personal field."""
    assert pii.is_personal(name)


@pytest.mark.parametrize("name", NOT_PERSONAL.split())
def test_parts_of_words_and_measures_are_not_personal(name: str) -> None:
    """No part of a longer word counts, and a count or kind of a personal field is none."""
    assert not pii.is_personal(name)


@pytest.mark.parametrize(
    "file", ["steel.csv", "obesity.csv", "credit_default.csv", "bike_sharing_hour.csv"]
)
def test_no_column_of_the_public_files_is_taken_for_personal(data: Path, file: str) -> None:
    """The default list costs none of these models a feature."""
    assert [name for name in read_table(data / file).columns if pii.is_personal(str(name))] == []


@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_a_hash_is_the_begin_of_hmac_sha_256(value: str, key: str) -> None:
    """Anybody with the key can make the same hash: the plain construction of RFC 2104, nothing of
    our own.
    """
    expected = hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()
    assert pii.hashed(value, key) == expected[: pii.HASH_DIGITS]


@pytest.mark.parametrize(
    ("key", "message", "begin"),
    [
        ("\x0b" * 20, "Hi There", "b0344c61d8db3853"),
        ("Jefe", "what do ya want for nothing?", "5bdcc146bf60754e"),
    ],
)
def test_hashes_of_rfc_4231(key: str, message: str, begin: str) -> None:
    """The known answers of the RFC's test cases 1 and 2."""
    assert pii.hashed(message, key) == begin


def test_remove_gives_a_frame_without_personal_values() -> None:
    """Listed names are dropped, rules beat the list, missing stays missing, and the frame that was
    given stays as it was.
    """
    before = FRAME.copy()
    left = pii.remove(FRAME, {"customer": "hash", "city": "hash", "nickname": "keep"}, KEY)
    assert list(left.columns) == ["x", "customer", "city", "nickname"]
    assert left["customer"].tolist() == [pii.hashed("77", KEY), pii.hashed("78", KEY)]
    assert left["city"][0] == pii.hashed("Ulm", KEY)
    assert left["city"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(FRAME, before)
    assert list(pii.remove(FRAME).columns) == ["x", "customer", "city"]


def test_remove_refuses_what_it_cannot_do() -> None:
    """A rule for no column, no rule, two columns of a name, and hashes without a key are errors
    that quote no value.
    """
    with pytest.raises(BadData, match="does not have: phone"):
        pii.remove(FRAME, {"phone": "drop"})
    with pytest.raises(BadData, match="x: 'delete'"):
        pii.remove(FRAME, {"x": "delete"})  # type: ignore[dict-item]  # what a user might write
    with pytest.raises(BadData, match="same name"):
        pii.remove(FRAME[["x", "x"]])
    with pytest.raises(ConfigurationError, match=r"city is to be hashed.*DRIFTGAUGE_PII_KEY"):
        pii.remove(FRAME, {"city": "hash"})


def test_the_frame_and_the_stream_have_the_same_hashes() -> None:
    """What `remove` leaves of a file is what the API publishes of the same rows."""
    rules: Any = {feature.name: feature.pii for feature in SCHEMA.features}
    clean = SCHEMA.cleaner(KEY)
    published = [clean(SCHEMA.positional(row)[0]) for row in rows_of(FRAME, SCHEMA)]
    frame = pii.remove(FRAME, rules, KEY).replace({np.nan: None})
    assert published == frame.to_numpy().tolist()


def test_a_schema_decides_when_it_is_made() -> None:
    """The rule of each feature is stored, so that a longer list of names does not change a version
    that is there.
    """
    assert [feature.pii for feature in SCHEMA.features] == ["drop", "keep", "hash", "hash", "keep"]
    assert SCHEMA.dropped_by_name == ("email",)
    stored = json.loads(msgspec.json.encode(SCHEMA))
    assert [feature["pii"] for feature in stored["features"]] == [
        "drop",
        "keep",
        "hash",
        "hash",
        "keep",
    ]
    assert msgspec.json.decode(msgspec.json.encode(SCHEMA), type=Schema) == SCHEMA
    assert infer(FRAME).dropped_by_name == ("email", "nickname")
    with pytest.raises(BadData, match="nothing is left to watch"):
        Schema((Feature("email", "categorical"), Feature("x", "numeric", pii="drop")))


def test_the_stream_knows_nothing_of_what_is_dropped() -> None:
    """The published schema has no dropped feature, and of a hashed one neither range nor
    categories.
    """
    assert SCHEMA.stream.features == (
        Feature("x", "numeric", pii="keep"),
        Feature("customer", "categorical", pii="hash"),
        Feature("city", "categorical", nullable=True, pii="hash"),
        Feature("nickname", "categorical", pii="keep"),
    )
    assert SCHEMA.stream.stream is SCHEMA.stream
    plain = Schema((Feature("x", "numeric"), Feature("c", "categorical")))
    assert plain.stream is plain
    row: list[Any] = [1.0, "a"]
    assert plain.cleaner(None)(row) is row


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
@pytest.mark.parametrize("rule", ["drop", "hash"])
def test_each_rule_acts_alone(rule: Any, kind: Any) -> None:
    """A schema with a single personal feature of either kind is cleaned too, also where its stream
    looks the same.
    """
    value = 7.0 if kind == "numeric" else "seven"
    clean = Schema((Feature("x", "numeric"), Feature("p", kind, pii=rule))).cleaner(KEY)
    assert clean([1.0, value]) == ([1.0] if rule == "drop" else [1.0, pii.hashed(value, KEY)])


def test_the_model_gets_the_raw_row_and_the_event_what_is_left() -> None:
    """Scoring reads all features in the model's order; the event has the stream's."""
    row, errors = SCHEMA.positional(rows_of(FRAME, SCHEMA)[1])
    assert (row, errors) == (["b@example.org", 2.0, 78.0, None, "bo"], [])
    assert SCHEMA.cleaner(KEY)(row) == [2.0, pii.hashed("78", KEY), None, "bo"]


@pytest.mark.parametrize(
    "given", [{}, {"email": None}, {"email": 49151}, {"email": ["x"]}, {"email": "a@example.org"}]
)
def test_nobody_reads_what_is_dropped_where_no_model_is_called(given: dict[str, Any]) -> None:
    """A prediction made elsewhere may come with dropped fields or without; they are gone either
    way.
    """
    others = {"x": 1, "customer": 77, "city": "Ulm", "nickname": "al"}
    row, errors = SCHEMA.positional({**others, **given}, scored=False)
    assert errors == []
    assert SCHEMA.cleaner(KEY)(row) == [1.0, pii.hashed("77", KEY), pii.hashed("Ulm", KEY), "al"]
    assert "email" not in rows_of(FRAME, SCHEMA, scored=False)[0]
    unknown = SCHEMA.positional({**others, **given, "phone": "planted"}, scored=False)[1]
    assert [error.field for error in unknown] == ["/features/phone"]


def test_no_error_quotes_a_personal_value() -> None:
    """A refused value is named by its place; the categories of a personal feature are personal
    too.
    """
    wrong = {
        "email": ["4915112345"],
        "x": "4915112345",
        "customer": -4915112345,
        "city": "4915112345",
        "nickname": ["4915112345"],
    }
    _, errors = SCHEMA.positional({**wrong, "phone": "4915112345"})
    assert len(errors) == 6
    text = str(errors)
    assert "4915112345" not in text
    assert "Ulm" not in text
    with pytest.raises(BadData, match="row 2 holds something else") as caught:
        columns_of(FRAME.assign(customer=["1", "planted"]), SCHEMA, KEY)
    assert "planted" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_hashes_need_a_key() -> None:
    """Without a key neither a row nor a reference can be made, and the message names feature and
    setting.
    """
    for make in (lambda: SCHEMA.cleaner(None), lambda: columns_of(FRAME, SCHEMA)):
        with pytest.raises(
            ConfigurationError, match=r"customer, city is to be hashed.*DRIFTGAUGE_PII_KEY"
        ):
            make()
    assert Schema(SCHEMA.features[:2]).cleaner(None)(["a@example.org", 1.0]) == [1.0]


def test_the_reference_and_its_publication_hold_only_what_is_left() -> None:
    """Reference, cells and packed version are built on the stream: hashed values are categories
    like any other.
    """
    published = _published()
    assert [column.name for column in published.reference.columns] == [
        "x",
        "customer",
        "city",
        "nickname",
    ]
    customers = published.reference.columns[1]
    assert isinstance(customers, CategoricalReference)
    assert customers.categories == sorted(pii.hashed(name, KEY) for name in ("77", "78"))
    assert (
        re.search(rb"email|example\.org|Ulm|Bern|\b7[78]\b", gzip.decompress(published.pack()))
        is None
    )
    worker_side = PublishedVersion.unpack(published.pack())
    assert worker_side.schema == SCHEMA.stream
    assert (
        CellMap(SCHEMA, published.reference).schema.names
        == CellMap(*_parts(worker_side)).schema.names
    )


def test_registration_warns_of_what_is_dropped_by_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who loses a feature to the default list is told at registration, and how to keep it; the
    version keeps its schema.
    """
    registry = ModelRegistry(tmp_path)
    with caplog.at_level(logging.WARNING):
        registry.register(_published())
    assert [record.getMessage() for record in caplog.records if "email" in record.getMessage()]
    assert "nickname" not in caplog.text
    assert registry.load("people", "1.0.0").schema == SCHEMA


def _published() -> PublishedVersion:
    reference = build_profile(SCHEMA, columns_of(FRAME, SCHEMA, KEY), None)
    return PublishedVersion(new_manifest("people", "1.0.0", "monitor"), SCHEMA, reference)


def _parts(version: PublishedVersion) -> tuple[Schema, ReferenceProfile]:
    return version.schema, version.reference
