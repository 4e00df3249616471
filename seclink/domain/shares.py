"""Shares of something scarce: how much of it one client may hold at a time, so that the rest stays for others.

An IPv6 /48 is one customer with 65,536 networks of a /64, and so has a limit of its own. Anonymous clients together
leave a quarter to the holders of API keys.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from seclink.errors import Busy
from seclink.model import Actor

CLIENT_PARTS, SUBNET_PARTS = 8, 4  # one client may hold an eighth, its /48 a quarter
MIN_SHARE = 4
ALL, ANONYMOUS = "all", "anonymous"


class Holder(Struct, frozen=True, kw_only=True):
    """One client: an address range with its subnet, or an account."""

    client: str
    subnet: str | None = None
    is_anonymous: bool = True


def holder_of(actor: Actor) -> Holder:
    """Return the holder that an actor's work is counted for."""
    if actor.key is None:
        return Holder(client=actor.client, subnet=actor.subnet)
    return account_holder(actor.key.account)


def account_holder(account: str) -> Holder:
    return Holder(client=f"account {account}", is_anonymous=False)


class Shares:
    """`capacity` units, of which `in_use` are held; one client may hold one of `client_parts`."""

    def __init__(self, capacity: int, client_parts: int = CLIENT_PARTS) -> None:
        self._held: Counter[str] = Counter()
        self._client_parts = client_parts
        self.reconfigure(capacity)

    def reconfigure(self, capacity: int) -> None:
        """Set the capacity. What is held above a lower one is not taken away."""
        self.capacity = capacity
        self._max_by_client = max(MIN_SHARE, capacity // self._client_parts)
        self._max_by_subnet = max(MIN_SHARE, capacity // SUBNET_PARTS)
        self._max_anonymous = max(MIN_SHARE, capacity - capacity // 4)

    @property
    def in_use(self) -> int:
        return self._held[ALL]

    def fits(self, holder: Holder, amount: int = 1, *, is_urgent: bool = False) -> bool:
        """Return whether the holder may take `amount`; an urgent taker is bounded by its own shares alone.

        A holder without anything may take more than its share at once, if there is room: a single piece of work can be
        larger than an eighth.
        """
        amounts = self._held
        if amounts[holder.client] and amounts[holder.client] + amount > self._max_by_client:
            return False
        if (
            holder.subnet is not None
            and amounts[holder.subnet]
            and amounts[holder.subnet] + amount > self._max_by_subnet
        ):
            return False
        if is_urgent:
            return True
        if holder.is_anonymous and amounts[ANONYMOUS] + amount > self._max_anonymous:
            return False
        return amounts[ALL] + amount <= self.capacity

    def take(self, holder: Holder, amount: int = 1, *, is_urgent: bool = False) -> bool:
        """Add `amount` to what the holder has, if that fits; return whether it did."""
        if not self.fits(holder, amount, is_urgent=is_urgent):
            return False
        self.add(holder, amount)
        return True

    @contextmanager
    def hold(self, holder: Holder, message: str, amount: int = 1) -> Iterator[None]:
        """Hold `amount` for as long as the work takes. Raise Busy with the message if that does not fit."""
        if not self.take(holder, amount):
            raise Busy(message)
        try:
            yield
        finally:
            self.add(holder, -amount)

    def add(self, holder: Holder, amount: int) -> None:
        """Count `amount`, negative to give it back, whether it fits or not."""
        names = [holder.client, ALL]
        if holder.subnet is not None:
            names.append(holder.subnet)
        if holder.is_anonymous:
            names.append(ANONYMOUS)
        for name in names:
            self._held[name] += amount
            if not self._held[name]:
                del self._held[name]
