"""What could be wrong with an appliance, looked at one by one: each look says what it looked at, what it saw, and where
that is not as it should be, what to do. Nothing is changed by looking, and nothing is made.

    configuration   the TOML, and settings that are right by themselves and doubtful together
    files           who may read and change what
    database        whole, of this release, with room to grow, and the clock it goes by
    machine         versions, limits, swap, clock, the cost of a passcode here
    address         the public URL from outside: name, certificate, what stands between, what pages arrive
"""

from msgspec import Struct

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(Struct, frozen=True):
    """`level` is ok, warning or problem; `fix` a command or a line of TOML, empty where nothing is to be done."""

    level: str
    part: str
    looked: str
    said: str
    fix: str = ""


OTHERS_FIX = "run this as the service's user, or as root"


class CheckGroup(Struct, frozen=True):
    """Makes the findings of a part."""

    name: str

    def ok(self, looked: str, said: str) -> Finding:
        return Finding(OK, self.name, looked, said)

    def warning(self, looked: str, said: str, fix: str) -> Finding:
        return Finding(WARNING, self.name, looked, said, fix)

    def problem(self, looked: str, said: str, fix: str) -> Finding:
        return Finding(PROBLEM, self.name, looked, said, fix)
