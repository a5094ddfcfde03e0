"""How many uses pass in any window of time: exact sliding windows behind one small interface.

A fixed window ("60 in each calendar minute") lets 120 pass around the turn of the minute. Here a use passes only when
the N-th last one that passed is older than the window, wherever the window is laid.
"""

import time
from collections import deque
from typing import NamedTuple, Protocol

from mlsecops.serving.errors import Unavailable


class Limit(NamedTuple):
    """At most ``count`` uses in any ``seconds``; ``name`` keeps limits apart ("key", "address", …)."""

    name: str
    count: int
    seconds: float


class Limiter(Protocol):
    """What the service needs of a limiter, whatever stores the uses."""

    async def take(self, *wanted: tuple[Limit, str]) -> float:
        """Take one use of every (limit, who). Returns 0.0, or the seconds to wait; whoever waits used nothing up."""


class MemoryLimiter:
    """Limits of one process, driven by ``clock()`` (seconds). Not for use from several threads."""

    def __init__(self, clock=time.time):
        self._clock = clock
        self._passed: dict[Limit, dict[str, deque[float]]] = {}
        self._sweep_at = 10_000

    async def take(self, *wanted):
        """See `Limiter`. All or nothing: no use is noted unless every limit has room."""
        now = self._clock()
        windows = []
        for limit, who in wanted:
            people = self._passed.setdefault(limit, {})
            window = people.get(who)
            if window is None:
                if len(people) >= self._sweep_at:
                    self._sweep(limit, now)
                window = people[who] = deque(maxlen=limit.count)  # remembers as many as can matter, no more
            elif len(window) == limit.count and (wait := window[0] + limit.seconds - now) > 0:
                return wait
            windows.append(window)
        for window in windows:
            window.append(now)
        return 0.0

    def _sweep(self, limit, now):
        """Forget everybody whose last use has left the window: addresses are cheap, memory is not."""
        people = self._passed[limit]
        for who in [who for who, window in people.items() if not window or window[-1] + limit.seconds <= now]:
            del people[who]
        self._sweep_at = max(10_000, 2 * len(people))


class SharedLimiter:
    """Limits shared by all workers, kept by the `limits` library; ``address`` such as redis://host:6379.

    The library reads the wall clock itself. One round trip per limit when the request passes, one more to learn the
    wait when it does not. A storage that does not answer raises Unavailable: no limits, no service.
    """

    def __init__(self, address):
        from limits.aio.strategies import MovingWindowRateLimiter
        from limits.storage import storage_from_string

        options = {"implementation": "redispy", "socket_timeout": 2} if address.startswith("redis") else {}
        self._windows = MovingWindowRateLimiter(
            storage_from_string(f"async+{address}", wrap_exceptions=True, **options)
        )

    async def take(self, *wanted):
        """See `Limiter`. Limits are taken in the order given, the narrowest first; the first refusal ends it."""
        from limits import RateLimitItemPerSecond
        from limits.errors import StorageError

        try:
            for limit, who in wanted:
                item = RateLimitItemPerSecond(limit.count, int(limit.seconds), namespace=f"salary:{limit.name}")
                if not await self._windows.hit(item, who):
                    reset = (await self._windows.get_window_stats(item, who)).reset_time
                    return max(reset - time.time(), 1.0)
        except StorageError as error:
            raise Unavailable("limit storage") from error
        return 0.0


class Unlimited:
    """Lets everything pass: what the control is measured against."""

    async def take(self, *wanted):
        """See `Limiter`."""
        return 0.0
