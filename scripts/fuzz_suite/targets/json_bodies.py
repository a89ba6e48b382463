"""Bodies of requests: JSON in one reading only, then a model."""

import json

from gateway.errors import Invalid
from gateway.http import body
from gateway.http.handlers.admin import Disconnect
from gateway.http.handlers.messages import NewMessage
from gateway.http.handlers.rooms import NewRoom
from gateway.http.handlers.session import Login

_MODELS = (NewMessage, NewRoom, Login, Disconnect)

SEEDS = (
    b'{"user":"mina","password":"secret"}',
    b'{"body":{"text":"\\ud83d\\ude00"},"id":"7d444840-9dc0-11d1-b245-5ffdce74fad2","type":"chat"}',
    b'{"title":"7b","members":[{"user":"mina","role":"participant"}]}',
    b'{"body":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"a":1e999,"a":NaN}',
)


def check(data: bytes) -> None:
    """No error but `Invalid`, whose text is bounded; the standard's parser reads the same."""
    try:
        value = body.parse(data)
    except Invalid as error:
        assert len(str(error)) < 1000  # bounded, whatever came
    else:
        assert json.loads(data) == value
        # It can be stored and sent.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    for model in _MODELS:
        try:
            body.read(model, data, content_type=body.MEDIA_TYPE)
        except Invalid as error:
            assert len(str(error)) < 10_000 + 10 * len(data)
