"""Each listener hears what concerns it."""

from broker.protocol.stomp import Frame
from gateway.live.hub.switchboard import Switchboard

MESSAGE = Frame("MESSAGE")


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def standing(self, feed: int, key: str) -> None:
        self.heard.append(f"{key} stands on {feed}")

    def arrived(self, feed: int, key: str, message: Frame) -> None:
        self.heard.append(f"{message.command} {key} by {feed}")

    def left_out(self, feed: int, key: str) -> None:
        self.heard.append(f"{key} leaves something out by {feed}")

    def stalled(self, feed: int) -> None:
        self.heard.append(f"{feed} is stalled")

    def resumed(self, feed: int) -> None:
        self.heard.append(f"{feed} is resumed")

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


def test_a_message_for_all_is_heard_by_all_although_one_fails() -> None:
    class Broken(Listener):
        def lost(self, feed: int) -> None:
            raise ZeroDivisionError

        stalled = resumed = lost

    echoes, hub = Broken(), Listener()
    board = Switchboard({"t.gateways": echoes}, otherwise=hub)
    board.left_out(0, "t.public.42")
    board.stalled(0)
    board.resumed(0)
    board.lost(0)
    assert hub.heard == [
        "t.public.42 leaves something out by 0",
        "0 is stalled",
        "0 is resumed",
        "0 is lost",
    ]
    assert echoes.heard == []
