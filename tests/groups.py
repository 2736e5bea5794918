"""Which tests go to one worker together, where several run the suite (``pytest -n 2``).

A group is the tests of a file, in their order, so that what a file sets up for all its tests is set
up once. Files that share a network that is dear to start are one group; a few tests that take
minutes and share nothing are groups of their own. The longest groups begin first, so that the
workers end together.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

SHARED = {
    "adapters/fabric/test_conformance_real.py": "real fabric",
    "adapters/fabric/test_driver_real.py": "real fabric",
    "adapters/fabric/test_claim_obstacles.py": "real fabric",
    "adapters/fabric/devnet/": "fabric devnet",
    "networks/test_fabric_endorsement.py": "networks: fabric",
    "networks/test_fabric_faults.py": "networks: fabric",
}
"""Files, or folders, whose tests share a network, and the group that they make."""

APART = (
    "e2e/test_kill_at_every_write.py",
    "networks/test_killed_in_a_swap.py",
    "networks/test_many_swaps.py",
)
"""Files each of whose tests is a group."""

LONGEST = {
    "e2e/test_kill_at_every_write.py": 300,
    "real fabric": 250,
    "adapters/ethereum/test_conformance.py": 170,
    "adapters/ethereum/test_contracts.py": 160,
    "fabric devnet": 150,
    "adapters/fabric/test_conformance_devnet.py": 110,
    "gateway/cli/test_devnet.py": 100,
    "gateway/cli/test_swaps.py": 100,
    "e2e/": 90,
    "adapters/native/test_node.py": 80,
    "gateway/cli/test_tutorial.py": 80,
    "gateway/cli/test_at_rest.py": 70,
    "adapters/native/": 60,
    "gateway/": 60,
    "simulation/": 60,
    "relayers/protocol/": 60,
    "adapters/ethereum/": 40,
    "networks/test_many_swaps.py": 300,
    "networks/test_native_cometbft.py": 200,
    "networks/test_native_faults.py": 180,
    "networks/test_ethereum_geth.py": 160,
    "networks/test_killed_in_a_swap.py": 120,
    "networks/test_ethereum_faults.py": 110,
    "networks/test_nodes_that_refuse_in_a_swap.py": 100,
    "networks/test_devnet_real.py": 95,
    "networks/test_native_": 90,
    "networks: fabric": 80,
    "networks/test_fabric_": 50,
    "networks/test_ethereum_reorgs.py": 95,
    "networks": 20,
}
"""Seconds that groups take, by the start of a group's name. Only their order is of matter."""


def group_of(nodeid: str) -> str:
    path = nodeid.partition("::")[0].removeprefix("tests/")
    if path in APART:
        return nodeid.removeprefix("tests/")
    return next((group for start, group in SHARED.items() if path.startswith(start)), path)


def seconds_of(group: str) -> int:
    return next((taken for start, taken in LONGEST.items() if group.startswith(start)), 0)


class GroupScheduling(LoadScopeScheduling):
    """Gives whole groups to workers, in the order in which the tests were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def schedule(self) -> None:
        # Its own order puts the group with most tests first, however long they take.
        self.config.option.loadscopereorder = False
        super().schedule()
