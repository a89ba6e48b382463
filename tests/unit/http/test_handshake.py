"""The upgrade is refused wherever RFC 6455 refuses it."""

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from gateway.errors import GatewayError, Invalid, UpgradeNeeded
from gateway.http.handshake import accept

#: RFC 6455, section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def request(version: str = "HTTP/1.1", **changes: str) -> HTTPServerRequest:
    headers = HTTPHeaders(GOOD)
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value
    line = RequestStartLine("GET", "/ws", version)
    return HTTPServerRequest(start_line=line, headers=headers)


def test_the_rfcs_example_is_answered_as_the_rfc_does() -> None:
    assert accept(request()) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_the_highest_stomp_on_offer_is_chosen_whatever_the_order() -> None:
    head = accept(request(Sec_WebSocket_Protocol="v10.stomp, v12.stomp,v11.stomp"))
    assert b"\r\nSec-WebSocket-Protocol: v12.stomp\r\n" in head


def test_several_offers_in_several_headers_are_one_list() -> None:
    several = request(Sec_WebSocket_Protocol="mqtt")
    several.headers.add("Sec-WebSocket-Protocol", "v11.stomp")
    assert b"Sec-WebSocket-Protocol: v11.stomp\r\n" in accept(several)


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (request("HTTP/1.0"), UpgradeNeeded, "wss://"),
        (request(Upgrade="h2c"), UpgradeNeeded, "wss://"),
        (request(Connection="keep-alive"), UpgradeNeeded, "wss://"),
        (request(Sec_WebSocket_Version="8"), UpgradeNeeded, "13"),
        (request(Sec_WebSocket_Key=""), Invalid, "16 bytes"),
        (request(Sec_WebSocket_Key="AAAA"), Invalid, "16 bytes"),
        (request(Sec_WebSocket_Key="not base64 at all!!!!!!!"), Invalid, "16 bytes"),
        (request(Sec_WebSocket_Key=KEY + "é"), Invalid, "16 bytes"),
        (request(Sec_WebSocket_Protocol="mqtt"), Invalid, "v12.stomp"),
    ],
)
def test_all_else_is_refused_with_what_would_be_right(
    bad: HTTPServerRequest, error: type[GatewayError], text: str
) -> None:
    with pytest.raises(error, match=text):
        accept(bad)
