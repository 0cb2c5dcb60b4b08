"""Personal fields: how they are recognised, and what is published of them: nothing, or a hash.

A schema decides the treatment of each feature when it is made. The API applies it to every row
after the model has seen it, and before anything is published, spooled or logged. The reference is
built from columns that were treated in the same way. `remove` treats a data frame without a schema.
"""

import hmac
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from driftgauge.shared.errors import BadData, ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

PiiTreatment = Literal["keep", "drop", "hash"]
"""`keep`: published as it is. `drop`: never published. `hash`: published as a keyed hash, which can
still be counted as a category.
"""

HASH_DIGITS: Final = 16
"""Hexadecimal digits that are kept of a hash: 64 bits. Among a million values, two have the same
hash with probability 3e-8.
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
    "iban bic bank_account account_number account_holder ip_address ip_addr mac_address "
    "fname lname mname tel addr cell_phone cell_number password passwd pwd passphrase "
    # German, without accents as all of them
    "vorname nachname familienname geburtsname geburtsdatum geburtstag anschrift adresse strasse "
    "hausnummer telefon telefonnummer handy handynummer mobilnummer kontonummer kontoinhaber "
    "steuernummer steuer_id sozialversicherungsnummer personalausweis ausweisnummer reisepass "
    "passwort kennzeichen "
    # French
    "prenom nom_de_famille date_de_naissance date_naissance naissance rue courriel mot_de_passe "
    "passeport numero_de_securite_sociale "
    # Spanish, Portuguese, Italian
    "nombre apellido apellidos fecha_de_nacimiento fecha_nacimiento direccion calle telefono "
    "correo contrasena dni curp pasaporte movil sobrenome data_de_nascimento data_nascimento "
    "endereco telefone celular senha cpf cognome data_di_nascita indirizzo cellulare "
    "codice_fiscale "
    # Dutch, Polish, Swedish
    "voornaam achternaam geboortedatum adres straat telefoonnummer wachtwoord bsn imie nazwisko "
    "pesel fornamn efternamn personnummer"
)
_JOINED: Final = frozenset(phrase.replace("_", "") for phrase in _PHRASES) | {
    "emailaddress",
    "phonenumber",
    "mobilenumber",
}
"""The phrases written as one word."""
_ENDS: Final = _listed("name ip mail cell nom nome naam")
"""Words that are personal if they are the whole name, or its end after one of `_BEARERS`."""
_BEARERS: Final = _listed(
    "client customer user person personal contact holder owner patient employee member passenger "
    "driver student "
    "applicant borrower debtor tenant guest visitor sender receiver recipient buyer seller payer "
    "payee author agent "
    "doctor spouse partner parent mother father child remote source src destination dest dst peer "
    "host"
)
"""Words for a person or a computer."""
_MEASURES: Final = _listed(
    "count num n length len type kind category age day days month months year years score rate "
    "share ratio frequency "
    "freq flag valid verified known missing change changes changed distance total"
)
"""A name that ends with one of these is a measure of a personal field, not personal itself."""
_ASKING: Final = _listed("is has had num n count days months years")
"""A name that begins with one of these is a measure of a personal field, not personal itself."""
_LISTED: Final = (
    frozenset(word for phrase in _PHRASES for word in phrase.split("_"))
    | _JOINED
    | _ENDS
    | _BEARERS
)
_WORD_ENDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_personal(name: str) -> bool:
    """Return whether a field is personal, as far as its name tells.

    The name is split into words at punctuation, digits and capitals, so that no part of a longer
    word counts. A name with a listed word, of English or another language, is personal, unless it
    names a measure of it
    (`email_count`, `is_mobile`, `card_type`). In doubt the answer is yes: a field that is dropped
    in error appears in the warning at registration, but a field that is published in error may not
    be noticed for years. The list cannot know what a field called `x7` holds.

    Examples
    --------
    >>> [is_personal(name) for name in ("email", "customerEMail", "First Name", "phone_2")]
    [True, True, True, True]
    >>> [is_personal(name) for name in ("Geburtsdatum", "prénom", "Apellidos", "Straße")]
    [True, True, True, True]
    >>> [is_personal(name) for name in ("named_entity_count", "card_type", "shipment", "is_mobile")]
    [False, False, False, False]
    """
    words = _words(name)
    if not words or words[-1] in _MEASURES or words[0] in _ASKING:
        return False
    if words[-1] in _ENDS and (len(words) == 1 or words[-2] in _BEARERS):
        return True
    text = f"_{'_'.join(words)}_"
    if "".join(words) in _JOINED:
        return True
    return not _JOINED.isdisjoint(words) or any(f"_{phrase}_" in text for phrase in _PHRASES)


def decide(name: str, treatment: PiiTreatment | None) -> PiiTreatment:
    """Return the treatment of a field: the given one or, if it is None, one by the field's name.

    Examples
    --------
    >>> decide("email", None), decide("email", "hash"), decide("age", None)
    ('drop', 'hash', 'keep')
    """
    return treatment if treatment is not None else "drop" if is_personal(name) else "keep"


def hashed(value: object, key: str) -> str:
    r"""Hash a value: the first 16 hexadecimal digits of HMAC-SHA-256 (RFC 2104) of its text.

    Without the key, nobody can find the value by trying all possible ones, which takes only seconds
    for the plain hash of a telephone number. With the same key, equal values have equal hashes in
    every field and model.

    Parameters
    ----------
    value
        Text or a number. A whole number is hashed without a decimal point, whatever its type.

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
    """Convert a value to text; a whole number has no decimal point, whatever its type."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def needs_key(names: str) -> ConfigurationError:
    """Return the error that these features are to be hashed and there is no key."""
    return ConfigurationError(
        f"{names} is to be hashed, but there is no key. Set DRIFTGAUGE_PII_KEY to a secret of at "
        f"least 16 characters, the same for registration and API (`openssl rand -hex 32` makes "
        f"one), or choose drop or keep."
    )


def remove(
    frame: "pd.DataFrame", rules: Mapping[str, PiiTreatment] | None = None, key: str | None = None
) -> "pd.DataFrame":
    """Return a copy of a data frame without personal values.

    Parameters
    ----------
    frame
        Rows with any columns; the index is kept.
    rules
        Name of a column to `keep`, `drop` or `hash`. Another column is dropped if its name is
        personal, and kept otherwise.
    key
        Key of the hashes, needed if a column is to be hashed.

    Returns
    -------
    frame
        The columns that are left, in their order. Hashed columns hold text; missing values stay
        missing.

    Raises
    ------
    BadData
        If a rule is unknown or names a missing column, or two columns have the same name.
    ConfigurationError
        If a column is to be hashed and there is no key.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"email": ["a@b.c"], "customer": [7], "age": [44]})
    >>> remove(people, {"customer": "hash"}, key="a secret of 16 characters").to_dict("records")
    [{'customer': '331913ec9d1f5611', 'age': 44}]
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


def _check_rules(frame: "pd.DataFrame", rules: Mapping[str, PiiTreatment]) -> None:
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
    """Split a name into lower-case words, without numbers, and listed words in the singular."""
    parts = re.split(r"[\W\d_]+", _WORD_ENDS.sub("_", unicodedata.normalize("NFC", name)))
    return [_singular(_without_accents(part.casefold())) for part in parts if part]


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _singular(word: str) -> str:
    singular = (word, word.removesuffix("s"), word.removesuffix("es"))
    return next((one for one in singular if one in _LISTED), word)
