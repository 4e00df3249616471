"""For pytest alone: mypy wants a name of its own for every module."""

from fault_fixtures import *  # noqa: F403
