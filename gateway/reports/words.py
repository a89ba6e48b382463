"""The words of reports, in the languages of the pages. Every language has the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "en": {
            "room": "Room {number}",
            "printed": "Printed {time}",
            "zone": "All times are in {zone}.",
            "opened": "Begun",
            "closed": "Closed",
            "attendance": "Attendance",
            "polls": "Polls",
            "questions": "Questions",
            "messages": "Messages",
            "talk": "What was said to everyone",
            "nothing": "Nothing.",
            "no": "No.",
            "user": "User",
            "name": "Name",
            "who": "Who",
            "role": "Role",
            "host": "Host",
            "participant": "Participant",
            "came": "Came ({zone})",
            "left": "Left ({zone})",
            "minutes": "Minutes",
            "note": "Note",
            "hidden": "hidden by a host",
            "here": "still here",
            "cut off": "last seen then",
            "question": "Question",
            "asked at": "Asked ({zone})",
            "option": "Choice",
            "votes": "Answers",
            "right": "right",
            "answer": "Answer",
            "answered by": "Answered by",
            "answered at": "Answered ({zone})",
            "late": "after the end",
            "state": "State",
            "open": "open",
            "done": "done",
            "answered": "answered",
            "audience": "For",
            "public": "everyone",
            "private": "hosts",
            "seq": "Number",
            "said at": "Time ({zone})",
            "type": "Type",
            "text": "Text",
        },
        "ko": {
            "room": "방 {number}",
            "printed": "{time} 출력",
            "zone": "모든 시각은 {zone} 기준입니다.",
            "opened": "시작",
            "closed": "종료",
            "attendance": "출석",
            "polls": "투표",
            "questions": "질문",
            "messages": "메시지",
            "talk": "전체 대화",
            "nothing": "없음",
            "no": "번호",
            "user": "사용자",
            "name": "이름",
            "who": "누가",
            "role": "역할",
            "host": "진행자",
            "participant": "참가자",
            "came": "들어온 시각 ({zone})",
            "left": "나간 시각 ({zone})",
            "minutes": "머문 시간(분)",
            "note": "비고",
            "hidden": "진행자가 숨김",
            "here": "참여 중",
            "cut off": "마지막 확인 시각",
            "question": "질문",
            "asked at": "질문한 시각 ({zone})",
            "option": "선택지",
            "votes": "응답 수",
            "right": "정답",
            "answer": "답변",
            "answered by": "답변한 사람",
            "answered at": "답변한 시각 ({zone})",
            "late": "마감 후",
            "state": "상태",
            "open": "대기",
            "done": "처리됨",
            "answered": "답변함",
            "audience": "대상",
            "public": "전체",
            "private": "진행자",
            "seq": "순번",
            "said at": "시각 ({zone})",
            "type": "유형",
            "text": "내용",
        },
    }
)


def language_of(accepted: str) -> str:
    """The language of the words, by the header ``Accept-Language`` (RFC 9110, section 12.5.4): the
    first one that there is, whatever its weight, as browsers list them in their order."""
    for range_ in accepted.split(","):
        tag = range_.partition(";")[0].strip().lower().partition("-")[0]
        if tag in WORDS:
            return tag
    return "en"
