"""The first frame that needs the broker, of one client after the other: how long its answer takes.

The clients have a login of RabbitMQ's own; at a gateway others have a role that a rule opens
everything to. What is measured is CONNECT and the first frame together, where the frame follows
CONNECTED at once, and the frame alone, where it comes from afar.
"""

from collections.abc import Callable, Mapping
from itertools import count as numbers
from statistics import median
from typing import Any, Final

from bench_suite.first_frame import Visit
from bench_suite.foreign import Foreign
from bench_suite.load import LoadFailed
from bench_suite.result import Figure
from bench_suite.run import Run

#: Seconds that a frame takes from afar.
_AWAY: Final = 0.03
_VISITS, _VISITS_WHEN_QUICK = 30, 3
_ROLE: Final = "service"

FIGURES = (
    Figure("login", "login of RabbitMQ: CONNECT to RECEIPT ms", "less", 1),
    Figure("login_afar", "from 30 ms away, SUBSCRIBE to RECEIPT: ms", "less", 1),
    Figure("rule", "role with a rule: ms", digits=1),
    Figure("rule_afar", "from 30 ms away: ms", digits=1),
)
#: What the role may do.
TABLES: Final[Mapping[str, Any]] = {
    "access": [{"roles": [_ROLE], "subscribe": ["**"], "send": ["**"]}]
}


def measure(run: Run) -> None:
    """Measure the median of the waits."""
    with Foreign(run) as source:
        client = source.logged_in(run.door.clients(1))[0]
        _measure(run, "login", lambda: (client.login, client.passcode))
    gateway, names = run.gateway, numbers()

    def member() -> tuple[str, str]:
        # One user may open few relays in a short time.
        name = f"member{next(names)}"
        return name, gateway.token(name, _ROLE) if gateway else ""

    if gateway is not None:
        _measure(run, "rule", member)


def _measure(run: Run, name: str, who: Callable[[], tuple[str, str]]) -> None:
    run.row.values[name] = _median(run, name, who)[0]
    run.row.values[f"{name}_afar"] = _median(run, name, who, away=_AWAY)[1]


def _median(
    run: Run, name: str, who: Callable[[], tuple[str, str]], *, away: float = 0.0
) -> tuple[float, float]:
    """Milliseconds: what :meth:`Visit.waited` gives."""
    run.progress(f"{name}, {1000 * away:.0f} ms away: one client after the other")
    count = _VISITS_WHEN_QUICK if run.scale.quick else _VISITS
    visits = [Visit(run.door.addresses[0], *who(), away=away) for _ in range(count)]
    try:
        whole, first = zip(*(visit.waited() for visit in visits), strict=True)
    except (RuntimeError, OSError) as error:
        raise LoadFailed(f"{name}: {error}") from error
    return 1000 * median(whole), 1000 * median(first)
