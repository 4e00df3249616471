"""The findings of `seclink doctor`: what was checked, what was observed, and how to fix it.

A check changes and creates nothing. The groups of checks:

    configuration   the TOML, and settings that are valid but doubtful together
    files           permissions and owners
    database        integrity, schema version, free space, and its clock
    machine         versions, limits, swap, clock, the cost of checking a passcode here
    address         the public URL from outside: name, certificate, proxy, pages
"""

from msgspec import Struct

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(Struct, frozen=True, rename={"group": "part", "subject": "looked", "observation": "said"}):
    """`level` is ok, warning or problem. `subject` and `observation` make a sentence. `fix` is a command, a line of
    TOML or an instruction, and empty if the level is ok. The names in JSON are those of earlier releases.
    """

    level: str
    group: str
    subject: str
    observation: str
    fix: str = ""


RUN_AS_OWNER = "run this command as the service's user, or as root"


class CheckGroup(Struct, frozen=True):
    """Creates the findings of one group."""

    name: str

    def ok(self, subject: str, observation: str) -> Finding:
        return Finding(OK, self.name, subject, observation)

    def warning(self, subject: str, observation: str, fix: str) -> Finding:
        return Finding(WARNING, self.name, subject, observation, fix)

    def problem(self, subject: str, observation: str, fix: str) -> Finding:
        return Finding(PROBLEM, self.name, subject, observation, fix)
