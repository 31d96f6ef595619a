"""A TCP proxy that misbehaves when a test asks it to."""

import socket
import threading
import time


class Proxy:
    """Passes TCP connections on to a server on this machine; can refuse, delay or cut short its answers."""

    def __init__(self, server_port: int) -> None:
        self.delay_s = 0.0
        self.truncated_answers = 0
        self._server_port = server_port
        self._open: list[socket.socket] = []
        self.port = 0
        self.up()

    def up(self) -> None:
        """Listen, always on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections and end those that are open."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._open += [client, server]
            if listener.fileno() == -1:  # meanwhile `down` may have closed those that it knew
                client.close()
                server.close()
                return
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink, client), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if sink is client:
                    time.sleep(self.delay_s)
                    if self.truncated_answers:
                        self.truncated_answers -= 1
                        sink.sendall(data[:-5])
                        break
                sink.sendall(data)
            for end in (source, sink):
                end.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # either end has gone
