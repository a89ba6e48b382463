"""The cost of a Tornado POST that does nothing: a lower bound for a gateway's."""

import asyncio
import sys

import uvloop
from tornado.web import Application, RequestHandler


class Nothing(RequestHandler):
    """A handler that answers every POST at once."""

    def post(self) -> None:
        self.set_status(201)
        self.finish({"seq": 0})


async def serve(port: int) -> None:
    """Serve on loopback, without a log, until the process is killed."""
    Application([("/", Nothing)], log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
