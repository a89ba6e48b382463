"""Origins as people write them, in the form that browsers send."""

import pytest

from gateway.domain.origin import canonical


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://school.example", "https://school.example"),
        ("HTTPS://School.Example", "https://school.example"),
        ("https://school.example:443", "https://school.example"),
        ("http://school.example:80", "http://school.example"),
        ("http://school.example:443", "http://school.example:443"),
        ("https://학교.example", "https://xn--9d0b527e.example"),
        ("https://학교.example:8443", "https://xn--9d0b527e.example:8443"),
        ("https://SCHULE-Größe.example", "https://xn--schule-gre-e4a9y.example"),
        ("https://bücher。example", "https://xn--bcher-kva.example"),
        ("https://xn--9d0b527e.example", "https://xn--9d0b527e.example"),
        ("https://_x.☕.example", "https://_x.xn--53h.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0::1]", "http://[::1]"),
        ("http://192.0.2.1", "http://192.0.2.1"),
    ],
)
def test_an_origin_is_compared_as_browsers_send_it(written: str, sent: str) -> None:
    assert canonical(written) == sent
    assert canonical(sent) == sent


@pytest.mark.parametrize(
    "written",
    [
        "",
        "*",
        "null",
        "school.example",
        "https://",
        "https://school.example/",
        "https://school.example?",
        "https://school.example#",
        "https://school.example:",
        "https://school.example:port",
        "https://school.example:65536",
        "https://teacher@school.example",
        "ftp://school.example",
        "wss://school.example",
        "https://[::1",
        "https://[no-address]",
        "https://\ufffd.example",
    ],
)
def test_a_text_that_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(written)
