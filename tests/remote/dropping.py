"""A way to a server that drops connections."""

import re
import socket
import threading
from contextlib import suppress


class Dropping:
    """A TCP proxy that cuts every connection once `allowed` bytes went through, for as long as it is told to.

    `asked` has the path of each GET request.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.allowed: int | None = None
        self.cuts = 0
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.asked += [path.decode() for path in re.findall(rb"^GET (\S+) HTTP", data)]
                if self.allowed is not None:
                    self.allowed -= len(data)
                    if self.allowed < 0:
                        self.cuts += 1
                        break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
