"""The whole suite, to be imported in one line; see the package's docstring for how."""

from adapters.conformance.abandonment import *  # noqa: F403
from adapters.conformance.identity import *  # noqa: F403
from adapters.conformance.ledger import *  # noqa: F403
from adapters.conformance.refusals import *  # noqa: F403
from adapters.conformance.robustness import *  # noqa: F403
from adapters.conformance.secrecy import *  # noqa: F403
from adapters.conformance.settlement import *  # noqa: F403
from adapters.conformance.streams import *  # noqa: F403
from adapters.conformance.submission_errors import *  # noqa: F403
