from driftgauge.models.credit.features import DATE, DELAYS, PAYMENTS, RAW, TARGET, engineer
from driftgauge.models.credit.simulate import DAYS, CardHolders


def test_columns_are_those_of_the_file_and_a_date() -> None:
    """Simulated rows have the columns of the UCI file that are used, the target, and a day of the
    simulated years.
    """
    rows = CardHolders(0).rows(100)
    assert tuple(rows.columns) == (*RAW, TARGET, DATE)
    assert rows[DATE].between(DAYS[0], DAYS[-1]).all()


def test_default_depends_on_delay_and_limit() -> None:
    """About a fifth defaults as in the file; far more of those in delay, and more of those with a
    small limit.
    """
    rows = CardHolders(1).rows(8000)
    assert 0.17 < rows[TARGET].mean() < 0.27
    late = rows["PAY_0"] > 0
    assert rows[TARGET][late].mean() > 2.5 * rows[TARGET][~late].mean()
    small = rows["LIMIT_BAL"] < rows["LIMIT_BAL"].median()
    assert rows[TARGET][small].mean() > 1.2 * rows[TARGET][~small].mean()


def test_months_of_a_card_are_alike() -> None:
    """Delays and bills of successive months go together, and bills use up to the limit, payments
    none below 0.
    """
    rows = CardHolders(1).rows(4000)
    assert rows["PAY_0"].corr(rows["PAY_2"]) > 0.6
    assert rows["BILL_AMT1"].corr(rows["BILL_AMT2"]) > 0.9
    assert (rows["BILL_AMT1"] <= 1.02 * rows["LIMIT_BAL"]).all()
    assert (rows[list(PAYMENTS)] >= 0).all(axis=None)
    assert set(rows[list(DELAYS)].stack()) >= {-2, -1, 0, 2}


def test_undocumented_codes_occur() -> None:
    """The simulator has the file's traps: rare codes that nobody documented."""
    features = engineer(CardHolders(1).rows(20_000))
    assert {"0", "5", "6"} <= set(features["EDUCATION"])
    assert "0" in set(features["MARRIAGE"])
