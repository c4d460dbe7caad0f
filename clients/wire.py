"""A wire to a port of the edge, on which answers can be lost: what the edge says is held back until the wire is cut.

A request whose answer was lost is on disk and not acknowledged, which a kill at random hardly ever meets. While the wire
is cut nothing listens, so that clients are refused as they are by an edge that is away.
"""
import contextlib
import socket
import threading

CHUNK = 1 << 16


class Wire:
    def __init__(self, port, to_port):
        self.port, self.to_port = port, to_port
        self.passing, self.held, self.sockets = threading.Event(), threading.Event(), set()
        self.listener = None

    def mend(self):
        self.passing.set()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def hold(self):
        """From now on answers do not pass; `held` is set once there is one."""
        self.held.clear()
        self.passing.clear()

    def cut(self):
        for one in [self.listener, *self.sockets]:
            close(one)
        self.sockets.clear()
        self.passing.set()  # what was held back finds its socket closed

    def _accept(self, listener):
        with contextlib.suppress(OSError):  # cut
            while True:
                client, _ = listener.accept()
                try:
                    edge = socket.create_connection(("127.0.0.1", self.to_port))
                except OSError:
                    close(client)
                    continue
                self.sockets |= {client, edge}
                for one in (client, edge):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(client, edge, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(edge, client, True), daemon=True).start()

    def _pass(self, source, sink, answers):
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                if answers and not self.passing.is_set():
                    self.held.set()
                    self.passing.wait()
                sink.sendall(chunk)
        if answers:
            self.passing.wait()
        close(source)
        close(sink)


def close(one):
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
