import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.identity import (
    PARTITIONS,
    delivery_id,
    event_id,
    event_of,
    partition_in,
    partition_of,
    receipt_id,
    subject_key,
)

texts = st.text(st.characters(), max_size=20)  # lone surrogates, too
accounts = st.none() | texts
TYPE = "StageChanged"


@given(texts, accounts, texts, texts, texts)
def test_every_id_of_a_source_and_account_leads_to_the_same_partition(
    source: str, account: str | None, dedupe: str, subject: str, target: str
) -> None:
    receipt = receipt_id(source, account, dedupe)
    event = event_id(receipt, TYPE, subject, TYPE, 0)
    delivery = delivery_id(event, "slack", target)
    partitions = {partition_in(identifier) for identifier in (receipt, event, delivery)}
    assert partitions == {partition_of(source, account)}
    assert event_of(delivery) == event


@given(texts, accounts, texts)
def test_ids_are_plain_and_short(source: str, account: str | None, dedupe: str) -> None:
    receipt = receipt_id(source, account, dedupe)
    event = event_id(receipt, TYPE, "a:1", TYPE, 0)
    delivery = delivery_id(event, "slack", dedupe)
    for identifier in (receipt, event, delivery, subject_key(source, account, dedupe)):
        assert len(identifier) <= 39
        assert identifier.replace("_", "").isalnum()
        assert identifier.isascii()


parts = st.tuples(texts, accounts, texts)


@given(parts, parts)
def test_different_origins_have_different_ids(
    one: tuple[str, str | None, str], other: tuple[str, str | None, str]
) -> None:
    assert (receipt_id(*one) == receipt_id(*other)) == (one == other)
    assert (subject_key(*one) == subject_key(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c", "d"), ("a", "bc", "d")),
        (("a", None, "b"), ("a", "", "b")),
        (("a", None, "b"), ("a", "-", "b")),
        (("a", "1:b", "c"), ("a", "", "1:b1:c")),
    ],
)
def test_parts_do_not_run_into_each_other(one: tuple[str, str | None, str], other: tuple[str, str | None, str]) -> None:
    assert receipt_id(*one) != receipt_id(*other)


def test_ids_stay_what_they_are() -> None:
    """Stored ids and receivers' idempotency keys depend on them."""
    receipt = receipt_id("greenhouse", None, "1")
    assert receipt == "rcp_00be70b5df3fc73d68d05a7a38"
    event = event_id(receipt, "StageChanged", "a:1", "StageChanged", 0)
    assert event == "evt_00bdb332fea52c673c35222660"
    assert delivery_id(event, "slack", "#hires") == "dlv_00bdb332fea52c673c35222660_76e2546e"
    assert subject_key("greenhouse", None, "a:1") == "e40b4a05f9c608c4782e1930"


def test_an_event_has_its_own_id_per_type_subject_and_ordinal() -> None:
    receipt = receipt_id("greenhouse", None, "1")
    identifiers = {
        event_id(receipt, event_type, subject, fact_type, ordinal)
        for event_type in ("StageChanged", "OutcomeChanged")
        for subject in ("a:1", "c:1")
        for fact_type in ("StageChanged", "OutcomeChanged")
        for ordinal in (0, 1)
    }
    assert len(identifiers) == 16


def test_a_delivery_has_its_own_id_per_sink_and_target() -> None:
    event = event_id(receipt_id("greenhouse", None, "1"), TYPE, "a:1", TYPE, 0)
    identifiers = {delivery_id(event, sink, target) for sink in ("a", "b") for target in ("a", "b")}
    assert len(identifiers) == 4


def test_accounts_spread_over_all_partitions() -> None:
    assert {partition_of("merge", str(account)) for account in range(400)} == set(range(PARTITIONS))


@pytest.mark.parametrize(
    "identifier",
    ["", "rcp", "rcp_", "rcp_05", "evt_zz" + "0" * 24, "evt_ff" + "0" * 24, "xyz_05" + "0" * 24, "05" + "0" * 24],
)
def test_what_is_no_id_is_refused(identifier: str) -> None:
    with pytest.raises(ValueError, match=r"no id|invalid literal"):
        partition_in(identifier)
