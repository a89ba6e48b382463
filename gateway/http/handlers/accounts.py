"""``/api/admin/accounts``: the accounts of a school, for the role admin."""

from __future__ import annotations

from typing import Annotated, NotRequired, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from gateway.account_desk import MOST_AT_ONCE, Entry, State
from gateway.domain.message import timestamp
from gateway.domain.new_account import NewAccount
from gateway.domain.roster import MOST_BYTES, MOST_CHARACTERS
from gateway.domain.shown_account import ShownAccount
from gateway.errors import LoginsWait, NoCapacity, UnknownAccount
from gateway.http.body import Body
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment
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


class ShownLocalAccount(TypedDict):
    """A local account. ``sessions``: how many there are now."""

    user: str
    name: str | None
    roles: list[str]
    sessions: int
    kept_out_until: Moment | None


class ShownAccounts(TypedDict):
    """A page of accounts. ``next``: ask again with this as ``after``."""

    accounts: list[ShownLocalAccount]
    matching: int
    total: int
    next: NotRequired[str]


class MadeAccounts(TypedDict):
    """The users whose accounts were made."""

    made: list[str]


class ListedAccount(TypedDict):
    """A line of a list, and what it makes. ``why``: what is wrong with it."""

    line: int
    written: str
    state: State
    why: NotRequired[str | None]
    user: NotRequired[str]
    name: NotRequired[str | None]
    roles: NotRequired[list[str]]
    password: NotRequired[str]
    generated: NotRequired[bool]


class ListedAccounts(TypedDict):
    """The lines of a list."""

    entries: list[ListedAccount]


class ShownPassword(TypedDict):
    """A new password, which is shown this once."""

    user: str
    name: str | None
    password: str


class AdminAccountsHandler(AdminHandler):
    """The accounts: GET shows a page of them, POST makes some."""

    @Operation(
        "List accounts",
        who=Who.ADMIN,
        query=AccountsQuery,
        answers={200: Answer("A page.", ShownAccounts)},
    )
    async def get(self) -> None:
        query = self.query(AccountsQuery)
        page = await self.services.account_desk.page(
            self.who, search=query.search.strip(), after=query.after, size=query.size
        )
        answer: ShownAccounts = {
            "accounts": [_shown(each) for each in page.accounts],
            "matching": page.matching,
            "total": page.total,
        }
        if page.more:
            answer["next"] = page.accounts[-1].user
        self.write_json(answer)

    @Operation(
        "Make accounts",
        who=Who.ADMIN,
        body=NewAccounts,
        answers={
            201: Answer("Made.", MadeAccounts),
            200: Answer("There was none to make.", MadeAccounts),
        },
        refuses=(LoginsWait, NoCapacity),
    )
    async def post(self) -> None:
        wanted = self.body(NewAccounts)
        made = await self.services.account_desk.make(
            self.who, [each.as_new() for each in wanted.accounts], replace=wanted.replace
        )
        self.write_json(MadeAccounts(made=made), status=201 if made else 200)


class AdminAccountsCheckHandler(AdminHandler):
    """A list of new accounts: POST checks it, and makes nothing."""

    @property
    def most_body(self) -> int:
        return MOST_BYTES

    @Operation(
        "Check a list of new accounts, and make nothing",
        who=Who.ADMIN,
        body=ListOfAccounts,
        answers={200: Answer("Each line.", ListedAccounts)},
    )
    async def post(self) -> None:
        entries = await self.services.account_desk.check(
            self.who, self.body(ListOfAccounts).text, in_turns=self.in_turns
        )
        await self.write_list("entries", entries, _entry)


class AdminAccountHandler(AdminHandler):
    """One account: DELETE removes it."""

    @Operation(
        "Remove an account",
        who=Who.ADMIN,
        answers={204: Answer("Removed.")},
        refuses=(UnknownAccount,),
    )
    async def delete(self, user: str) -> None:
        await self.services.account_desk.remove(self.who, user_in_path(user))
        self.set_status(204)


class AdminPasswordHandler(AdminHandler):
    """An account's password: POST makes a new one, and shows it this once."""

    @Operation(
        "Give an account a new password",
        who=Who.ADMIN,
        answers={201: Answer("The password.", ShownPassword)},
        refuses=(UnknownAccount,),
    )
    async def post(self, user: str) -> None:
        account, password = await self.services.account_desk.new_password(
            self.who, user_in_path(user)
        )
        self.write_json(
            {"user": account.user, "name": account.display_name, "password": password}, status=201
        )


def _shown(shown: ShownAccount) -> ShownLocalAccount:
    until = shown.kept_out_until
    return {
        "user": shown.user,
        "name": shown.name,
        "roles": sorted(shown.roles),
        "sessions": shown.sessions,
        "kept_out_until": None if until is None else timestamp(until),
    }


def _entry(entry: Entry) -> ListedAccount:
    account = entry.listed.account
    shown: ListedAccount = {
        "line": entry.listed.line,
        "written": entry.listed.written,
        "state": entry.state,
    }
    if account is None:
        return {**shown, "why": entry.listed.why}
    return {
        **shown,
        "user": account.user,
        "name": account.display_name,
        "roles": sorted(account.roles),
        "password": account.password,
        "generated": account.is_generated,
    }
