"""Stages and their changes, by any sequence of them."""

import itertools

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.gates import GateResult, Validation
from driftgauge.shared.versions.stages import MAX_HISTORY, StageChange, Stages

VERSIONS = ("1.0.0", "1.1.0", "2.0.0", "3.0.0")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["production", "staging", "rollback", "archive"]), st.sampled_from(VERSIONS)
    )
)


def change(version: str = "") -> StageChange:
    return StageChange("2026-01-01T00:00:00+00:00", "ann", "promote", version, reason="why")


def step(stages: Stages, name: str, version: str) -> Stages:
    try:
        if name == "rollback":
            return stages.rolled_back(change())
        if name == "archive":
            return stages.archived_by(change(version))
        return stages.promoted("production" if name == "production" else "staging", change(version))
    except BadData:
        return stages


def after(steps: list[tuple[str, str]]) -> Stages:
    stages = Stages()
    for name, version in steps:
        stages = step(stages, name, version)
    return stages


def promoted(*versions: str) -> Stages:
    return after([("production", version) for version in versions])


@settings(max_examples=400)
@given(STEPS)
@example(
    [
        *(("production", version) for version in ("1.0.0", "2.0.0", "1.0.0")),
        ("archive", "2.0.0"),
        ("rollback", ""),
    ]
)
def test_a_version_has_one_stage(steps: list[tuple[str, str]]) -> None:
    """Whatever happened, each version is in one place, and all that left production is archived or
    came back since.
    """
    stages = after(steps)
    named = [*([stages.production] if stages.production else []), *stages.staging, *stages.archived]
    assert len(named) == len(set(named))
    assert set(stages.line) <= set(named)
    way = [*stages.line, stages.production]
    assert all(one != other for one, other in itertools.pairwise(way))
    assert [stages.stage(version) for version in stages.staging] == ["staging"] * len(
        stages.staging
    )
    assert msgspec.json.decode(msgspec.json.encode(stages), type=Stages) == stages


@given(STEPS, st.sampled_from(VERSIONS))
def test_a_rollback_undoes_a_promotion(steps: list[tuple[str, str]], version: str) -> None:
    """After promote and rollback the same version is in production, with the same way back."""
    before = after(steps)
    if not before.production or version == before.production:
        return
    back = before.promoted("production", change(version)).rolled_back(change())
    assert (back.production, back.line) == (before.production, before.line)


def test_two_rollbacks_go_back_twice() -> None:
    """The second rollback does not return to the version that the first one left."""
    stages = promoted("1.0.0", "2.0.0", "3.0.0").rolled_back(change())
    assert (stages.production, stages.stage("3.0.0")) == ("2.0.0", "archived")
    stages = stages.rolled_back(change())
    assert (stages.production, stages.line) == ("1.0.0", ())
    assert [(each.version, each.replaced) for each in stages.history[-2:]] == [
        ("2.0.0", "3.0.0"),
        ("1.0.0", "2.0.0"),
    ]
    with pytest.raises(BadData, match="no previous production version"):
        stages.rolled_back(change())


def test_no_rollback_goes_to_an_archived_version() -> None:
    """A version archived by hand is passed over, until it is promoted again."""
    stages = promoted("1.0.0", "2.0.0", "3.0.0").archived_by(change("2.0.0"))
    assert stages.rolled_back(change()).production == "1.0.0"
    assert stages.promoted("production", change("2.0.0")).production == "2.0.0"


def returned(stages: Stages, time: str = "2026-01-01T00:00:00+00:00") -> Stages:
    """Roll back by hand."""
    return stages.rolled_back(StageChange(time, "ann", "rollback", ""))


def unattended(stages: Stages, leaving: str, time: str = "2026-01-02T00:00:00+00:00") -> Stages:
    """Roll back by a hook."""
    return stages.unattended(leaving, StageChange(time, "hook", "rollback", ""))


def test_an_unattended_rollback_leaves_the_version_that_it_is_about() -> None:
    """It does what one by hand does, and nothing if somebody was faster."""
    stages = promoted("1.0.0", "2.0.0")
    back = unattended(stages, "2.0.0")
    assert (back.production, back.line, back.history[-1].replaced) == ("1.0.0", (), "2.0.0")
    for moved in (back, stages.promoted("production", change("3.0.0"))):
        with pytest.raises(BadData, match=r"2\.0\.0 is not in production"):
            unattended(moved, "2.0.0")


def test_no_unattended_rollback_follows_a_rollback() -> None:
    """Whoever made the first: what it brought back is left by a person, or after a promotion."""
    stages = unattended(promoted("1.0.0", "2.0.0", "3.0.0"), "3.0.0")
    with pytest.raises(BadData, match="no unattended one follows another"):
        unattended(stages, "2.0.0", "2027-01-01T00:00:00+00:00")
    assert returned(stages).production == "1.0.0"
    assert unattended(promoted_onto(stages, "3.1.0"), "3.1.0").production == "2.0.0"


def test_no_unattended_rollback_goes_where_one_came_from() -> None:
    """Within 7 days no rollback goes to a version that was left by one; afterwards it may."""
    left = returned(promoted("1.0.0", "2.0.0"))
    stages = promoted_onto(promoted_onto(left, "2.0.0"), "3.0.0")
    with pytest.raises(BadData, match=r"2\.0\.0, was itself left by a rollback in the last 7 days"):
        unattended(stages, "3.0.0", "2026-01-07T23:59:59+00:00")
    later = unattended(stages, "3.0.0", "2026-01-08T00:00:00+00:00")
    assert later.production == "2.0.0"


def promoted_onto(stages: Stages, version: str) -> Stages:
    """Promote one more version."""
    return stages.promoted("production", change(version))


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("production", "2.0.0", "in production already"),
        ("staging", "2.0.0", "to take it out, promote another"),
        ("staging", "3.0.0", "in staging already"),
        ("archive", "2.0.0", "before archiving"),
    ],
)
def test_what_changes_nothing_is_refused(name: str, version: str, message: str) -> None:
    """A change that would do nothing, or leave a model without production, is an error and no entry
    of the history.
    """
    stages = promoted("1.0.0", "2.0.0").promoted("staging", change("3.0.0"))
    with pytest.raises(BadData, match=message):
        stages.archived_by(change(version)) if name == "archive" else stages.promoted(
            name, change(version)
        )  # type: ignore[arg-type]


def test_the_latest_validation_counts() -> None:
    """Of several validations on data the last one is found, and one without data is not taken for
    it.
    """

    def validation(digest: str, *, passed: bool) -> Validation:
        return Validation("m", "1.0.0", "2026-01-01", (GateResult("accuracy", passed),), digest)

    stages = Stages()
    assert stages.latest_validation("1.0.0") is None
    for each in (
        validation("a", passed=True),
        validation("b", passed=False),
        validation("", passed=True),
    ):
        stages = stages.validated(msgspec.structs.replace(change("1.0.0"), validation=each))
    latest = stages.latest_validation("1.0.0")
    assert latest is not None
    assert (latest.data_digest, latest.passed) == ("b", False)
    assert stages.latest_validation("2.0.0") is None


def test_the_history_is_bounded() -> None:
    """The oldest entries are forgotten, the stages are not."""
    stages = msgspec.structs.replace(promoted("1.0.0"), history=(change("0.1.0"),) * MAX_HISTORY)
    stages = stages.promoted("production", change("2.0.0"))
    assert (len(stages.history), stages.history[-1].version, stages.line) == (
        MAX_HISTORY,
        "2.0.0",
        ("1.0.0",),
    )
