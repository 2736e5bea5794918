"""Promises about what ``submit`` raises: its callers act by the class of an error alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from adapters.conformance.bench import Bench, bench_on, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import (
    AccountId,
    Action,
    AssetId,
    ChainId,
    InvalidValue,
    Lock,
    LockState,
    LockTerms,
)
from adapters.spi import (
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    Scheme,
    Signer,
    SigningFailed,
)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A key that is there and cannot be used now; ``scheme`` may be another than the key's."""

    scheme: Scheme
    public_key: bytes

    async def sign(self, digest: bytes) -> bytes:
        raise SigningFailed("the conformance suite keeps this key sealed")


def _sealed(signer: Signer, scheme: Scheme | None = None) -> Signer:
    return _Sealed(scheme or signer.scheme, signer.public_key)


def _elsewhere(terms: LockTerms) -> LockTerms:
    """The same lock on a chain that is not this one."""
    chain = ChainId(terms.chain.namespace, "0")
    return replace(
        terms,
        chain=chain,
        sender=AccountId(chain, terms.sender.address),
        recipient=AccountId(chain, terms.recipient.address),
        asset=AssetId(chain, terms.asset.namespace, terms.asset.reference),
    )


async def _raises(
    bench: Bench, action: Action, credential: Credential, *errors: type[Exception]
) -> None:
    names = " or ".join(error.__name__ for error in errors)
    try:
        await bench.submit(action, credential)
    except errors as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what callers await
        pytest.fail(f"submit raised {type(error).__name__}, not {names}: {error}")
    else:
        pytest.fail(f"submit took it; it should have raised {names}")
    assert said, "an error says why"


async def test_a_key_that_cannot_sign_now_sends_nothing(harness: Harness) -> None:
    """It may sign again later: safe to try again."""
    async with bench_on(harness) as bench:
        terms = await bench.terms(new_preimage())
        sealed = replace(bench.sender, signer=_sealed(bench.sender.signer))
        await _raises(bench, Lock(terms), sealed, NotSent)
        record = await bench.adapter.lookup(bench.adapter.lock_id(terms))
        assert record.state is LockState.ABSENT


async def test_a_lock_of_another_chain_is_refused(harness: Harness) -> None:
    """For good, and at the call: it could never be made here."""
    async with bench_on(harness) as bench:
        before = await bench.holdings(bench.asset)
        terms = _elsewhere(await bench.terms(new_preimage()))
        await _raises(bench, Lock(terms), bench.sender, Rejected, InvalidValue)
        await bench.moved(before)


async def test_a_credential_that_the_chain_cannot_use_is_refused(harness: Harness) -> None:
    """An account of another chain, and a key of a scheme in which nothing is signed here."""
    async with bench_on(harness) as bench:
        before = await bench.holdings(bench.asset)
        terms = await bench.terms(new_preimage())
        signer = bench.sender.signer
        (other,) = [scheme for scheme in Scheme if scheme is not signer.scheme]
        foreign = replace(bench.sender, account=_elsewhere(terms).sender)
        await _raises(bench, Lock(terms), foreign, Rejected, Misconfigured, InvalidValue)
        # What is checked last may be whether the key signs at all.
        strange = replace(bench.sender, signer=_sealed(signer, other))
        await _raises(bench, Lock(terms), strange, Rejected, Misconfigured, NotSent)
        await bench.moved(before)
