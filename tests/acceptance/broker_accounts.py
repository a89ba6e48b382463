"""Accounts and virtual hosts inside RabbitMQ, as its administrator makes them under way."""

from urllib.parse import quote

from devenv.cluster import Cluster

_EVERYTHING = ".*"


class Accounts:
    """What the administrator does. Everything is there when a call returns."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._made: dict[str, None] = {}

    def vhost(self, name: str) -> None:
        self._put(f"/api/vhosts/{quote(name, safe='')}", {})

    def user(self, name: str, password: str) -> None:
        """A user, or another password of one."""
        self._put(f"/api/users/{name}", {"password": password, "tags": ""})

    def remove(self, name: str) -> None:
        self._call("DELETE", f"/api/users/{name}")

    def permit(
        self,
        user: str,
        *,
        vhost: str = "/",
        configure: str = _EVERYTHING,
        write: str = _EVERYTHING,
        read: str = _EVERYTHING,
    ) -> None:
        path = f"/api/permissions/{quote(vhost, safe='')}/{user}"
        self._put(path, {"configure": configure, "write": write, "read": read})

    def permit_topics(self, user: str, *, read: str, exchange: str = "amq.topic") -> None:
        body = {"exchange": exchange, "write": _EVERYTHING, "read": read}
        self._put(f"/api/topic-permissions/%2F/{user}", body)

    def clean_up(self) -> None:
        for path in reversed(self._made):
            self._cluster.node(1).management("DELETE", path, self._cluster.admin)

    def _put(self, path: str, body: dict[str, str]) -> None:
        self._call("PUT", path, body)
        if path.startswith(("/api/users", "/api/vhosts")):
            self._made[path] = None

    def _call(self, method: str, path: str, body: object = None) -> None:
        answer = self._cluster.node(1).management(method, path, self._cluster.admin, body)
        assert answer is not None, f"{method} {path} was refused"
