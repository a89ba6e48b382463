"""All gateways together: one asks the others over the bus and merges their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from broker.nodes.balancer import UnknownNode as NodeIsUnknown
from gateway.admin.connections import Connections, Page, Query, Sort, merge
from gateway.admin.history import Sample
from gateway.admin.orders import AdminAction, Order, Orders
from gateway.admin.overview import Overview
from gateway.cluster.bus import Bus
from gateway.errors import UnknownGateway, UnknownNode
from gateway.observe.events import Events, Kind

#: Seconds that the others have to answer: less than the ticker's second.
_WITHIN: Final = 0.8
#: The same for an admin's order, whose result is worth waiting for.
_DONE_WITHIN: Final = 3.0

_STATE: Final = "admin.state"
_PAST: Final = "admin.past"
_PAGE: Final = "admin.connections"
_ORDER: Final = "admin.order"
_DRAINED: Final = "admin.drained"


@dataclass(frozen=True, slots=True)
class Done:
    """The result of an order: for each gateway the number of ended connections, or 1 for a node or
    a gateway.

    ``missing``: the gateways that may or may not have carried it out, and why that is not known.
    """

    done: Mapping[str, int]
    missing: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Gateways:
    """All gateways, asked by this one. It also answers the questions of other gateways'
    dashboards."""

    def __init__(
        self,
        bus: Bus,
        *,
        overview: Overview,
        connections: Connections,
        orders: Orders,
        events: Events,
    ) -> None:
        self._bus = bus
        self._overview = overview
        self._connections = connections
        self._orders = orders
        self._events = events
        self._learned = False
        self._sample = Sample(0, 0, 0, 0, None, None, 0, 0, 0)
        bus.answer(_STATE, self._answer_state)
        bus.answer(_PAST, self._answer_past)
        bus.answer(_PAGE, self._answer_page)
        bus.answer(_ORDER, self._answer_order)
        bus.answer(_DRAINED, self._answer_drained)

    def sampled(self, sample: Sample) -> None:
        """Set this second's sample, which is part of the state until the next one."""
        self._sample = sample

    async def states(self, *, after: Mapping[str, int], past: bool = False) -> dict[str, Any]:
        """Every gateway's :meth:`Overview.state`, this gateway's first, and those that did not
        answer.

        ``after``: the number of the last known event, by gateway. ``past``: with the charts' past.
        """
        asked = {"after": dict(after), "past": past}
        answers = await self._bus.ask(_STATE, asked, within=_WITHIN)
        others = [state for _, state in sorted(answers.items())]
        return {
            "own": self._bus.gateway,
            "gateways": [self._answer_state(asked), *others],
            "missing": answers.missing,
        }

    async def hours(self, hours: int) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Each gateway's samples of the last hours, this one's first, and the gateways that did not
        answer; one of an earlier version has none."""
        asked = {"hours": hours}
        answers = await self._bus.ask(_PAST, asked, within=_WITHIN)
        return {self._bus.gateway: self._answer_past(asked), **dict(answers.items())}, (
            answers.missing
        )

    async def page(self, query: Query) -> tuple[Page, Mapping[str, str]]:
        """One page of all gateways' connections, and the gateways that did not answer."""
        asked = asdict(query)
        answers = await self._bus.ask(_PAGE, asked, within=_WITHIN)
        pages = [Page(**page) for _, page in answers.items()]
        return merge([await self._connections.page(query), *pages], query), answers.missing

    async def order(self, order: Order) -> Done:
        """Have an order carried out, and note who gave it and what came of it.

        Raises :class:`UnknownNode` if no gateway knows the node, :class:`UnknownGateway`.
        """
        own, only = self._bus.gateway, order.gateway
        if only not in {None, own, *self._bus.others}:
            raise UnknownGateway(f"no gateway {only} is up")
        whom = self._bus.others if only is None else {only} - {own}
        # Before the others have answered: ending a connection must not wait for a gateway that is
        # dead.
        here = await self._carry_out(order) if only in (None, own) else None
        answers = await self._bus.ask(_ORDER, order.as_json(), within=_DONE_WITHIN, whom=whom)
        done = {name: done for name, done in sorted(answers.items()) if done is not None}
        if here is not None:
            done[own] = here
        if not done and not answers.missing:
            raise UnknownNode(f"no broker node is called {order.target}")
        results = [f"{name} {number}" for name, number in done.items()]
        results += [f"{name}: {why}" for name, why in answers.missing.items()]
        self._events.note(
            Kind.ACTION,
            order.action,
            f"{order}: {', '.join(results)}",
            user=order.target if order.action is AdminAction.END_USER else None,
            by=order.by,
            connection=order.target if order.action is AdminAction.END_CONNECTION else None,
        )
        return Done(done, answers.missing)

    async def learn_drained(self) -> None:
        """Until another gateway has answered: drain the nodes that the others have been asked to
        drain. A drain lasts as long as one gateway that knows of it is alive."""
        if self._learned or not self._bus.others:
            return
        answers = await self._bus.ask(_DRAINED, {}, within=_WITHIN)
        self._learned = bool(answers)
        drained = {node for _, nodes in answers.items() for node in nodes}
        for node in sorted(drained - set(self._answer_drained({}))):
            await self._carry_out(
                Order(action=AdminAction.DRAIN_NODE, target=node, by="the other gateways")
            )

    async def _carry_out(self, order: Order) -> int | None:
        """Carry out an order here. None: the node is not known here."""
        try:
            return await self._orders.carry_out(order)
        except NodeIsUnknown:
            return None

    def _answer_state(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        after = asked["after"].get(self._bus.gateway, 0)
        state = self._overview.state(self._sample, after=after)
        return state | {"past": self._overview.past()} if asked["past"] else state

    def _answer_past(self, asked: Mapping[str, Any]) -> list[Sample]:
        return self._overview.hours(asked["hours"])

    async def _answer_page(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        after = asked["after"]
        query = Query(
            search=asked["search"],
            sort=Sort(asked["sort"]),
            descending=asked["descending"],
            after=None if after is None else (after[0], after[1], after[2]),
            size=asked["size"],
        )
        return (await self._connections.page(query)).as_json()

    async def _answer_order(self, asked: Mapping[str, Any]) -> int | None:
        return await self._carry_out(Order.from_json(asked))

    def _answer_drained(self, _: Mapping[str, Any]) -> list[str]:
        return [state.node.name for state in self._overview.nodes() if state.draining]
