"""`--config FILE`: what it says takes effect, what cannot be meant is refused, logs and health are as it says."""
import contextlib
import json
import os
import socket
import subprocess
import time

from lib import ANSWER_SECONDS, CALLS, HEALTH, LATENCY, OTLP_HTTP, Server, counted, eventually, free_offset
from lib import http_request, total
from otlp import JSON, as_json, partial_success, post, spans

COUNTED = """
edge:
  window: 5s
  grace: 1s
  histogram: { bounds: [1ms, 20ms, 1s] }
  dimensions: [http.route, tier]
  external_labels: { zone: north }
  lateness: 2min
  future: 1s
receivers: { max_request: 64KiB }
"""
OTHERWISE = COUNTED.replace("[1ms, 20ms, 1s]", "[20ms, 1400ms]").replace("window: 5s", "window: 10s")
AS_JSON = """
edge: { external_labels: { zone: north }, dedup: { window: 1min } }
log: { format: json, level: trace }
"""
TOKEN = "e2e-secret-b7f1"
REFUSED_SECONDS = 1


def walk(report, directory):
    command(report, directory)
    refusals(report, directory)
    effect(report, os.path.join(directory, "effect"))
    logs(report, os.path.join(directory, "logs"))
    health(report, os.path.join(directory, "health"))


def command(report, directory):
    with report.check("--print-config prints a file that is sound and means the same"):
        printed = run("dev", "--print-config").stdout
        kept = written(directory, "printed.yaml", printed)
        assert run("dev", "--config", kept, "--print-config").stdout == printed
        assert "is sound" in run("check-config", kept).stdout
    with report.check("--print-config shows what a file says among the defaults"):
        printed = run("dev", "--config", written(directory, "some.yaml", COUNTED), "--print-config").stdout
        assert "window: 5s\n" in printed and "idle: 1h\n" in printed and 'zone": "north"' in printed, printed


def refusals(report, directory):
    for name, text, wanted in (
        ("an unknown field", "edge:\n  windwo: 5s\n", ("line 2", "edge.windwo", "window, grace")),
        ("an unknown section", "egde: {}\n", ("line 1", "egde", "edge, receivers, store, log")),
        ("a window that divides no day", "edge:\n  window: 7s\n", ("line 2", "edge.window", "7s", "divides a day")),
        ("bounds out of order", "edge:\n  histogram:\n    bounds: [1ms, 2ms, 4ms, 3ms]\n",
         ("line 3", "edge.histogram.bounds[3]", "3ms", "more than 4ms")),
        ("a number without a unit", "edge: { grace: 5 }\n", ("edge.grace", '"5"', "ns, us, ms, s, min, h, d")),
        ("two bad values at once", "edge:\n  future: 9d\nreceivers:\n  held: 1KiB\n",
         ("line 2", "edge.future", "line 4", "receivers.held")),
        ("what is no YAML", "edge: [", ("line 1",)),
    ):  # fmt: skip
        with report.check(f"{name} is refused, with its place and what is accepted"):
            file = written(directory, "bad.yaml", text)
            for arguments in (("check-config", file), ("dev", "--config", file, "--data", os.path.join(directory, "none"))):
                began = time.monotonic()
                done = run(*arguments, fails=True)
                assert time.monotonic() - began < REFUSED_SECONDS
                told = done.stderr
                assert "panicked" not in told and all(part in told for part in (file, *wanted)), told
            assert not os.path.exists(os.path.join(directory, "none")), "a refused start made a data folder"
    with report.check("a file that is not there is named"):
        told = run("dev", "--config", "/no/such.yaml", fails=True).stderr
        assert "/no/such.yaml" in told, told
    with report.check("a RUST_LOG that is no filter is refused, not ignored"):
        with environment(RUST_LOG="tributary=loud"):
            told = run("dev", "--data", os.path.join(directory, "none"), fails=True).stderr
        assert "RUST_LOG" in told and not os.path.exists(os.path.join(directory, "none")), told


def effect(report, directory):
    os.mkdir(directory)
    offset = free_offset()
    with Server(directory, offset, "--config", written(directory, "counted.yaml", COUNTED)) as server:
        server.start()
        began = int(time.time()) // 10 * 10 - 20
        first, second = (spans(n, "shop", "buy", int((began + at) * 1e9)) for n, at in ((3, 1), (4, 6)))
        mine = f'{CALLS}{{service_name="shop"}}'
        with report.check("dimensions and external labels are labels of the series"):
            assert post(server, with_attributes(first + second)).status == 200
            answer = eventually(ANSWER_SECONDS, lambda: counted(server, mine, 7))
            [series] = map(dict, answer)
            found = {name: series.get(name) for name in ("http_route", "tier", "zone")}
            assert found == {"http_route": "/buy", "tier": "gold", "zone": "north"}, series
        with report.check("windows are of 5 s: each half of ten seconds counts at its own end"):
            values = [total(server.query(mine, began + at)) for at in (5, 10)]
            assert values == [3, 7], values
        with report.check("buckets are the configured ones"):
            buckets = by_le(server, "shop")
            assert buckets == {"1": 0, "20": 7, "1000": 7, "+Inf": 7}, buckets
        with report.check("spans beyond the configured lateness and future are left out and told"):
            for away in (-180, 60):
                reply = post(server, as_json(spans(2, "away", "x", int((time.time() + away) * 1e9))))
                rejected, why = partial_success(reply, JSON)
                assert rejected == 2 and why, reply
        with report.check("a request over the configured size is refused"):
            reply = post(server, b'{"resourceSpans":[' + b" " * (64 << 10) + b"]}")
            assert reply.status == 413, reply
        code = server.stop()[1]
        assert code == 0, code

    with Server(directory, offset, "--config", written(directory, "otherwise.yaml", OTHERWISE)) as server:
        with report.check("after a change of window and bounds the past is kept, and each layout counts at its own bounds"):
            server.start()
            slow = spans(5, "shop", "buy", duration_ns=1_200_000_000)
            assert post(server, with_attributes(slow)).status == 200
            answer = eventually(ANSWER_SECONDS, lambda: counted(server, mine, 12))
            assert len(answer) == 1, answer
            buckets = by_le(server, "shop")
            assert buckets == {"1": 0, "20": 7, "1000": 7, "1400": 12, "+Inf": 12}, buckets


def logs(report, directory):
    os.mkdir(directory)
    with Server(directory, free_offset(), "--demo", "--config", written(directory, "json.yaml", AS_JSON)) as server:
        server.start()
        with report.check("the demo's edges use the file too, and have their region besides"):
            def both():
                labels = [dict(series) for series in server.query(f"count by (region, zone) ({CALLS})")]
                assert len(labels) == 2 and {series["zone"] for series in labels} == {"north"}, labels
                return {series["region"] for series in labels}

            assert len(eventually(ANSWER_SECONDS, both)) == 2
        post(server, as_json(spans(1, "shop", "buy")), Authorization=f"Bearer {TOKEN}")
        post(server, b"not a request", Authorization=f"Bearer {TOKEN}")
        server.stop()
        lines = [json.loads(line) for line in log_lines(server)]
        with report.check("each line of the log is one JSON object") as note:
            note.say(f"{len(lines)} lines")
            assert all({"timestamp", "level", "target", "message"} <= line.keys() for line in lines), lines
            assert any(line["message"] == "stopping" for line in lines), lines
        with report.check("at level trace no credential of a client is in the log"):
            with open(server.log) as log:
                assert TOKEN not in log.read()
        with report.check("a failed start in JSON is a JSON line too"):
            done = run("dev", "--log-format", "json", "--data", "/proc/none", fails=True)
            [line] = map(json.loads, done.stderr.splitlines())
            assert line["level"] == "ERROR" and "/proc/none" in line["error"], line

    for name, flags, variables, wanted in (
        ("text is the default", (), {}, "text"),
        ("TRIBUTARY_LOG_FORMAT chooses", (), {"TRIBUTARY_LOG_FORMAT": "json"}, "json"),
        ("--log-format wins over it", ("--log-format", "text"), {"TRIBUTARY_LOG_FORMAT": "json"}, "text"),
        ("RUST_LOG wins for the level", (), {"RUST_LOG": "error"}, "none"),
    ):
        with report.check(f"logs: {name}"), environment(**variables):
            lines = log_of_a_run(os.path.join(directory, name), flags)
            if wanted == "json":
                assert lines and all(json.loads(line)["level"] for line in lines), lines
            else:
                assert bool(lines) == (wanted == "text") and not any(line.startswith("{") for line in lines), lines


def log_of_a_run(directory, flags):
    os.mkdir(directory)
    with Server(directory, free_offset(), *flags) as server:
        server.start()
        server.stop()
        return log_lines(server)


def health(report, directory):
    os.mkdir(directory)
    with Server(directory, free_offset()) as server:
        server.start()
        with report.check("/health and /health/status answer 200 while all is well, and name the edge"):
            assert ask(server, "/health").status == 200
            reply = ask(server, "/health/status")
            found = reply.json()
            assert reply.status == 200 and found["healthy"] and found["status"] == "Server available", found
            assert found["components"]["edge:local"]["status"] == "StatusOK", found
            found = ask(server, "/health/status?verbose").json()
            assert found["healthy"] and found["status"] == "StatusOK" and "edge:local" in found["components"], found
        with report.check("once it is told to stop both answer 503, while a request is still open"):
            with socket.create_connection(("127.0.0.1", server.port(OTLP_HTTP))) as halfway:
                halfway.sendall(
                    b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
                )
                told = halfway.recv(100)  # it waits for the body from here on
                assert told.startswith(b"HTTP/1.1 100"), told
                server.process.terminate()
                stopping = eventually(0.4, lambda: ask(server, "/health", 503), every=0.01)
                assert stopping.json()["status"] == "Server not available", stopping
                for path, wanted in (("", "Server not available"), ("?verbose", "StatusStopping")):
                    status = ask(server, f"/health/status{path}", 503).json()
                    assert not status["healthy"] and status["status"] == wanted, status
                assert server.process.wait(timeout=5) == 0


def ask(server, path, wanted=None):
    reply = http_request(server.port(HEALTH), "GET", path, timeout=2)
    return reply if wanted in (None, reply.status) else None


def by_le(server, service):
    answer = server.query(f'{LATENCY}{{service_name="{service}"}}')
    return {dict(series)["le"]: value for series, value in answer.items()}


def with_attributes(batch):
    """The route is the spans' own, the tier their resource's."""
    def attribute(key, value):
        return {"key": key, "value": {"stringValue": value}}

    message = json.loads(as_json(batch))
    for resource in message["resourceSpans"]:
        resource["resource"]["attributes"].append(attribute("tier", "gold"))
        for span in resource["scopeSpans"][0]["spans"]:
            span["attributes"] = [attribute("http.route", "/buy")]
    return json.dumps(message).encode()


def log_lines(server):
    """What stood on standard error: the log file without the commands and standard output."""
    with open(server.log) as log:
        return [line.rstrip("\n") for line in log if not line.startswith("--- ") and line not in server.printed]


def written(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def run(*arguments, fails=False):
    binary = Server("", 0).binary
    done = subprocess.run([binary, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert (done.returncode != 0) == fails, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done


@contextlib.contextmanager
def environment(**variables):
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
