"""What an application has been through while a node failed. Pure."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What an application has been through. ``ends``: how its connections ended under way."""

    ends: list[str] = field(default_factory=list)
    receipted: set[str] = field(default_factory=set)
    came: set[str] = field(default_factory=set)
    failure: str = ""

    @property
    def lost(self) -> list[str]:
        """What RabbitMQ has promised to keep, and nobody got."""
        return sorted(self.receipted - self.came, key=int)

    def __str__(self) -> str:
        text = ", then ".join(self.ends) if self.ends else "the connection stays"
        return f"{text}; {len(self.lost)} of {len(self.receipted)} with a receipt lost"
