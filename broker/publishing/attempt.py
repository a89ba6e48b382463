"""One thing asked of the broker: within its time, on a link that stands, or it fails by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.publishing.amqp_errors import AMQP_ERRORS, describe
from broker.publishing.confirming import Confirming
from broker.publishing.link import Link, LinkFailed
from broker.publishing.links import Links


class Attempt:
    """Ends when its time is over, or at once when the link that it has found is lost."""

    def __init__(self, links: Links, deadline: asyncio.Timeout) -> None:
        self.link: Link | None = None
        self._links = links
        self._deadline = deadline

    async def find(self, key: str) -> Link:
        """The link for this routing key, as soon as there is one that can be published on.

        Without a turn of the loop if there is one now. Raises
        :data:`broker.publishing.amqp_errors.AMQP_ERRORS`.
        """
        while (link := self._links.place(key)) is None:
            await self._links.changed()
        if link is not self.link:
            self.release()
            self.link = link
            link.ends(self._deadline)
        await link.ready()
        return link

    async def channel(self, key: str) -> tuple[Link, Confirming]:
        """Where the stream with this routing key belongs now; as :meth:`find`."""
        link = await self.find(key)
        home = self._links.home(key) == link.node.name
        return link, await link.channels.take(key, home=home)

    def release(self) -> None:
        if self.link is not None:
            self.link.spares(self._deadline)


@asynccontextmanager
async def attempting(
    links: Links, seconds: float, *, failure: type[Exception]
) -> AsyncIterator[Attempt]:
    """Whatever goes wrong in the block, and the end of its time, is a ``failure`` that says why."""
    attempt = None
    try:
        async with asyncio.timeout(seconds) as deadline:
            attempt = Attempt(links, deadline)
            yield attempt
    except TimeoutError:
        link = None if attempt is None else attempt.link
        if link is not None and link.lost is not None:
            raise failure(f"{link.node.name}: {link.lost}") from None
        raise failure(links.problem or f"no answer within {seconds:g} s") from None
    except (LinkFailed, *AMQP_ERRORS) as error:
        raise failure(describe(error)) from error
    finally:
        if attempt is not None:
            attempt.release()
