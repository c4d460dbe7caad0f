"""Stores that are fed by remote write: how each is had, started, asked what it holds, and stopped."""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass, field

import expected
import lib  # of the end-to-end walk
import machine
from sides import free_ports, printed, say

LATENCY = lib.LATENCY.removesuffix("_bucket")


@dataclass
class Module:
    """A program of a Go module, built at one version in a module of our own."""

    name: str
    version: str
    module: str
    package: str
    override: str  # the environment variable that names a binary instead
    cgo: str  # as its makers build it

    def binary(self):
        if os.environ.get(self.override):
            return os.environ[self.override]
        tools = os.path.join(os.environ["TRIBUTARY_CACHE"], "tools")
        built = os.path.join(tools, f"{self.name}-{self.version}")
        if not os.path.exists(built):
            say(f"building {self.name} {self.version}, once: up to ten minutes")
            os.makedirs(tools, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=tools) as at:
                self._build(at)
                os.replace(os.path.join(at, self.name), built)
        return built

    def _build(self, at):
        with open(os.path.join(at, "go.mod"), "w") as text:
            text.write(f"module peer\n\ngo 1.21\n\nrequire {self.module} v{self.version}\n")
        environment = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": self.cgo}
        command = ["nice", "-n", "10", "go", "build", "-o", self.name, f"{self.module}/{self.package}"]
        done = subprocess.run(command, cwd=at, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed; name a binary in {self.override}, Debian has one too:\n"
                     f"{done.stdout.decode(errors='replace')[-4000:]}")


@dataclass
class Taken:
    """What a folder takes on disk: blocks as `du` counts them, folders too."""

    all: int = 0
    parts: dict = field(default_factory=dict)  # by the folder's own entries


def taken(folder):
    found = Taken()
    for name in os.listdir(folder):
        found.parts[name] = blocks(os.path.join(folder, name))
    found.all = sum(found.parts.values()) + os.lstat(folder).st_blocks * 512
    return found


def blocks(path):
    total = 0
    with contextlib.suppress(FileNotFoundError):  # merged away meanwhile
        total += os.lstat(path).st_blocks * 512
        if os.path.isdir(path):
            total += sum(blocks(os.path.join(path, name)) for name in os.listdir(path))
    return total


class Store:
    def __init__(self, directory):
        self.binary = self.module.binary()
        self.data = os.path.join(directory, self.name)
        self.log = os.path.join(directory, f"{self.name}.log")
        [self.port] = free_ports(1)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *self.flags()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lib.eventually(60, self._ready)

    def _ready(self):
        assert self.process.poll() is None, f"{self.name} ended: {open(self.log).read()[-1000:]}"
        with contextlib.suppress(OSError):
            if lib.http_request(self.port, "GET", self.ready).status == 200:
                return True
        return None

    def cpu_seconds(self):
        return machine.cpu_seconds(self.process.pid)

    def ask(self, query, at_ms):
        """The values of an instant query by the label that it keeps."""
        form = urllib.parse.urlencode({"query": query, "time": at_ms / 1000})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = lib.http_request(self.port, "POST", "/api/v1/query", form, headers, timeout=600)
        answer = json.loads(reply.body)
        if answer["status"] != "success":
            raise RuntimeError(f"{self.name}: {query}: {answer}")
        return {next(iter(row["metric"].values()), ""): float(row["value"][1]) for row in answer["data"]["result"]}

    def counts(self, at_ms):
        """What stands at the end."""
        found = expected.Counts(sum_ms=self.ask(f"sum({LATENCY}_sum)", at_ms).get("", 0.0))
        for service, value in self.ask(f"sum by (service_name) ({lib.CALLS})", at_ms).items():
            found.calls += int(value)
            found.services[service] = int(value)
        for le, value in self.ask(f"sum by (le) ({lib.LATENCY})", at_ms).items():
            found.buckets[float(le)] = int(value)
        return found

    def samples(self, hours, at_ms):
        """How many it holds of the time before."""
        names = (lib.CALLS, f"{LATENCY}_sum", f"{LATENCY}_count")
        found = [self.ask(f"sum(count_over_time({name}[{hours}h]))", at_ms) for name in names]
        found.append(self.ask(f"sum by (le) (count_over_time({lib.LATENCY}[{hours}h]))", at_ms))
        return int(sum(value for answer in found for value in answer.values()))

    def settle(self, seconds, at_most=900):
        """Until nothing on its disk has changed for so long."""
        deadline, last, since = time.monotonic() + at_most, None, 0.0
        while time.monotonic() < deadline:
            now = taken(self.data)
            if last is None or now.all != last.all:
                last, since = now, time.monotonic()
            if time.monotonic() - since >= seconds:
                return
            time.sleep(1)
        say(f"  {self.name} was still busy after {at_most} s")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Prometheus(Store):
    name = "prometheus"
    ready = "/-/ready"
    module = Module("prometheus", "0.312.0", "github.com/prometheus/prometheus", "cmd/prometheus", "PROMETHEUS_BIN", "0")

    def version(self):
        """One that was built here does not know its own."""
        found = re.search(r"version ([0-9]\S*)", printed([self.binary, "--version"]))
        return f"Prometheus {found.group(1) if found else self.module.version}"

    def flags(self):
        os.makedirs(self.data)
        config = self.data + ".yml"
        with open(config, "w"):
            pass
        return [f"--config.file={config}", f"--storage.tsdb.path={self.data}", f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y",
                "--query.max-samples=2000000000", "--query.timeout=10m", "--log.level=warn"]

    def flush(self):
        pass


class VictoriaMetrics(Store):
    name = "victoria-metrics"
    ready = "/health"
    module = Module("victoria-metrics", "1.150.0", "github.com/VictoriaMetrics/VictoriaMetrics",
                    "app/victoria-metrics", "VICTORIA_METRICS_BIN", "1")

    def version(self):
        """One that was built here does not know its own."""
        found = re.search(r"v?([0-9]+\.[0-9]+\.[0-9]+)", printed([self.binary, "-version"]))
        return f"VictoriaMetrics {found.group(1) if found else self.module.version}"

    def flags(self):
        return [f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
                "-search.maxQueryDuration=10m", "-loggerLevel=WARN"]

    def flush(self):
        """It keeps a few seconds' worth in memory, which no query finds."""
        lib.http_request(self.port, "GET", "/internal/force_flush", timeout=600)
