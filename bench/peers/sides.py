"""The two that are compared: how each is had, started, asked what it counted, and stopped."""
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import expected
import lib  # of the end-to-end walk: the binary under test as a process

HERE = os.path.dirname(os.path.abspath(__file__))
COLLECTOR = "0.159.0"
BOUNDS_MS = [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000]


class Tributary:
    name = "Tributary"

    def __init__(self, directory, dimensions):
        flags = []
        if dimensions:
            if "--config" not in printed([lib.default_binary(), "dev", "--help"]):
                sys.exit(f"{lib.default_binary()} has no --config: compare without DIMENSIONS, or take a newer one")
            flags = ["--config", write(directory, "tributary.yaml", {"edge": {"dimensions": dimensions}})]
        self.server = lib.Server(directory, lib.free_offset(), *flags)

    @staticmethod
    def version():
        return printed([lib.default_binary(), "--version"])

    def start(self):
        self.server.start()
        self.pid = self.server.process.pid

    def address(self, protocol):
        return f"127.0.0.1:{self.server.port(lib.OTLP_HTTP if protocol == 'http' else lib.OTLP_GRPC)}"

    def calls(self):
        return int(lib.total(self.server.query(f"sum({lib.CALLS})")))

    def counts(self):
        ask = self.server.query
        counts = expected.Counts(calls=self.calls())
        for [(_, service)], value in ask(f"sum by (service_name) ({lib.CALLS})").items():
            counts.services[service] = int(value)
        for [(_, le)], value in ask(f"sum by (le) ({lib.LATENCY})").items():
            counts.buckets[float(le)] = int(value)
        counts.sum_ms = lib.total(ask(f"sum({lib.LATENCY.replace('_bucket', '_sum')})"))
        return counts

    def syncs(self):
        """The journal's appends with their syncs so far, by upper bound in seconds, each with all below it."""
        page = lib.http_request(self.server.port(lib.SELF_METRICS), "GET", "/metrics").body.decode()
        found = re.findall(r'^tributary_edge_journal_seconds_bucket\{.*le="([^"]+)".*\} (\d+)', page, re.MULTILINE)
        return {float(bound): int(count) for bound, count in found}

    def stop(self):
        if self.server.process and self.server.process.poll() is None:
            self.server.stop()


class Collector:
    name = "Collector"

    def __init__(self, directory, dimensions):
        self.ports = dict(zip(("GRPC", "HTTP", "METRICS"), free_ports(3)))
        self.process = None
        self.log = os.path.join(directory, "otelcol.log")
        self.command = [collector_binary(), "--config", os.path.join(HERE, "otelcol.yaml")]
        # What both sides have in common is written here once and laid over the file.
        common = {
            "histogram": {"explicit": {"buckets": [f"{ms}ms" for ms in BOUNDS_MS]}},
            "dimensions": [{"name": name} for name in dimensions],
        }
        overlay = write(directory, "common.yaml", {"connectors": {"span_metrics": common}})
        self.command += ["--config", overlay]

    @staticmethod
    def version():
        found = re.search(r"spanmetricsconnector (v[0-9.]+)", printed([collector_binary(), "components"]))
        return f"OpenTelemetry Collector with span_metrics {found.group(1) if found else 'of unknown version'}"

    def start(self):
        environment = {**os.environ, **{f"PEER_{name}": f"127.0.0.1:{port}" for name, port in self.ports.items()}}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.pid = self.process.pid
        lib.eventually(30, self._ready)

    def _ready(self):
        assert self.process.poll() is None, f"the Collector ended: {open(self.log).read()[-1000:]}"
        with contextlib.suppress(OSError):
            if self._page().status == 200 and not any(map(lib.can_bind, self.ports.values())):
                return True
        return None

    def _page(self):
        return lib.http_request(self.ports["METRICS"], "GET", "/metrics", timeout=60)

    def address(self, protocol):
        return f"127.0.0.1:{self.ports['HTTP' if protocol == 'http' else 'GRPC']}"

    def calls(self):
        return self.counts().calls

    def counts(self):
        return expected.of_exposition(self._page().body.decode().splitlines())

    def syncs(self):
        return {}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def collector_binary(recipe=os.path.join(HERE, "otelcol-builder.yaml")):
    """Built once, by a recipe, and kept in the cache folder."""
    if os.environ.get("OTELCOL_BIN"):
        return os.environ["OTELCOL_BIN"]
    with open(recipe, "rb") as text:
        key = hashlib.sha256(text.read()).hexdigest()[:12]
    tools = os.path.join(os.environ["TRIBUTARY_CACHE"], "tools")
    built = os.path.join(tools, f"otelcol-{COLLECTOR}-{key}")
    if not os.path.exists(built):
        say(f"building the Collector {COLLECTOR}, once: about five minutes")
        os.makedirs(tools, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as at:
            shutil.copy(recipe, at)
            environment = {**os.environ, "GOBIN": at, "CGO_ENABLED": "0"}
            builder = f"go.opentelemetry.io/collector/cmd/builder@v{COLLECTOR}"
            for command in (["go", "install", builder], ["./builder", "--config", os.path.basename(recipe)]):
                done = subprocess.run(["nice", "-n", "10", *command], cwd=at, env=environment,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                if done.returncode:
                    sys.exit(f"{' '.join(command)} failed:\n{done.stdout.decode(errors='replace')[-4000:]}")
            os.replace(os.path.join(at, "out", "otelcol-peer"), built)
    return built


def free_ports(count):
    """Below the range that the kernel hands out to clients."""
    ports = random.sample(range(20000, 32000), 200)
    return [port for port in ports if lib.can_bind(port)][:count]


def write(directory, name, content):
    """As JSON, which is YAML too."""
    path = os.path.join(directory, name)
    with open(path, "w") as text:
        json.dump(content, text)
    return path


def printed(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return re.sub(r"\s+", " ", done.stdout.decode(errors="replace")).strip()


def say(text):
    print(text, file=sys.stderr, flush=True)
