"""`scripts/soak`: the set-up of `scripts/run` for hours, its node killed now and then."""

import signal
import sys
import time
from contextlib import ExitStack

from devenv import command_lines, rabbitmq
from devenv.cluster import Cluster
from devenv.session_folder import session_folder
from tests.chaos import report
from tests.chaos.performance import Cast
from tests.chaos.run import RUN, keep_logs, perform, say
from tests.chaos.schedule import kills


def main() -> int:
    """0 when no rule was broken."""
    arguments = command_lines.soak().parse_args()
    every = 60 * arguments.kill_every
    faults = kills(60 * arguments.minutes, every)
    for number, fault in enumerate(faults):
        print(f"{number:4} {fault}")
    if arguments.dry_run:
        return 0
    rabbitmq.choose(arguments.rabbitmq)
    rabbitmq.ensure(say)
    # An ordinary end for whoever stops us, so that the servers end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = (arguments.output or RUN / f"soak-{time.time():.0f}").absolute()
    folder.mkdir(parents=True)
    cast = Cast(
        arguments.rooms,
        arguments.subscribers,
        arguments.rate,
        begin=every,
        speakers=True,
        sockets=arguments.sockets,
    )
    with ExitStack() as stack:
        servers = stack.enter_context(session_folder(RUN))
        cluster = Cluster(servers / "cluster", 1, progress=say)
        stack.callback(cluster.destroy)
        # Before the cluster's files go.
        stack.callback(keep_logs, cluster, folder)
        cluster.destroy()
        cluster.start()
        verdict = perform(faults, cast, cluster, None, folder, seed=arguments.seed, gateways=1)
    text = report.text(verdict)
    (folder / "report.txt").write_text(text)
    print(f"{text}\n{folder}")
    return bool(verdict.violations)


if __name__ == "__main__":
    sys.exit(main())
