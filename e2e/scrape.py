"""Port 8889 beside a real Prometheus that scrapes it: its last values are those of the product's own API."""
import contextlib
import gzip
import json
import os
import random
import socket
import subprocess
import time
import urllib.parse

import tools
from lib import ANSWER_SECONDS, CALLS, LATENCY, SPAN_METRICS, Server, eventually, free_offset, http_request, labels, total
from otlp import JSON, PROTOBUF, Span, as_json, post, send, spans

FAMILY = LATENCY.removesuffix("_bucket")
NAMES = (CALLS, LATENCY, FAMILY + "_sum", FAMILY + "_count")
TEXT = "text/plain; version=0.0.4"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
CONFIG = "edge:\n  external_labels: { region: north }\n  dimensions: [http.route]\n"
SECONDS = 25  # of traffic: several windows, one of them sealed on the way
ODD = 'say "no" \\ twice\nand größe 水 \t {le="1"} \r \x00 \x7f \x01'


def walk(report, directory):
    config = os.path.join(directory, "config.yaml")
    with open(config, "w") as file:
        file.write(CONFIG)
    with Server(directory, free_offset(), "--config", config) as server:
        server.start()
        empty_page(report, server)
        with prometheus(directory, server.port(SPAN_METRICS)) as other:
            sent = traffic(report, server, other)
            agreement(report, server, other, sent)
        formats(report, server)
        with report.check("a clean end within a second"):
            seconds, code = server.stop()
            assert code == 0 and seconds < 1, f"{seconds:.2f} s, exit {code}"
    every_edge(report, directory)


def empty_page(report, server):
    with report.check("without spans there is a page without series"):
        reply = page(server)
        assert reply.status == 200 and not series(reply.body.decode()), reply
        assert http_request(server.port(SPAN_METRICS), "GET", "/").status == 404


def traffic(report, server, other):
    """Sends what a shop would, for a while. Returns the number of spans."""
    draw, sent = random.Random(5), 0
    with report.check(f"{SECONDS} s of spans while it is scraped") as note:
        until, shown = time.monotonic() + SECONDS, set()
        while time.monotonic() < until:
            batch, now = [], time.time_ns()
            for _ in range(draw.randrange(1, 40)):
                duration = draw.choice((0, 2_000_000, int(draw.lognormvariate(17, 2)), 20_000_000_000))
                kind, status = draw.randrange(6), draw.choice((0, 0, 0, 1, 2))
                service, name = draw.choice(("cart", "pay", ODD)), draw.choice(("GET /", "POST /buy", ODD))
                late = draw.choice((0, 0, 0, 30_000_000_000))
                batch.append(Span(service, name, now - late, duration, kind, status))
            send(server, batch, PROTOBUF)
            sent += len(batch)
            shown.add(other.total(CALLS))
            time.sleep(0.2)
        assert len(shown) > 5, f"Prometheus saw only {shown}"
        note.say(f"{sent} spans, {len(shown)} different sums seen by Prometheus")
    with report.check("a dimension shows as a label"):
        message = json.loads(as_json(spans(3, "routed", "GET /buy")))
        for span in message["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            span["attributes"] = [{"key": "http.route", "value": {"stringValue": "/buy"}}]
        assert post(server, json.dumps(message).encode(), JSON).status == 200
        expected = '{http_route="/buy",region="north",service_name="routed",'
        assert any(expected in line for line in series(page(server).body.decode()))
    return sent + 3


def agreement(report, server, other, sent):
    with report.check("what is acknowledged is on the page at once"):
        found = series(page(server).body.decode())
        calls = sum(value for line, value in found.items() if line.startswith(CALLS))
        assert calls == sent, f"{calls:.0f} of {sent}"

    def own(name):
        return {normal(key): value for key, value in server.query(name).items()}

    with report.check(f"the API has all of it within {ANSWER_SECONDS} s, its windows sealed"):

        def sealed():
            found = total(server.query(CALLS))
            assert found == sent, f"{found:.0f} of {sent}"
            return True

        eventually(ANSWER_SECONDS, sealed)
    other.scraped_again()
    for name in NAMES:
        with report.check(f"Prometheus and the API agree on {name.removeprefix('llm_traces_span_metrics_')}") as note:
            ours, theirs = own(name), other.values(name)
            missing, more = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
            assert not missing and not more, f"only here: {sorted(missing)[:2]}, only there: {sorted(more)[:2]}"
            unequal = [(key, ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]]
            assert ours and not unequal, f"{len(unequal)} of {len(ours)}, such as {unequal[:1]}"
            note.say(f"{len(ours)} series")
    with report.check("Prometheus found nothing wrong with any scrape"):
        for metric in ("duplicate_timestamp", "out_of_order", "out_of_bounds"):
            name = f"prometheus_target_scrapes_sample_{metric}_total"
            assert other.own_metric(name) == 0, name
        [target] = other.api("targets")["activeTargets"]
        assert target["health"] == "up" and not target["lastError"], target


def formats(report, server):
    plain = page(server)
    with report.check("promtool check metrics finds nothing") as note:
        command = [tools.promtool(), "check", "metrics"]
        done = subprocess.run(command, input=plain.body, capture_output=True, timeout=20)
        assert done.returncode == 0 and not done.stdout + done.stderr, (done.stdout + done.stderr).decode()
        note.say(f"{len(plain.body.splitlines())} lines")
    with report.check("without a wish it is the text format, each series once"):
        assert plain.headers["content-type"].startswith(TEXT), plain.headers
        assert plain.headers.get("transfer-encoding") == "chunked", plain.headers
    with report.check("gzip is the same page"):
        squeezed = page(server, **{"Accept-Encoding": "gzip"})
        assert squeezed.headers["content-encoding"] == "gzip", squeezed.headers
        assert gzip.decompress(squeezed.body) == plain.body
    with report.check("OpenMetrics has the same series"):
        reply = page(server, Accept=f"{OPEN_METRICS};q=0.8,*/*;q=0.1")
        assert reply.headers["content-type"].startswith(OPEN_METRICS), reply.headers
        text = reply.body.decode()
        assert text.endswith("\n# EOF\n") and series(text) == series(plain.body.decode())
    with report.check("its own metrics count the scrapes"):
        assert server.counters("^tributary_scrape_requests_total$") > 5
        assert server.counters("^tributary_scrape_requests_refused_total$") == 0


def every_edge(report, directory):
    with Server(os.path.join(directory, "demo"), free_offset(), "--demo") as server:
        os.mkdir(server.directory)
        server.start()
        with report.check("the demo's edges are on the same page"):
            send(server, spans(5, "mine", "own"))

            def probe():
                found = series(page(server).body.decode())
                regions = {line.split('region="')[1].split('"')[0] for line in found if 'region="' in line}
                assert len(regions) == 2, regions
                mine = {v for k, v in found.items() if k.startswith(CALLS) and 'service_name="mine"' in k}
                assert mine == {5}, mine
                return True

            eventually(ANSWER_SECONDS, probe)


def page(server, **headers):
    return http_request(server.port(SPAN_METRICS), "GET", "/metrics", headers=headers)


def series(text):
    """{series as it is written: value}; each stands there once, under the type of its family."""
    found, family = {}, None
    for line in text.removesuffix("\n").split("\n"):  # no other line break is one here
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            assert key not in found and key.startswith(family), line
            found[key] = float(value)
    return found


def normal(key):
    """Labels without what a scrape adds, and `le` as a number: some Prometheus versions write it anew."""
    pairs = {name: value for name, value in key if name not in ("job", "instance")}
    if "le" in pairs:
        pairs["le"] = float(pairs["le"])
    return labels(pairs)


class Prometheus:
    def __init__(self, port):
        self.port = port

    def api(self, path, **form):
        reply = http_request(self.port, "GET", f"/api/v1/{path}?{urllib.parse.urlencode(form)}")
        assert reply.status == 200, reply
        return reply.json()["data"]

    def query(self, expr):
        return self.api("query", query=expr)["result"]

    def values(self, name):
        return {normal(labels(one["metric"])): float(one["value"][1]) for one in self.query(name)}

    def total(self, name):
        return sum(self.values(name).values())

    def own_metric(self, name):
        text = http_request(self.port, "GET", "/metrics").body.decode()
        [line] = [line for line in text.splitlines() if line.startswith(name + " ")]
        return float(line.split()[1])

    def scraped_again(self):
        """Waits for a scrape that began after now."""
        now = time.time()
        eventually(20, lambda: self.query(f"timestamp(up) > {now + 1:.3f}") or None)


@contextlib.contextmanager
def prometheus(directory, target):
    """One that scrapes `localhost:target` every second, as docs/metrics.md says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    at = os.path.join(directory, "prometheus")
    os.mkdir(at)
    job = {"job_name": "tributary", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    with open(os.path.join(at, "prometheus.yml"), "w") as config:
        json.dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}, config)
    command = [
        tools.prometheus(), f"--config.file={at}/prometheus.yml", f"--storage.tsdb.path={at}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with open(os.path.join(at, "server.log"), "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        other = Prometheus(port)

        def ready():
            assert process.poll() is None, f"Prometheus ended: {at}/server.log"
            with contextlib.suppress(OSError):
                return http_request(port, "GET", "/-/ready").status == 200 or None

        eventually(60, ready)
        yield other
    finally:
        process.terminate()
        process.wait(timeout=30)
