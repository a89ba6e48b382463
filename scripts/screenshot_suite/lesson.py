"""A lesson for the pictures: its people and their messages, in both languages."""

from dataclasses import dataclass
from typing import Any

from screenshot_suite.stage import Stage


@dataclass(frozen=True)
class Script:
    """The script of a lesson. `said`, `asked`: user and text; `votes`: by option."""

    title: str
    other_titles: tuple[str, ...]
    teacher: str
    admin: str
    pupils: tuple[str, ...]
    said: tuple[tuple[str, str], ...]
    asked: tuple[tuple[str, str], ...]
    answer: str
    hands: tuple[str, ...]
    question: str
    options: tuple[str, ...]
    votes: tuple[int, ...]
    said_later: tuple[tuple[str, str], ...]


ENGLISH = Script(
    title="7b · Photosynthesis",
    other_titles=("7b · Fractions", "Science club", "9a · Volcanoes and earthquakes"),
    teacher="ms.taylor",
    admin="operator",
    pupils=(
        *("amelia", "ben", "chloe", "daniel", "ella", "finn", "grace", "hugo", "isla", "jack"),
        *("kaya", "leo", "maya", "noah", "olivia", "peter", "quinn", "rosa", "sam", "tara"),
    ),
    said=(
        ("ms.taylor", "Good morning! Have a look at the leaf on your desk. What do you notice?"),
        ("ben", "Mine is darker on the upper side"),
        ("chloe", "There are thin lines everywhere, like roads on a map"),
        ("ms.taylor", "Very good. Those “roads” are veins: water comes in, sugar goes out."),
    ),
    asked=(
        ("grace", "Why are leaves red in autumn? Were they red all the time?"),
        ("amelia", "Do plants breathe at night?"),
        ("leo", "Is the experiment part of Friday’s test?"),
    ),
    answer="Partly! The yellow was there all along, under the green. The red is made in autumn.",
    hands=("noah", "isla"),
    question="What does a plant take from the air to make sugar?",
    options=("Oxygen", "Carbon dioxide", "Nitrogen", "Nothing, it takes all from the soil"),
    votes=(3, 11, 1, 2),
    said_later=(
        ("daniel", "so that is why greenhouses add CO₂?"),
        ("ella", "I thought it came from the soil 😅"),
        ("ms.taylor", "Exactly, Daniel. And Ella: for two thousand years everybody thought so!"),
    ),
)

KOREAN = Script(
    title="중1 과학 · 광합성",
    other_titles=("중1 수학 · 분수의 덧셈", "과학 동아리", "중3 과학 · 화산과 지진"),
    teacher="김선생님",
    admin="관리자",
    pupils=(
        *("가은", "나윤", "도현", "라희", "민아", "보검", "서준", "아린", "준호", "채원"),
        *("태오", "하늘", "지우", "은우", "수아", "예준", "시우", "유나", "재민", "다은"),
    ),
    said=(
        ("김선생님", "안녕하세요! 책상 위에 있는 잎을 살펴보세요. 무엇이 보이나요?"),
        ("나윤", "윗면이 더 진한 초록색이에요"),
        ("도현", "지도에 있는 길처럼 가는 줄이 많아요"),
        ("김선생님", "잘 봤어요. 그 ‘길’이 잎맥이에요. 물이 들어오고 당이 나갑니다."),
    ),
    asked=(
        ("서준", "가을에는 왜 잎이 빨개져요? 원래 빨간색이 있었나요?"),
        ("가은", "식물도 밤에 숨을 쉬나요?"),
        ("채원", "오늘 실험도 금요일 시험에 나와요?"),
    ),
    answer="절반만 맞아요! 노란색은 초록색에 가려져 있었고, 빨간색은 가을에 새로 만들어집니다.",
    hands=("은우", "수아"),
    question="식물은 당을 만들 때 공기에서 무엇을 얻을까요?",
    options=("산소", "이산화탄소", "질소", "아무것도 얻지 않고 모두 흙에서 얻는다"),
    votes=(3, 11, 1, 2),
    said_later=(
        ("라희", "그래서 온실에 이산화탄소를 넣는 거예요?"),
        ("민아", "저는 흙에서 오는 줄 알았어요"),
        ("김선생님", "맞아요, 라희. 그리고 민아, 이천 년 동안 모두가 그렇게 생각했어요!"),
    ),
)

SCRIPTS = {"en": ENGLISH, "ko": KOREAN}


class Lesson:
    """A script, played in a room of the stage."""

    def __init__(self, stage: Stage, script: Script) -> None:
        self.stage = stage
        self.script = script
        self.room = 0

    def begin(self) -> None:
        """Accounts, rooms, the first words, questions and hands, a poll and its votes."""
        script = self.script
        self.stage.add_account(script.teacher, role="host")
        self.stage.add_account(script.admin, role="admin")
        self.stage.add_account(script.pupils[0])
        for title in (*script.other_titles, script.title):
            self.room = self._create(title)
        first = script.asked[0]
        for user, text in script.said[:3]:
            self._post(user, text)
        for number, (user, text) in enumerate(script.asked):
            self._keep(user, f"question:{number}", {"text": text}, type="question")
        body = {"text": script.answer, "question": "0", "quote": first[1]}
        self._post(script.teacher, body, type="answer")
        self._keep(script.teacher, "fate:0", {"question": "0", "done": True}, type="question-done")
        for user, text in script.said[3:]:
            self._post(user, text)
        for user in script.hands:
            self._keep(user, "hand", {"up": True}, type="hand")
        poll = {"question": script.question, "options": script.options}
        self._post(script.teacher, poll, type="poll", keep="poll:1")
        voting = {"until": None, "hidden": False}
        self._post(script.teacher, voting, type="voting", keep="voting:1")
        voters = iter(script.pupils)
        for option, count in enumerate(script.votes):
            for _ in range(count):
                vote = {"poll": "1", "option": option}
                self._keep(next(voters), "vote:1", vote, type="vote")
        for user, text in script.said_later:
            self._post(user, text)

    def end_poll(self) -> None:
        """End the poll, with the result for everyone."""
        script = self.script
        self._post(script.teacher, None, type="voting", keep="voting:1")
        body = {
            "poll": "1",
            "question": script.question,
            "options": script.options,
            "totals": script.votes,
        }
        self._post(script.teacher, body, type="poll-closed", keep="result:1")

    def _create(self, title: str) -> int:
        members = [{"user": user, "role": "participant"} for user in self.script.pupils]
        body = {"title": title, "members": members}
        room = self.stage.call("POST", "/api/rooms", body, user=self.script.teacher, roles=["host"])
        return int(room["id"])

    def _keep(self, user: str, key: str, body: Any, *, type: str) -> None:
        self._post(user, body, type=type, keep=key, audience="private")

    def _post(self, user: str, body: Any, **fields: str) -> str:
        path = f"/api/rooms/{self.room}/messages"
        return str(self.stage.call("POST", path, {"body": body, **fields}, user=user)["id"])
