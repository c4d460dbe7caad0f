"""The clients: programs with an SDK, and Collectors with a loop behind them. Each writes down what it sent.

`under_way` is set with each request that sets out.
"""
import http.client
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import install
import lib  # of the end-to-end walk
import otlp
import sides  # of the side-by-side run
from judge import Batch

HERE = os.path.dirname(os.path.abspath(__file__))
GROUPS = 60
DRAIN_SECONDS = 240  # a Collector may sleep for 45 s between two tries


class Sdk:
    """A program that uses an SDK. `command` is what runs it; the edge's endpoint, service and rate are added."""

    def __init__(self, name, protocol, version, command, rate, *flags, sends_again=True):
        self.name, self.protocol, self.version, self.sends_again = name, protocol, version, sends_again
        self.command, self.rate, self.flags = command, rate, flags
        self.service = f"{name}-{protocol}".replace(" ", "-")
        self.batches, self.acked_batches, self.ended = {}, 0, None
        self.process, self.under_way, self.given_up_spans = None, threading.Event(), 0

    def start(self, ports, directory):
        if self.protocol == "grpc":
            endpoint = f"http://127.0.0.1:{ports[lib.OTLP_GRPC]}"
        else:
            endpoint = f"http://127.0.0.1:{ports[lib.OTLP_HTTP]}/v1/traces"
        command = [*self.command, endpoint, self.service, str(self.rate), *self.flags]
        self.log = os.path.join(directory, f"{self.service}.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=install.environment())
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "spans" in said:
                self.batches[said["batch"]] = Batch(said["spans"])
                self.under_way.set()
            elif "batch" in said:
                batch = self.batches[said["batch"]]
                batch.acked = said["acked"]
                self.acked_batches += batch.acked
                self.given_up_spans += 0 if batch.acked else len(batch.spans)
            else:
                self.ended = said["ended"]

    def progress(self):
        assert self.process.poll() is None, f"{self.service} ended: {self.log}"
        return self.acked_batches

    def at_ease(self):
        return True  # one batch at a time, and no more in the queue than fits

    def end_load(self):
        self.process.stdin.close()

    def finish(self):
        """Lets the SDK send what it holds, and returns what it did not send at all."""
        assert self.process.wait(60) == 0, f"{self.service} failed: {self.log}"
        self.reader.join()
        return self.ended - sum(len(batch.spans) for batch in self.batches.values())

    def written(self):
        return list(self.batches.values())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Collector:
    """A Collector that stays up, and a loop that sends to it."""

    sends_again = True

    def __init__(self, protocol, version, binary, requests_a_second, spans_a_request):
        self.name, self.protocol, self.version, self.binary = "Collector", protocol, version, binary
        self.exporter = {"grpc": "otlp", "http": "otlphttp"}[protocol]
        self.service = f"collector-{protocol}"
        self.rate, self.size, self.batches = requests_a_second, spans_a_request, []
        self.process, self.refused, self.given_up_spans, self.draw = None, 0, 0, random.Random(protocol)
        self.stopping, self.under_way = threading.Event(), threading.Event()

    def start(self, ports, directory):
        self.receiver, self.metrics = sides.free_ports(2)
        config = os.path.join(directory, f"{self.service}.yaml")
        with open(config, "w") as text:
            json.dump(self._config(ports), text)  # JSON is YAML too
        self.log = os.path.join(directory, f"{self.service}.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "--config", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lib.eventually(30, self._ready)
        self.sender = threading.Thread(target=self._send, daemon=True)
        self.sender.start()

    def _config(self, ports):
        """The exporter with its defaults: of gRPC it has to be said that there is no TLS."""
        if self.exporter == "otlp":
            exporter = {"endpoint": f"127.0.0.1:{ports[lib.OTLP_GRPC]}", "tls": {"insecure": True}}
        else:
            exporter = {"endpoint": f"http://127.0.0.1:{ports[lib.OTLP_HTTP]}"}
        prometheus = {"host": "127.0.0.1", "port": self.metrics}
        return {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.receiver}"}}}},
            "exporters": {self.exporter: exporter},
            "service": {
                "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": prometheus}}}]}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [self.exporter]}},
            },
        }

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the Collector ended: {self.log}")
        return None if lib.can_bind(self.receiver) or lib.can_bind(self.metrics) else True

    def _send(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver, timeout=20)
        while not self.stopping.wait(1 / self.rate):
            batch = [self._span() for _ in range(self.size)]
            connection.request("POST", "/v1/traces", otlp.as_protobuf(batch), {"Content-Type": otlp.PROTOBUF})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                spans = [[span.name, span.status, span.end_ns, span.duration_ns] for span in batch]
                self.batches.append(Batch(spans, acked=True))
                self.under_way.set()
            else:
                self.refused += self.size

    def _span(self):
        return otlp.Span(
            self.service, f"op-{self.draw.randrange(GROUPS)}", time.time_ns(), int(10 ** self.draw.uniform(2, 10.4)),
            status=2 if self.draw.random() < 0.1 else 0)  # fmt: skip

    def count(self, metric):
        page = lib.http_request(self.metrics, "GET", "/metrics").body.decode()
        return sum(float(value) for value in re.findall(rf"^otelcol_exporter_{metric}(?:_total)?\{{.*\}} (\S+)$", page, re.M))

    def progress(self):
        assert self.process.poll() is None and self.sender.is_alive(), f"{self.service} ended: {self.log}"
        return self.count("sent_spans")

    def at_ease(self):
        return self.count("queue_size") <= self.rate

    def end_load(self):
        self.stopping.set()
        self.sender.join()

    def finish(self):
        """Lets the Collector send what it holds, and returns what it had no room for."""
        sent = sum(len(batch.spans) for batch in self.batches)
        lib.eventually(DRAIN_SECONDS, lambda: self._settled(sent), every=0.5)
        self.given_up_spans = int(self.count("send_failed_spans"))
        return int(self.count("enqueue_failed_spans")) + self.refused

    def _settled(self, sent):
        settled = self.count("sent_spans") + self.count("send_failed_spans")
        assert settled >= sent, f"{settled:.0f} of {sent} spans are settled: {self.log}"
        return True

    def written(self):
        """It does not tell which batches it gave up on: any may be there or not, then."""
        return [Batch(batch.spans) for batch in self.batches] if self.given_up_spans else self.batches

    def stop(self):
        self.stopping.set()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
