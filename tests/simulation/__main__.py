"""``python -m tests.simulation --seed N -v`` plays one seed again, exactly, and tells it."""

from __future__ import annotations

import argparse
import logging
import sys

from tests.simulation.plan import plan_of
from tests.simulation.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what happened when")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    plan = plan_of(options.seed)
    verdict = simulate(plan, verbose=options.verbose)
    lines = [str(plan), *verdict.log, f"ends: {verdict.ends}", f"alerts: {verdict.alerts}"]
    lines += [f"FAILED: {failure}" for failure in verdict.failures] or ["all invariants hold"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
