"""What a Tornado POST costs when it does nothing: the least that a gateway's could take."""

import asyncio
import sys

import uvloop
from tornado.web import Application, RequestHandler


class Nothing(RequestHandler):
    def post(self) -> None:
        self.set_status(201)
        self.finish({"seq": 0})


async def serve(port: int) -> None:
    """On loopback, without a log, until it is killed."""
    Application([("/", Nothing)], log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
