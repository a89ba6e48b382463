"""Each listener hears what concerns it."""

from broker.stomp import Frame
from gateway.live.switchboard import Switchboard

MESSAGE = Frame("MESSAGE")


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def standing(self, feed: int, key: str) -> None:
        self.heard.append(f"{key} stands on {feed}")

    def arrived(self, feed: int, key: str, message: Frame) -> None:
        self.heard.append(f"{message.command} {key} by {feed}")

    def lost(self, feed: int) -> None:
        self.heard.append(f"{feed} is lost")


def test_a_key_is_its_own_listener_s_and_a_loss_everybody_s() -> None:
    bus, hub = Listener(), Listener()
    board = Switchboard({"t.gateways": bus}, otherwise=hub)
    board.standing(0, "t.gateways")
    board.standing(1, "t.public.42")
    board.arrived(1, "t.gateways", MESSAGE)
    board.arrived(0, "t.public.42", MESSAGE)
    board.lost(1)
    assert bus.heard == ["t.gateways stands on 0", "MESSAGE t.gateways by 1", "1 is lost"]
    assert hub.heard == ["t.public.42 stands on 1", "MESSAGE t.public.42 by 0", "1 is lost"]
