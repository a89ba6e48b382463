"""Sessions in one checkout keep apart: folders and ports."""

import socket
from pathlib import Path

from devenv import ports
from devenv.session_folder import session_folder


def test_two_sessions_at_a_time_get_two_folders(tmp_path: Path) -> None:
    with session_folder(tmp_path) as first, session_folder(tmp_path) as second:
        assert first != second


def test_a_folder_is_used_again_when_its_session_is_over(tmp_path: Path) -> None:
    with session_folder(tmp_path) as first:
        (first / "left-behind").touch()

    with session_folder(tmp_path) as again:
        assert again == first
        assert (again / "left-behind").exists()


def test_a_block_with_a_taken_port_is_not_chosen() -> None:
    base = ports.free_block()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", base + 7))
        taken.listen()

        assert not ports.is_free(base + 7)
        assert ports.free_block(preferred=base) != base

    assert ports.is_free(base + 7)
