"""What the benchmark of durability says of the times it took."""

from __future__ import annotations

import pytest

from bench.durability import Arrivals, Finding, again_findings, bare_findings, bridge_findings, cold_findings


def found(findings: list[Finding], words: str) -> Finding:
    (one,) = [finding for finding in findings if words in finding.what]
    return one


def test_the_share_of_sending_is_what_a_conversation_takes_of_which_as_many_are_sent() -> None:
    """Medians in seconds: 10 stored 0.010 passed and 0.008 worked, 400 stored 0.013 and 0.011, 100,000 stored 0.015 and 0.012."""
    times = {
        10: [(0.010, 0.008), (9.0, 9.0), (0.001, 0.001)],
        400: [(0.013, 0.011)] * 3,
        100_000: [(0.015, 0.012)] * 3,
    }
    findings = bridge_findings(times, {10: 11, 400: 399, 100_000: 399}, 100_000)
    assert found(findings, "10 messages stored, 11 sent").value == pytest.approx(10.0)
    ratio = found(findings, "ratio of 100000 stored to 10")
    assert ratio.value == pytest.approx(1.5)
    assert ratio.over
    assert found(findings, "ratio of 100000 stored to 400").value == pytest.approx(15 / 13)
    assert not found(findings, "ratio of 100000 stored to 400").over
    assert found(findings, "sending more takes").value == pytest.approx(75.0)


def test_cold_and_warm_are_told_apart_and_only_the_row_of_before_has_the_limit() -> None:
    few, most = [(0.010, 0.008)] * 3, [(0.015, 0.012)] * 3
    cold = cold_findings(few, most, 100_000)
    assert found(cold, "100000 messages stored").value == pytest.approx(15.0)
    assert found(cold, "ratio, cold").value == pytest.approx(1.5)
    again = again_findings(most, few, 100_000, 13)
    assert found(again, "12 messages stored, 13 sent").value == pytest.approx(10.0)
    assert found(again, "ratio, warm to warm").value == pytest.approx(1.5)
    bare = bare_findings(few, most, (11, 399))
    assert found(bare, "request of 399 messages").value == pytest.approx(15.0)
    assert found(bare, "more than with 11").value == pytest.approx(5.0)
    assert [one for one in (*cold, *again, *bare) if one.limit is not None] == []


def test_a_moment_that_was_told_is_known_with_the_work_until_then() -> None:
    arrivals = Arrivals()
    first, second = arrivals(), arrivals()
    assert arrivals.worked(first) <= arrivals.worked(second)
