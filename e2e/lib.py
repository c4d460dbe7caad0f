"""The binary under test as a process, and the ways to talk to it.

Nothing here knows how the product works inside: it starts a process, sends HTTP, and reads what comes back.
"""
import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass

OTLP_GRPC, OTLP_HTTP, API, API_ALIAS, SELF_METRICS, SPAN_METRICS, HEALTH = PORTS = (4317, 4318, 9090, 8428, 8888, 8889, 13133)
CALLS = "llm_traces_span_metrics_calls_total"
LATENCY = "llm_traces_span_metrics_latency_bucket"
ANSWER_SECONDS = 15  # from a span to its answer


def default_binary():
    return os.environ.get("TRIBUTARY_BIN") or os.path.join(os.environ["CARGO_TARGET_DIR"], "release", "tributary")


def eventually(seconds, probe, every=0.1):
    """Asks until the answer holds: what `probe` returns first that is not None. An assertion in it may fail until then."""
    deadline, last = time.monotonic() + seconds, None
    while True:
        try:
            found = probe()
            if found is not None:
                return found
        except AssertionError as unmet:
            last = unmet
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s" + (f"; last: {last}" if last else ""))
        time.sleep(every)


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes
    seconds: float

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:200]!r} after {self.seconds:.2f} s"


def http_request(port, method, path, body=None, headers=None, host="127.0.0.1", timeout=20):
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        content = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, headers, content, time.monotonic() - began)
    finally:
        connection.close()


def can_bind(port):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as refused:
            if family == socket.AF_INET or refused.errno == 98:  # a machine without ::1 is no obstacle
                return False
    return True


def taken(offset=0):
    return [port + offset for port in PORTS if not can_bind(port + offset)]


def free_offset():
    """Below the range that the kernel hands out to clients, so that no outgoing connection sits on one of the ports."""
    for _ in range(200):
        offset = random.randrange(1000, 19000)
        if not taken(offset):
            return offset
    raise RuntimeError("no free set of ports found")


class Server:
    """One process of the binary. It may be started again on the same data."""

    def __init__(self, directory, offset, *flags, binary=None):
        self.directory, self.offset, self.flags = directory, offset, flags
        self.binary = binary or default_binary()
        self.data, self.log = os.path.join(directory, "data"), os.path.join(directory, "server.log")
        self.process, self.printed = None, []

    def port(self, standard):
        return standard + self.offset

    def spawn(self):
        command = [self.binary, "dev", "--data", self.data, "--port-offset", str(self.offset), *self.flags]
        log = open(self.log, "ab", buffering=0)
        log.write(f"--- {' '.join(command)}\n".encode())
        self.began, self.heard, self.banner, self.printed = time.monotonic(), threading.Event(), False, []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        threading.Thread(target=self._listen, args=(self.process, self.heard, self.printed, log), daemon=True).start()

    def _listen(self, process, heard, printed, log):
        with log:
            for line in process.stdout:
                log.write(line)
                printed.append(line.decode())
                if line.lower().startswith(b"tributary") and not heard.is_set():
                    self.banner = True
                    heard.set()
        heard.set()  # the process ended

    def start(self, seconds=20):
        """Starts it and waits for the banner, which promises that every port answers. Returns how long that took."""
        self.spawn()
        assert self.heard.wait(seconds), f"no banner within {seconds} s: {self.log}"
        assert self.banner, f"ended with {self.process.wait()} instead of getting ready: {self.log}"
        took = time.monotonic() - self.began
        assert http_request(self.port(HEALTH), "GET", "/health/status").status == 200, "the banner came, health did not"
        return took

    def stop(self, how=signal.SIGTERM):
        """Asks it to end and returns (seconds, exit code)."""
        began = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        return time.monotonic() - began, code

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def memory_mib(self, field):
        """VmRSS: now; VmHWM: the most it ever was."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.M).group(1)) / 1024

    # The query API.

    def api(self, path, port=API, **form):
        reply = http_request(self.port(port), "GET", f"/api/v1/{path}?{urllib.parse.urlencode(form, doseq=True)}")
        answer = reply.json()
        assert reply.status == 200 and answer["status"] == "success", f"{path} {form}: {reply}"
        return answer

    def query(self, expr, time=None):
        """{labels as a sorted tuple: value}, of an instant query."""
        answer = self.api("query", query=expr, **({"time": time} if time else {}))
        data = answer["data"]
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return {labels(s["metric"]): float(s["value"][1]) for s in data["result"]}

    def query_range(self, expr, start, end, step):
        answer = self.api("query_range", query=expr, start=start, end=end, step=step)
        return {labels(s["metric"]): [(t, float(v)) for t, v in s["values"]] for s in answer["data"]["result"]}

    def counters(self, pattern):
        """The sum of all self-metrics whose name matches."""
        text = http_request(self.port(SELF_METRICS), "GET", "/metrics").body.decode()
        found = re.findall(r"^([A-Za-z_:][\w:]*)(?:\{.*\})? (\S+)(?: \d+)?$", text, re.M)
        return sum(float(value) for name, value in found if re.search(pattern, name))


@contextlib.contextmanager
def counters_rise(server, pattern, least=1):
    """What happens inside shows in the self-metrics whose name matches: together they rise by at least so many."""
    before = server.counters(pattern)
    yield
    rose = server.counters(pattern) - before
    assert rose >= least, f"counters named {pattern} rose by {rose:.0f}, not by {least}"


def counted(server, expr, sent, at=None):
    """The answer, if it adds up to the number sent."""
    answer = server.query(expr, at)
    assert total(answer) == sent, f"{total(answer):.0f} of {sent}"
    return answer


def labels(metric):
    return tuple(sorted(metric.items()))


def total(answer):
    return sum(answer.values())
