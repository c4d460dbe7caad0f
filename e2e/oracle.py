"""What the clients sent, added up by themselves: the truth of the crash test, which shares no code with the product.

Each client has groups of its own and one request in flight, so that after a crash at most one request of each is
unknown: sent, but not answered. It may be there or not, but only as a whole.

    client            product
      | -- request --> |     unknown from the first byte sent
      | <--- 200 ----- |     acked: there, once
      |    -- x --     |     unknown until the next look, which settles it: a dead connection sends nothing later
"""
import http.client
import random
import threading
import time

from lib import OTLP_HTTP
from otlp import JSON, PROTOBUF, Span, as_json, as_protobuf, partial_success_bytes

GROUPS = 5


class Client:
    """Sends random batches as fast as they are acked, until it is told to stop or the server is gone."""

    def __init__(self, name, seed, service):
        self.service, self.draw = service, random.Random(seed)
        self.acked = {f"{name}-g{i}": 0 for i in range(GROUPS)}
        self.unknown = {}  # of the one request without an answer
        self.landed = False  # whether the last unknown request was there
        self.requests = 0
        self.wrong = []  # answers that no crash explains

    def start(self, server):
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._send, args=(server.port(OTLP_HTTP),), daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def _send(self, port):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.connect()
        except OSError:
            return  # nothing was sent
        while not self.stopping.is_set():
            counts = {}
            for group in self.draw.sample(sorted(self.acked), self.draw.randint(1, 3)):
                counts[group] = self.draw.choice((1, 1, 2, 7, 50))
            body, content_type = self._encode(counts)
            self.unknown = counts
            try:
                connection.request("POST", "/v1/traces", body, {"Content-Type": content_type})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                return  # its fate is unknown
            self.requests += 1
            if answer.status != 200:
                self.wrong.append(f"{answer.status} {content[:200]!r}")
                return
            if content_type == PROTOBUF and partial_success_bytes(content) != (0, ""):
                self.wrong.append(f"rejected spans: {content!r}")
            for group, count in counts.items():
                self.acked[group] += count
            self.unknown = {}

    def _encode(self, counts):
        """Most spans end now; some ended a while ago, in a window that is closed already."""
        end_ns = time.time_ns()
        batch = []
        for group, count in counts.items():
            for _ in range(count):
                late = self.draw.choice((0, 0, 0, 0, 0, 0, 0, self.draw.randrange(15_000_000_000)))
                batch.append(Span(self.service, group, end_ns - late, self.draw.randrange(1, 3_000_000_000)))
        return (as_json(batch), JSON) if self.draw.random() < 0.3 else (as_protobuf(batch), PROTOBUF)

    def settle(self, found):
        """Compares with what the product answers; from here on the unknown request is known. Returns what is wrong."""
        without = dict(self.acked)
        including = {group: count + self.unknown.get(group, 0) for group, count in self.acked.items()}
        seen = {group: int(found.get(group, 0)) for group in self.acked}
        wrong = []
        if seen not in (without, including):
            bad = [g for g in seen if seen[g] not in (without[g], including[g])] or sorted(self.unknown)
            wrong = [f"{g}: acked {without[g]}, at most {including[g]}, found {seen[g]}" for g in bad]
        self.landed = bool(self.unknown) and seen == including
        self.acked, self.unknown = seen, {}  # a wrong sum is told once
        return wrong
