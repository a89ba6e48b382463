"""RabbitMQ's word about its own users counts for a bounded time."""

from __future__ import annotations

import asyncio
import copy
import pickle
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from broker.feeds.reading import Source
from broker.nodes.credentials import Credentials
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from gateway.auth.rabbitmq_logins import refusal
from gateway.auth.rabbitmq_rights import AT_ONCE, OF_USER, PORTION, BrokerRights, Held
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.errors import BrokerRefused, BrokerUnavailable, GatewayError, WrongLogin
from tests import virtual_time

LIFETIME = 60.0
NEWS = ("amq.topic", "news.#")
SECRET = ("amq.topic", "secret")
PASSCODE = "open-sesame-4711"


class RabbitMQ:
    """The permissions that an administrator may change, and the questions about them."""

    def __init__(self) -> None:
        self.passcodes = {"app": PASSCODE, "other": PASSCODE}
        self.open = {NEWS}
        self.away = False
        self.asked: list[tuple[str, tuple[Source, ...]]] = []
        self.at_once = self.most_at_once = 0
        self.seconds = 0.01
        #: For each source; and after how many seconds a node is given up.
        self.seconds_of_each = 0.0
        self.most_seconds = float("inf")

    async def __call__(
        self, login: Credentials, sources: Sequence[Source]
    ) -> Mapping[Source, str | None]:
        self.asked.append((login.login, tuple(sources)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
            takes = self.seconds_of_each * len(sources)
            await asyncio.sleep(min(takes, self.most_seconds))
        finally:
            self.at_once -= 1
        if self.away or takes > self.most_seconds:
            raise BrokerUnavailable("away")
        if self.passcodes.get(login.login) != login.passcode:
            raise refusal(login.login)
        return {each: None if each in self.open else "ACCESS_REFUSED - no" for each in sources}


class Stage:
    """Rights on a clock that costs nothing."""

    def __init__(self) -> None:
        self.rabbit = RabbitMQ()
        self.tasks = Tasks()
        self.rights = BrokerRights(
            self.rabbit,
            lifetime=LIFETIME,
            ticker=Ticker(self.tasks.failures),
            tasks=self.tasks,
            rng=Random(1),  # noqa: S311 - it is to be repeatable
        )
        self.ended: list[GatewayError] = []

    def login(self, passcode: str = PASSCODE, user: str = "app") -> BrokerLogin:
        return self.rights.login(user, passcode, vhost="/", payer=f"{user} 1")

    def who(self, login: BrokerLogin | None = None) -> Identity:
        login = login or self.login()
        return Identity(login.user, frozenset(), 0.0, login=login)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    virtual_time.run(scenario)


def test_what_rabbitmq_has_said_counts_for_everybody_with_the_same_login() -> None:
    async def scenario() -> None:
        stage = Stage()
        holds = await asyncio.gather(
            *(stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append) for _ in range(5))
        )
        holds.append(await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append))
        assert stage.rabbit.asked == [("app", (NEWS,))]
        for held in holds:
            held.release()
        await stage.tasks.close()

    run(scenario())


def test_another_passcode_is_another_login() -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        with pytest.raises(WrongLogin):
            await stage.rights.hold(
                stage.who(stage.login("a guess")), *NEWS, ended=stage.ended.append
            )
        await stage.tasks.close()

    run(scenario())


def test_a_refusal_has_rabbitmqs_words_and_is_not_remembered() -> None:
    async def scenario() -> None:
        stage = Stage()
        with pytest.raises(BrokerRefused, match="ACCESS_REFUSED - no"):
            await stage.rights.hold(stage.who(), *SECRET, ended=stage.ended.append)
        stage.rabbit.open.add(SECRET)
        await stage.rights.hold(stage.who(), *SECRET, ended=stage.ended.append)
        await stage.tasks.close()

    run(scenario())


def test_a_right_that_is_taken_back_ends_within_the_lifetime() -> None:
    async def scenario() -> None:
        stage = Stage()
        both = stage.rabbit.open = {NEWS, SECRET}
        for source in both:
            await stage.rights.hold(stage.who(), *source, ended=stage.ended.append)
        stage.rabbit.open = {NEWS}
        await asyncio.sleep(LIFETIME)
        (error,) = stage.ended
        assert isinstance(error, BrokerRefused)
        await stage.tasks.close()

    run(scenario())


def test_a_right_that_somebody_else_is_refused_ends_for_those_who_have_it() -> None:
    async def scenario() -> None:
        stage = Stage()
        stage.rabbit.open.add(SECRET)
        await stage.rights.hold(stage.who(), *SECRET, ended=stage.ended.append)
        stage.rabbit.open.discard(SECRET)
        # Whoever comes when it is no longer fresh, but before RabbitMQ is asked again, asks first.
        newcomer: list[GatewayError] = []
        while not stage.ended:
            asked = len(stage.rabbit.asked)
            with suppress(BrokerRefused):
                held = await stage.rights.hold(stage.who(), *SECRET, ended=newcomer.append)
                held.release()
            if len(stage.rabbit.asked) > asked:
                break
            await asyncio.sleep(LIFETIME / 1000)
        await asyncio.sleep(2 * LIFETIME)
        (error,) = stage.ended
        assert isinstance(error, BrokerRefused)
        assert not newcomer
        await stage.tasks.close()

    run(scenario())


def test_a_right_that_is_confirmed_goes_on_for_as_long_as_it_is_held() -> None:
    async def scenario() -> None:
        stage = Stage()
        held = await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        await asyncio.sleep(10 * LIFETIME)
        assert not stage.ended
        # Twice in a lifetime, or a little more often.
        assert 19 <= len(stage.rabbit.asked) <= 28
        held.release()
        asked = len(stage.rabbit.asked)
        await asyncio.sleep(3 * LIFETIME)
        assert len(stage.rabbit.asked) <= asked + 1
        assert len(stage.rights) == 0
        await stage.tasks.close()

    run(scenario())


def test_a_login_that_rabbitmq_takes_no_longer_ends_all_its_rights() -> None:
    async def scenario() -> None:
        stage = Stage()
        login = stage.login()
        async with stage.rights.logging_in(login):
            pass
        stage.rights.hold_login(login, ended=stage.ended.append)
        await stage.rights.hold(stage.who(login), *NEWS, ended=stage.ended.append)
        other = stage.who(stage.login(user="other"))
        ended: list[GatewayError] = []
        await stage.rights.hold(other, *NEWS, ended=ended.append)
        del stage.rabbit.passcodes["app"]
        await asyncio.sleep(LIFETIME)
        assert [type(error) for error in stage.ended] == [WrongLogin, WrongLogin]
        assert not ended
        await stage.tasks.close()

    run(scenario())


def test_a_right_that_nobody_can_confirm_ends_with_its_lifetime_and_not_before() -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        stage.rabbit.away = True
        await asyncio.sleep(LIFETIME - 1)
        assert not stage.ended
        await asyncio.sleep(1.5)
        (error,) = stage.ended
        assert isinstance(error, BrokerUnavailable)
        await stage.tasks.close()

    run(scenario())


def test_an_old_answer_is_not_relied_on_for_the_rest_of_its_time() -> None:
    async def scenario() -> None:
        stage = Stage()
        held = await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        held.release()
        for seconds in (0.6, 0.95):
            await asyncio.sleep(LIFETIME * seconds)
            asked = len(stage.rabbit.asked)
            held = await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
            assert len(stage.rabbit.asked) == asked + 1
            held.release()
        login = stage.login()
        async with stage.rights.logging_in(login):
            pass
        await asyncio.sleep(LIFETIME * 0.95)
        async with stage.rights.logging_in(login) as known:
            assert not known
        stage.rights.hold_login(login, ended=stage.ended.append)
        await asyncio.sleep(LIFETIME)
        assert not stage.ended
        await stage.tasks.close()

    run(scenario())


def test_rabbitmq_may_be_away_for_a_while() -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        stage.rabbit.away = True
        await asyncio.sleep(LIFETIME * 0.8)
        stage.rabbit.away = False
        await asyncio.sleep(5 * LIFETIME)
        assert not stage.ended
        await stage.tasks.close()

    run(scenario())


def test_many_rights_of_one_login_are_confirmed_although_a_question_has_little_time() -> None:
    async def scenario() -> None:
        stage = Stage()
        stage.rabbit.seconds, stage.rabbit.seconds_of_each = 0.001, 0.01
        stage.rabbit.most_seconds = 4.0
        topics = [("amq.topic", f"order.{number}") for number in range(10 * PORTION)]
        stage.rabbit.open.update(topics)
        for topic in topics:
            await stage.rights.hold(stage.who(), *topic, ended=stage.ended.append)
        await asyncio.sleep(3 * LIFETIME)
        assert not stage.ended
        assert max(len(sources) for _, sources in stage.rabbit.asked) == PORTION
        stage.rabbit.open.discard(topics[-1])
        await asyncio.sleep(LIFETIME)
        assert [type(error) for error in stage.ended] == [BrokerRefused]
        await stage.tasks.close()

    run(scenario())


def test_a_question_that_hangs_does_not_keep_a_right() -> None:
    async def scenario() -> None:
        stage = Stage()
        await stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        stage.rabbit.seconds = 10 * LIFETIME
        await asyncio.sleep(LIFETIME + 1)
        (error,) = stage.ended
        assert isinstance(error, BrokerUnavailable)
        await stage.tasks.close()

    run(scenario())


def test_only_a_few_questions_are_asked_at_once() -> None:
    async def scenario() -> None:
        stage = Stage()
        users = [f"user {number}" for number in range(3 * AT_ONCE)]
        stage.rabbit.passcodes |= dict.fromkeys(users, PASSCODE)
        await asyncio.gather(
            *(
                stage.rights.hold(
                    stage.who(stage.login(user=user)), *NEWS, ended=stage.ended.append
                )
                for user in users
            )
        )
        assert stage.rabbit.most_at_once == AT_ONCE
        await stage.tasks.close()

    run(scenario())


def test_the_topics_of_one_login_are_asked_about_together() -> None:
    async def scenario() -> None:
        stage = Stage()
        topics = [("amq.topic", f"order.{number}") for number in range(PORTION + 10)]
        stage.rabbit.open.update(topics[1:])
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(stage.rights.hold(stage.who(), *topic, ended=stage.ended.append) for topic in topics),
            return_exceptions=True,
        )
        assert [type(each) for each in answers[:2]] == [BrokerRefused, Held]
        assert {type(each) for each in answers[1:]} == {Held}
        # In the turn of the loop in which the first ones come, none has begun.
        assert [len(sources) for _, sources in stage.rabbit.asked] == [PORTION, 10]
        assert stage.rabbit.most_at_once == OF_USER
        assert asyncio.get_running_loop().time() - began < 2 * stage.rabbit.seconds
        await stage.tasks.close()

    run(scenario())


def test_what_is_asked_while_a_login_has_all_its_turns_waits_for_one_question() -> None:
    async def scenario() -> None:
        stage = Stage()
        topics = [("amq.topic", f"order.{number}") for number in range(20)]
        stage.rabbit.open.update(topics)
        holds = []
        for topic in topics:
            holds.append(
                asyncio.ensure_future(
                    stage.rights.hold(stage.who(), *topic, ended=stage.ended.append)
                )
            )
            await virtual_time.settle()
        await asyncio.gather(*holds)
        assert [len(sources) for _, sources in stage.rabbit.asked] == [1, 1, 18]
        assert stage.rabbit.most_at_once == OF_USER
        await stage.tasks.close()

    run(scenario())


def test_all_who_are_asked_about_together_hear_that_the_login_is_wrong() -> None:
    async def scenario() -> None:
        stage = Stage()
        guess = stage.login("a guess")
        answers = await asyncio.gather(
            *(
                stage.rights.hold(stage.who(guess), "amq.topic", key, ended=stage.ended.append)
                for key in "abc"
            ),
            return_exceptions=True,
        )
        assert [type(each) for each in answers] == [WrongLogin] * 3
        assert len(stage.rabbit.asked) == 1
        stage.rabbit.passcodes["app"] = "a guess"
        stage.rabbit.open.add(("amq.topic", "a"))
        await stage.rights.hold(stage.who(guess), "amq.topic", "a", ended=stage.ended.append)
        await stage.tasks.close()

    run(scenario())


def test_a_caller_who_leaves_does_not_end_the_question_of_others() -> None:
    async def scenario() -> None:
        stage = Stage()
        first, second = (
            asyncio.ensure_future(stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append))
            for _ in range(2)
        )
        await virtual_time.settle()
        first.cancel()
        await second
        assert len(stage.rabbit.asked) == 1
        await stage.tasks.close()

    run(scenario())


def test_a_passcode_that_is_forgotten_while_it_waits_for_its_turn_is_asked_with_all_the_same() -> (
    None
):
    async def scenario() -> None:
        stage = Stage()
        gone = stage.login()
        asking = asyncio.ensure_future(
            stage.rights.hold(stage.who(gone), *NEWS, ended=stage.ended.append)
        )
        waiting = asyncio.ensure_future(
            stage.rights.hold(stage.who(), *NEWS, ended=stage.ended.append)
        )
        await asyncio.sleep(0)
        gone.forget()
        await asyncio.gather(asking, waiting)
        await stage.tasks.close()

    run(scenario())


def test_nobody_is_asked_about_with_the_passcode_of_one_who_has_gone() -> None:
    async def scenario() -> None:
        stage = Stage()
        gone = [stage.login() for _ in range(50)]
        for login in (*gone, stage.login()):
            await stage.rights.hold(stage.who(login), *NEWS, ended=stage.ended.append)
        for login in gone:
            login.forget()
        await asyncio.sleep(3 * LIFETIME)
        assert not stage.ended
        await stage.tasks.close()

    run(scenario())


def test_those_who_log_in_with_one_name_do_so_one_after_the_other() -> None:
    async def scenario() -> None:
        stage = Stage()
        inside = most = tries = 0

        async def log_in(passcode: str) -> bool:
            nonlocal inside, most, tries
            async with stage.rights.logging_in(stage.login(passcode)) as known:
                if known:
                    return True
                inside, tries = inside + 1, tries + 1
                most = max(most, inside)
                await asyncio.sleep(0.1)
                inside -= 1
                if passcode != PASSCODE:
                    raise refusal("app")
                return False

        guesses = [log_in(f"guess {number}") for number in range(5)]
        rights = [log_in(PASSCODE) for _ in range(5)]
        results = await asyncio.gather(*guesses, *rights, return_exceptions=True)
        assert most == 1
        assert [type(each) for each in results[:5]] == [WrongLogin] * 5
        assert results[5:] == [False, True, True, True, True]
        assert tries == 6
        assert len(stage.rights) == 1
        await stage.tasks.close()

    run(scenario())


def test_a_wrong_login_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        stage = Stage()
        with pytest.raises(WrongLogin):
            async with stage.rights.logging_in(stage.login("wrong")):
                raise refusal("app")
        assert len(stage.rights) == 0
        await stage.tasks.close()

    run(scenario())


def test_a_login_shows_its_passcode_nowhere() -> None:
    login = BrokerLogin("app", PASSCODE, vhost="/", mark=b"", payer="app 1")
    who = Identity("app", frozenset(), 0.0, login=login)
    try:
        raise BrokerRefused(f"{who} {login!r} {login.credentials}")
    except BrokerRefused:
        shown = traceback.format_exc()
    assert PASSCODE not in shown
    assert not hasattr(login, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(login)
    with pytest.raises(TypeError):
        copy.deepcopy(who)


def test_a_forgotten_passcode_is_overwritten() -> None:
    login = BrokerLogin("app", PASSCODE, vhost="/", mark=b"", payer="app 1")
    assert login.credentials.passcode == PASSCODE
    login.forget()
    login.forget()
    assert login.credentials.passcode == ""
