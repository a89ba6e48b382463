"""``/api/admin/accounts``: the accounts of a school, for the role admin."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from gateway.account_desk import MOST_AT_ONCE, Entry
from gateway.domain.message import timestamp
from gateway.domain.new_account import NewAccount
from gateway.domain.roster import MOST_BYTES, MOST_CHARACTERS
from gateway.domain.shown_account import ShownAccount
from gateway.http.body import Body
from gateway.http.handlers.admin import AdminHandler
from gateway.http.names import user_in_path


class AccountsQuery(Body):
    """The query of a page of accounts; its values come as text. ``after``: the user whose account
    was the last one of the page before."""

    search: Annotated[str, Field(max_length=200)] = ""
    after: Annotated[str, Field(max_length=255)] | None = None
    size: Annotated[int, Field(strict=False, ge=1, le=100)] = 50


class ListOfAccounts(Body):
    """The body with a list, whose first line names its columns."""

    text: Annotated[str, Field(max_length=MOST_CHARACTERS)]


class OneAccount(Body):
    """One new account."""

    user: str
    password: str = Field(repr=False)
    roles: list[str] = Field(default_factory=list)
    name: str | None = None

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.as_new()
        return self

    def as_new(self) -> NewAccount:
        """The account. The ``ValueError`` says what is wrong."""
        return NewAccount.of(self.user, self.password, self.roles, display_name=self.name)


class NewAccounts(Body):
    """The body of an order to make accounts, as the check of a list has shown them. ``replace``:
    also those that exist."""

    accounts: Annotated[list[OneAccount], Field(min_length=1, max_length=MOST_AT_ONCE)]
    replace: bool = False

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        users = [each.as_new().user for each in self.accounts]
        if len(set(users)) < len(users):
            raise ValueError("accounts: a user is there twice")
        return self


class AdminAccountsHandler(AdminHandler):
    """The accounts: GET shows a page of them, POST makes some."""

    async def get(self) -> None:
        query = self.query(AccountsQuery)
        page = await self.services.account_desk.page(
            self.who, search=query.search.strip(), after=query.after, size=query.size
        )
        answer: dict[str, Any] = {
            "accounts": [_shown(each) for each in page.accounts],
            "matching": page.matching,
            "total": page.total,
        }
        if page.more:
            answer["next"] = page.accounts[-1].user
        self.write_json(answer)

    async def post(self) -> None:
        wanted = self.body(NewAccounts)
        made = await self.services.account_desk.make(
            self.who, [each.as_new() for each in wanted.accounts], replace=wanted.replace
        )
        self.write_json({"made": made}, status=201 if made else 200)


class AdminAccountsCheckHandler(AdminHandler):
    """A list of new accounts: POST checks it, and makes nothing."""

    @property
    def most_body(self) -> int:
        return MOST_BYTES

    async def post(self) -> None:
        entries = await self.services.account_desk.check(
            self.who, self.body(ListOfAccounts).text, in_turns=self.in_turns
        )
        await self.write_list("entries", entries, _entry)


class AdminAccountHandler(AdminHandler):
    """One account: DELETE removes it."""

    async def delete(self, user: str) -> None:
        await self.services.account_desk.remove(self.who, user_in_path(user))
        self.set_status(204)


class AdminPasswordHandler(AdminHandler):
    """An account's password: POST makes a new one, and shows it this once."""

    async def post(self, user: str) -> None:
        account, password = await self.services.account_desk.new_password(
            self.who, user_in_path(user)
        )
        self.write_json(
            {"user": account.user, "name": account.display_name, "password": password}, status=201
        )


def _shown(shown: ShownAccount) -> dict[str, Any]:
    until = shown.kept_out_until
    return {
        "user": shown.user,
        "name": shown.name,
        "roles": sorted(shown.roles),
        "sessions": shown.sessions,
        "kept_out_until": None if until is None else timestamp(until),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    account = entry.listed.account
    shown: dict[str, Any] = {
        "line": entry.listed.line,
        "written": entry.listed.written,
        "state": entry.state,
    }
    if account is None:
        return shown | {"why": entry.listed.why}
    return shown | {
        "user": account.user,
        "name": account.display_name,
        "roles": sorted(account.roles),
        "password": account.password,
        "generated": account.is_generated,
    }
