"""Metrics in Prometheus' text form. Labels are bounded: no ids, no free text.

Figures of swaps and chains are read from the engine when they are asked for, so that they cannot
drift from it; what is counted is counted here.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.model import ChainId
from gateway.telemetry.alerts import OTHER
from relayers.clock import Clock
from relayers.protocol.alerts import AlertKind
from relayers.protocol.facts import ChainView
from relayers.protocol.state import Phase, Role, Swap

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where figures are read. ``names``: the operator's names of the chains; ``quarantined``: how
    many swaps are in quarantine; ``intents``: how many are open."""

    swaps: Callable[[], Iterable[Swap]]
    views: Callable[[], Mapping[ChainId, ChainView]]
    names: Mapping[ChainId, str]
    quarantined: Callable[[], int]
    intents: Callable[[], int]
    clock: Clock
    closed: Callable[[], Iterable[str]] = tuple
    """The names of the chains that are not open."""


def chains_open(chains: Iterable[tuple[str, bool]]) -> GaugeMetricFamily:
    """Of every configured chain, by name: a chain that was never reached has no other figure."""
    opened = GaugeMetricFamily(
        "isthmus_chain_open", "0 where the chain's node was not reached yet.", labels=["chain"]
    )
    for name, is_open in chains:
        opened.add_metric([name], is_open)
    return opened


class _Live(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        sources = self._sources
        swaps = list(sources.swaps())
        clock = sources.clock()
        by_state = GaugeMetricFamily(
            "isthmus_swaps", "Swaps by role and phase.", labels=["role", "phase"]
        )
        tally = Tally((swap.role, swap.phase) for swap in swaps)
        for role in Role:
            for phase in Phase:
                by_state.add_metric([role, phase], tally[role, phase])
        yield by_state
        begun = [swap.begun for swap in swaps if not swap.ended]
        yield GaugeMetricFamily(
            "isthmus_oldest_open_swap_age_seconds",
            "Age of the oldest swap that has not ended; 0 where there is none.",
            value=max(0.0, clock - min(begun)) if begun else 0.0,
        )
        yield chains_open(
            (
                *((name, True) for name in sources.names.values()),
                *((name, False) for name in sources.closed()),
            )
        )
        height = GaugeMetricFamily(
            "isthmus_chain_head_height", "Height of the newest block known.", labels=["chain"]
        )
        final = GaugeMetricFamily(
            "isthmus_chain_final_height", "Height of the newest final block.", labels=["chain"]
        )
        lag = GaugeMetricFamily(
            "isthmus_chain_head_lag_seconds",
            "The gateway's clock less the newest block's time.",
            labels=["chain"],
        )
        frozen = GaugeMetricFamily(
            "isthmus_chain_frozen", "1 where no new lock or reveal is made.", labels=["chain"]
        )
        for chain, view in sources.views().items():
            name = [sources.names.get(chain, "unconfigured")]
            height.add_metric(name, view.head.height)
            final.add_metric(name, view.head.final_height)
            lag.add_metric(name, clock - view.head.time)
            frozen.add_metric(name, view.frozen is not None)
        yield from (height, final, lag, frozen)
        yield GaugeMetricFamily(
            "isthmus_swaps_quarantined",
            "Swaps that wait for an operator's word.",
            value=sources.quarantined(),
        )
        yield GaugeMetricFamily(
            "isthmus_intents_open", "Things that are being done.", value=sources.intents()
        )


class Metrics:
    """One gateway's registry; there may be several in one process."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Live(sources))
        self.commands = Counter(
            "isthmus_commands",
            "Commands of users, policies and peers, by outcome: done, or the refusal's code.",
            ["actor", "command", "outcome"],
            registry=self._registry,
        )
        self.alerts = Counter(
            "isthmus_alerts",
            "Alerts of swaps, by kind; docs/runbooks has a page for each.",
            ["kind"],
            registry=self._registry,
        )
        for kind in (*AlertKind, OTHER):
            # There from the start, so that the first one is seen as a rise.
            self.alerts.labels(kind)

    def text(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self._registry)
