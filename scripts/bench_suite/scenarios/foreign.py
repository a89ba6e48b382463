"""A topic of an application that knows no rooms: its pages have logins of RabbitMQ's own users, and
a plain AMQP producer publishes."""

from bench_suite.foreign import Foreign
from bench_suite.run import Run
from bench_suite.scenarios import fanout

FIGURES = fanout.FIGURES


def measure(run: Run) -> None:
    """What `fanout` measures."""
    with Foreign(run) as source:
        clients = run.door.subscribers(run.scale.clients, source.topic)
        fanout.measure_topic(run, source, source.logged_in(clients))
