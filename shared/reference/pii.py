"""Personal fields: which they are, and what is left of them: nothing, or a keyed hash.

Where it stands in the flow: a schema decides the rule of each feature when it is made; the API
applies the rules to a row after the model has seen it and before anything is published, spooled or
logged; the reference is built of columns that went through the same rules. `remove` is the same for
a data frame without a schema.

Pure: names and values in, values out.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final, Literal

import pandas as pd

from driftgauge.shared.errors import BadData, ConfigurationError

Rule = Literal["keep", "drop", "hash"]
"""`keep`: published as it is. `drop`: never published. `hash`: published as a keyed hash, so it can
still be counted.
"""

HASH_DIGITS: Final = 16
"""Hexadecimal digits that are left of a hash: 64 bits, at which among a million values two meet by
a chance of 3e-8.
"""


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_PHRASES: Final = _listed(
    "email e_mail mail_address phone telephone mobile cellphone msisdn fax address street "
    "house_number "
    "surname first_name last_name full_name given_name family_name middle_name maiden_name "
    "nickname user_name login_name "
    "birth_date date_of_birth birth_day dob ssn social_security national_id national_insurance "
    "tax_id tax_number "
    "passport driver_license driving_licence license_plate number_plate card credit_card "
    "card_number cvv cvc "
    "iban bic bank_account account_number account_holder ip_address ip_addr mac_address"
)
_JOINED: Final = frozenset(phrase.replace("_", "") for phrase in _PHRASES) | {
    "emailaddress",
    "phonenumber",
    "mobilenumber",
}
"""The same written as one word."""
_ENDS: Final = _listed("name ip mail")
"""Words that are personal as the whole of a name, or at its end after a word for a person or a
computer.
"""
_BEARERS: Final = _listed(
    "client customer user person personal contact holder owner patient employee member passenger "
    "driver student "
    "applicant borrower debtor tenant guest visitor sender receiver recipient buyer seller payer "
    "payee author agent "
    "doctor spouse partner parent mother father child remote source src destination dest dst peer "
    "host"
)
_MEASURES: Final = _listed(
    "count num n length len type kind category age day days month months year years score rate "
    "share ratio frequency "
    "freq flag valid verified known missing change changes changed distance total"
)
"""A name that ends with one of these is a measure of a personal field, not the field."""
_ASKING: Final = _listed("is has had num n count days months years")
"""The same for a name that begins with one of these."""
_LISTED: Final = (
    frozenset(word for phrase in _PHRASES for word in phrase.split("_"))
    | _JOINED
    | _ENDS
    | _BEARERS
)
_WORD_ENDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_personal(name: str) -> bool:
    """Tell whether a field is personal by its name, as far as the default list knows.

    The name is cut into words (at punctuation, digits and capitals), so that no part of a longer
    word counts. A name that holds a listed word is personal, unless it says that it is a measure of
    it (`email_count`, `is_mobile`, `card_type`). In doubt the answer is yes: what was dropped in
    error is seen in the warning at registration, what was published in error may not be seen for
    years. The list knows English names; it cannot know what a field called `x7` holds.

    Examples
    --------
    >>> [is_personal(name) for name in ("email", "customerEMail", "First Name", "IPAddress", "phone_2")]
    [True, True, True, True, True]
    >>> [is_personal(name) for name in ("named_entity_count", "card_type", "shipment", "product_name", "is_mobile")]
    [False, False, False, False, False]
    """
    words = _words(name)
    if not words or words[-1] in _MEASURES or words[0] in _ASKING:
        return False
    if words[-1] in _ENDS and (len(words) == 1 or words[-2] in _BEARERS):
        return True
    text = f"_{'_'.join(words)}_"
    return not _JOINED.isdisjoint(words) or any(f"_{phrase}_" in text for phrase in _PHRASES)


def decide(name: str, rule: Rule | None) -> Rule:
    """Give the rule of a field: the one that was said, else by its name.

    Examples
    --------
    >>> decide("email", None), decide("email", "hash"), decide("age", None)
    ('drop', 'hash', 'keep')
    """
    return rule if rule is not None else "drop" if is_personal(name) else "keep"


def hashed(value: object, key: str) -> str:
    r"""Hash a value: HMAC-SHA-256 (RFC 2104) of its text in UTF-8, the first 16 hexadecimal digits.

    Without the key nobody can find the value by trying all that are possible, which for a telephone
    number's plain hash takes seconds. Equal values have equal hashes, under the same key, in every
    field and model.

    Parameters
    ----------
    value
        Text, or a number; a whole number is hashed without decimal point, whichever type it has.

    Examples
    --------
    >>> hashed("Hi There", "\x0b" * 20)  # RFC 4231, test case 1
    'b0344c61d8db3853'
    >>> hashed(49.0, "k") == hashed(49, "k") == hashed("49", "k")
    True
    """
    return hmac.digest(
        key.encode(), text_of(value).encode("utf-8", "surrogatepass"), "sha256"
    ).hex()[:HASH_DIGITS]


def text_of(value: object) -> str:
    """Write a value as text; a whole number has no decimal point, whichever type its column had."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def needs_key(names: str) -> ConfigurationError:
    """Make the error of hash rules without a key."""
    return ConfigurationError(
        f"{names} is to be hashed, but there is no key. Set DRIFTGAUGE_PII_KEY to a secret of at "
        f"least 16 characters, the "
        "same for registration and API (`openssl rand -hex 32` makes one), or choose drop or keep."
    )


def remove(
    frame: pd.DataFrame, rules: Mapping[str, Rule] | None = None, key: str | None = None
) -> pd.DataFrame:
    """Give a copy of a data frame without personal values.

    Parameters
    ----------
    frame
        Rows of any columns; its index is kept as it is.
    rules
        Column to `keep`, `drop` or `hash`; any other column is dropped if its name is on the
        default list, else kept.
    key
        Key of the hashes.

    Returns
    -------
    frame
        The columns that are left, in their order. A hashed column holds text; missing values stay
        missing.

    Raises
    ------
    BadData
        If a rule is none, or names a column that is not there, or two columns have the same name.
    ConfigurationError
        If a column is to be hashed and there is no key.

    Examples
    --------
    >>> people = pd.DataFrame({"email": ["a@b.c"], "customer": [7], "age": [44]})
    >>> remove(people, {"customer": "hash"}, key="a secret of 16 characters or more").to_dict("records")
    [{'customer': '5836013781d2e94a', 'age': 44}]
    """
    said = dict(rules or {})
    _check_rules(frame, said)
    decided = {name: decide(str(name), said.get(str(name))) for name in frame.columns}
    if "hash" in decided.values() and not key:
        raise needs_key(", ".join(str(name) for name, rule in decided.items() if rule == "hash"))
    left = frame[[name for name, rule in decided.items() if rule != "drop"]].copy()
    for name, rule in decided.items():
        if rule == "hash":
            left[name] = (
                left[name]
                .astype(object)
                .map(lambda value: hashed(value, key or ""), na_action="ignore")
            )
    return left


def _check_rules(frame: pd.DataFrame, rules: Mapping[str, Rule]) -> None:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise BadData("Two columns of the frame have the same name; rename one.")
    absent = [name for name in rules if name not in names]
    if absent:
        raise BadData(
            f"There are rules for columns that the frame does not have: {', '.join(absent)}."
        )
    wrong = [
        f"{name}: {rule!r}" for name, rule in rules.items() if rule not in {"keep", "drop", "hash"}
    ]
    if wrong:
        raise BadData(f"A rule is keep, drop or hash; these are none: {', '.join(wrong)}.")


def _words(name: str) -> list[str]:
    """Cut a name into lower-case words, numbers left out, listed words in the singular."""
    parts = re.split(r"[\W\d_]+", _WORD_ENDS.sub("_", name))
    return [_singular(part.casefold()) for part in parts if part]


def _singular(word: str) -> str:
    singular = (word, word.removesuffix("s"), word.removesuffix("es"))
    return next((one for one in singular if one in _LISTED), word)
