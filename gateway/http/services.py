"""The services of the handlers, made once by the composition root."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from broker.timing.readings import UnixTime
from broker.topology import Topology
from gateway.account_desk import AccountDesk
from gateway.admin import Admin
from gateway.auth.accounts import Accounts
from gateway.auth.credentials import Credentials
from gateway.auth.origins import Origins
from gateway.auth.revocations import Revocations
from gateway.auth.sessions import Sessions
from gateway.budget.budgets import Budgets
from gateway.class_codes import ClassCodes
from gateway.drain import Drain
from gateway.http.open_answers import OpenAnswers
from gateway.limits import LiveLimits
from gateway.logins import Logins
from gateway.messages.approvals import Approvals
from gateway.messages.history_reads import HistoryReads
from gateway.messages.intake import Intake
from gateway.messages.state_reads import StateReads
from gateway.observe.events import Events
from gateway.observe.metrics import Metrics
from gateway.reports.erasures import Erasures
from gateway.reports.exports import Exports
from gateway.rooms import Rooms
from gateway.rosters import Rosters
from gateway.store import Account


@dataclass(slots=True, kw_only=True)
class HandlerServices:
    """The services of the handlers."""

    account_desk: AccountDesk
    accounts: Accounts[Account]
    admin: Admin
    answers: OpenAnswers
    approvals: Approvals
    budgets: Budgets
    clock: UnixTime
    codes: ClassCodes
    credentials: Credentials
    drain: Drain
    erasures: Erasures
    events: Events
    exports: Exports
    history: HistoryReads
    intake: Intake
    limits: LiveLimits
    logins: Logins
    metrics: Metrics
    origins: Origins
    revocations: Revocations
    rooms: Rooms
    rosters: Rosters
    sessions: Sessions
    state: StateReads
    topology: Topology
    trusted_proxies: Container[str]
