import asyncio

import pytest

from gateway.errors import Invalid
from gateway.store import Account, Store

HANNA = Account("hanna", "$argon2id$hash", frozenset({"host", "admin"}))
PAUL = Account("폴 🎓", "$argon2id$other", frozenset())


@pytest.mark.gen_test
async def test_accounts_come_and_go(store: Store) -> None:
    assert await store.account("hanna") is None
    await store.put_account(PAUL)
    await store.put_account(HANNA)
    assert await store.account("hanna") == HANNA
    assert await store.accounts() == [HANNA, PAUL]
    assert await store.remove_account("hanna")
    assert not await store.remove_account("hanna")
    assert await store.accounts() == [PAUL]


@pytest.mark.gen_test
async def test_putting_again_replaces_hash_and_roles(store: Store) -> None:
    await store.put_account(HANNA)
    changed = Account("hanna", "$argon2id$new", frozenset({"host"}))
    await store.put_account(changed)
    assert await store.accounts() == [changed]


@pytest.mark.gen_test
async def test_two_gateways_put_one_account_at_once(store: Store, other_gateway: Store) -> None:
    await asyncio.gather(*(one.put_account(HANNA) for one in (store, other_gateway) * 5))
    assert await store.accounts() == [HANNA]


@pytest.mark.gen_test
async def test_a_name_that_nobody_can_have_is_nobody(store: Store) -> None:
    await store.put_account(HANNA)
    for user in ("", "x" * 256, "a\0b", "\ud800", "' OR 1=1 --"):
        assert await store.account(user) is None
        assert not await store.remove_account(user)
    assert await store.accounts() == [HANNA]


@pytest.mark.gen_test
async def test_an_account_that_cannot_be_stored_is_invalid(store: Store) -> None:
    for user in ("", "x" * 256, "a\0b", "\ud800"):
        with pytest.raises(Invalid, match="user"):
            await store.put_account(Account(user, "hash", frozenset()))


def test_the_password_hash_is_in_no_repr() -> None:
    assert "argon2" not in repr(HANNA)
