"""The view of a picture: language, colour scheme and size."""

from dataclasses import dataclass

LOCALES = {"en": "en-GB", "ko": "ko-KR"}
SCHEMES = ("light", "dark")
#: By name: width and height in CSS pixels.
SIZES = {"phone": (360, 740), "wide": (1280, 800)}


@dataclass(frozen=True)
class View:
    """Language, colour scheme and size of a picture."""

    language: str
    scheme: str
    size: str

    @property
    def suffix(self) -> str:
        return f"{SIZES[self.size][0]}-{self.scheme}-{self.language}"
