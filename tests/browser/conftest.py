"""For pytest alone: mypy wants a name of its own for every module."""

from browser_fixtures import *  # noqa: F403
