import http.server
import socket
import threading
import time

import pytest

from lrtool.loggers import addresses
from lrtool.loggers.addresses import check_server


@pytest.fixture
def port():
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_any_answer_will_do():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        check_server(f"http://127.0.0.1:{server.server_port}/health")  # it says 501


def test_a_server_that_hangs_is_away(port, monkeypatch):
    monkeypatch.setattr(addresses, "_PATIENCE", 0.2)
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="is away"):
        check_server(f"http://127.0.0.1:{port}")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("url", ["http://no.such.host.invalid:5000", "http://127.0.0.1:1", "http://", "nonsense"])
def test_what_is_not_there_is_away(url):
    with pytest.raises(ConnectionError, match=r"is away|no web server"):
        check_server(url)
