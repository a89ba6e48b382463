"""The choice of a content coding by a request's ``Accept-Encoding`` (RFC 9110, section 12.5.3).
Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

#: A coding and its weight; section 12.4.2.
_OFFER: Final = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.IGNORECASE,
)
#: Offers that are read of a header; browsers send four.
_MOST: Final = 20


def choose(accepted: str | None, available: Sequence[str]) -> str | None:
    """The coding of ``available`` (best first) that the client likes most; None: none, because the
    client takes none or likes the content as it is better.

    Of equal weights the best coding counts. What cannot be read says nothing. A client that refuses
    everything gets the content as it is.
    """
    if not accepted:
        return None
    weights: dict[str, float] = {}
    for part in accepted.split(",", _MOST)[:_MOST]:
        if (offer := _OFFER.fullmatch(part)) is not None:
            name, weight = offer.groups()
            weights.setdefault(name.lower(), 1.0 if weight is None else float(weight))
    rest = weights.get("*", 0.0)
    as_it_is = weights.get("identity", 0.0)
    liked = {coding: weights.get(coding, rest) for coding in available}
    best = max(available, key=lambda coding: liked[coding], default=None)
    return None if best is None or not liked[best] or liked[best] < as_it_is else best
