"""The factory for the way of messages: intake, pipeline, and reading the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.publishing.publication import ConfirmedPublisher
from gateway.auth.assembly import Auth
from gateway.domain.message import Message
from gateway.foundation import Foundation
from gateway.messages.approvals import Approvals, WaitingStore
from gateway.messages.history_reads import HistoryReads, ReadableHistory
from gateway.messages.intake import Intake
from gateway.messages.outbox import Outbox
from gateway.messages.pipeline import Pipeline
from gateway.messages.ports import MessageStore
from gateway.messages.state_reads import ReadableState, StateReads
from gateway.observe.posts import Posts


class Store(MessageStore, ReadableHistory, ReadableState, WaitingStore, Protocol):
    """The history, the kept state and what waits for approval, written and read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The parts that every message passes, and those that read it again."""

    approvals: Approvals
    history: HistoryReads
    state: StateReads
    intake: Intake
    pipeline: Pipeline
    posts: Posts


def messages(
    made_with: Foundation,
    *,
    store: Store,
    auth: Auth,
    outbox: Outbox,
    publisher: ConfirmedPublisher,
    stored: Sequence[Callable[[Sequence[Message]], None]],
) -> Messages:
    """Make the parts. ``stored``: called with every message that is new in the history."""
    f = made_with

    def tell_all(new: Sequence[Message]) -> None:
        for tell in stored:
            tell(new)

    posts = Posts(clock=f.clock.unix)
    pipeline = Pipeline(
        store,
        outbox,
        publisher,
        f.topology,
        budgets=f.budgets,
        limits=f.limits,
        confirm_timeout=f.config.broker.confirm_timeout,
        stored=tell_all,
        posts=posts,
        tasks=f.tasks.part(),
    )
    history = HistoryReads(store, auth.permissions, budgets=f.budgets, limits=f.limits)
    return Messages(
        approvals=Approvals(
            store,
            pipeline,
            auth.permissions,
            history.turns,
            budgets=f.budgets,
            clock=f.clock.utc,
        ),
        history=history,
        state=StateReads(store, auth.permissions, budgets=f.budgets, limits=f.limits),
        intake=Intake(
            pipeline,
            auth.permissions,
            budgets=f.budgets,
            host_types=f.config.messages.host_types,
            participant_keys=f.config.rooms.participant_keys,
            clock=f.clock.utc,
        ),
        pipeline=pipeline,
        posts=posts,
    )
