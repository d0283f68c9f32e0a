"""A gate before a web process. While it is shut, nobody reaches the process, unknown to it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Gate:
    """Forwards connections to the host and port of `target` while it is open."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = parts.hostname or "127.0.0.1", parts.port or 80
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open, self._pairs = True, set[socket.socket]()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def open(self) -> None:
        self._open = True

    def shut(self) -> None:
        """Turn away new connections and cut the open ones."""
        self._open = False
        for each in list(self._pairs):
            _close(each)

    def close(self) -> None:
        self.shut()
        _close(self._listening)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._open:
                    threading.Thread(target=self._forward, args=(client,), daemon=True).start()
                else:
                    _close(client)

    def _forward(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _close(client)
            return
        self._pairs |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        self._pairs -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _close(source)
        _close(sink)


@contextmanager
def a_gate(target: str) -> Iterator[Gate]:
    gate = Gate(target)
    try:
        yield gate
    finally:
        gate.close()


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
