"""Which organisation's power over a policy is objected to."""

from __future__ import annotations

import pytest

from adapters.fabric.endorsement import _judge
from adapters.fabric.policy import OutOf, Rule, SignedBy

A, B, C = (SignedBy(name) for name in "ABC")


@pytest.mark.parametrize(
    ("rule", "parties", "own", "vetoes", "alone"),
    [
        (OutOf(2, (A, B, C)), "AB", "A", "", ""),
        # the third organisation is no party, as far as can be seen
        (OutOf(2, (C, OutOf(1, (A, B)))), "AB", "A", "C", ""),
        (OutOf(1, (C, OutOf(2, (A, B)))), "AB", "A", "", "C"),
        # the own veto is the own affair; sufficing alone is nobody's
        (OutOf(2, (C, OutOf(1, (A, B)))), "AB", "C", "", ""),
        (OutOf(1, (C, OutOf(2, (A, B)))), "AB", "C", "", "C"),
        # but not where the own organisation is a party: the other could not trust it
        (OutOf(2, (A, OutOf(1, (B, C)))), "AB", "A", "A", ""),
        (OutOf(0, ()), "AB", "A", "", "AB"),
    ],
)
def test_any_organisation_but_the_own_is_judged(
    rule: Rule, parties: str, own: str, vetoes: str, alone: str
) -> None:
    said = _judge("the policy", rule, parties, own, vetoes=True)
    for name in "ABC":
        assert any(f"without {name}," in one for one in said) == (name in vetoes)
        assert any(f"by {name} alone" in one for one in said) == (name in alone)
    assert len(said) == len(vetoes) + len(alone)
    without = _judge("the policy", rule, parties, own, vetoes=False)
    assert len(without) == len(alone)
