"""Numbers that are known beforehand, through the whole road: increases, quantiles, ratios; and promtool unchanged."""
import gzip
import random
import subprocess
import time
import urllib.parse

import tools
from grpc_call import TRACES, call
from lib import ANSWER_SECONDS, API, CALLS, LATENCY, Server, counted, eventually, free_offset, http_request
from otlp import JSON, PROTOBUF, Span, as_json, as_protobuf, partial_success_bytes, post, send, spans

BOUNDS_MS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000)
ERROR_RATIO = (
    'sum by (service_name) (rate(llm_traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}[5m]))'
    " / sum by (service_name) (rate(llm_traces_span_metrics_calls_total[5m]))"
)


def walk(report, directory):
    with Server(directory, free_offset()) as server:
        server.start()
        ten_at_once(report, server)
        every_encoding(report, server)
        known_durations(report, server)
        error_ratio(report, server)
        promtool(report, server)
        post_form(report, server)


def ten_at_once(report, server):
    with report.check(f"ten spans at once in a new group: the increase is exactly 10 within {ANSWER_SECONDS} s"):
        send(server, spans(10, "ten", "at-once"))
        expr = f'increase({CALLS}{{service_name="ten"}}[5m])'

        def probe():
            [value] = server.query(expr).values() or [0]
            assert value == 10, f"{value} instead of 10"
            return value

        eventually(ANSWER_SECONDS, probe)


def every_encoding(report, server):
    """Ten spans in each, of one group: what the wire looked like must not show in the answer."""
    with report.check("protobuf and JSON, plain and gzip, and gRPC add up in one group"):
        for encode, content_type in ((as_json, JSON), (as_protobuf, PROTOBUF)):
            for squeeze in (lambda body: (body, {}), lambda body: (gzip.compress(body), {"Content-Encoding": "gzip"})):
                body, headers = squeeze(encode(spans(10, "encodings", "same")))
                reply = post(server, body, content_type, **headers)
                assert reply.status == 200, f"{content_type} {headers}: {reply}"
                assert reply.headers["content-type"].split(";")[0] == content_type, reply.headers
        for flags in ((), ("gzip",)):
            answer = call(server, TRACES, as_protobuf(spans(10, "encodings", "same")), *flags)
            assert answer["code"] == "OK", answer
            assert partial_success_bytes(bytes.fromhex(answer["body"])) == (0, ""), answer
        answer = eventually(ANSWER_SECONDS, lambda: counted(server, CALLS + '{service_name="encodings"}', 60))
        assert len(answer) == 1, answer


def known_durations(report, server):
    draw, end_ns = random.Random(11), time.time_ns()
    micros = [min(20_000_000, int(draw.lognormvariate(0, 1.3) * 120_000)) for _ in range(1000)]
    send(server, [Span("known", "durations", end_ns, duration_ns=us * 1000) for us in micros], PROTOBUF)
    with report.check("p95 of 1,000 known durations lies in the right bucket") as note:
        true_ms = sorted(micros)[949] / 1000
        low = max([b for b in (0, *BOUNDS_MS) if b < true_ms])
        high = min([b for b in BOUNDS_MS if b >= true_ms])
        expr = f'histogram_quantile(0.95, sum by (le) (rate({LATENCY}{{service_name="known"}}[5m])))'

        def probe():
            [value] = server.query(expr).values() or [0]
            assert low < value <= high, f"{value} ms, true {true_ms} ms in ({low}, {high}]"
            return value

        note.say(f"{eventually(ANSWER_SECONDS, probe):.1f} ms, true {true_ms:.1f}, bucket ({low}, {high}]")
    with report.check("each bucket holds exactly the durations up to its bound"):
        answer = server.query(f'{LATENCY}{{service_name="known"}}')
        found = {float(dict(series)["le"]): int(value) for series, value in answer.items()}
        expected = {float(b): sum(us <= b * 1000 for us in micros) for b in (*BOUNDS_MS, float("inf"))}
        assert found == expected, f"{found} instead of {expected}"
    with report.check("sum and count agree with what was sent"):
        name = LATENCY.removesuffix("_bucket")
        [count] = server.query(f'{name}_count{{service_name="known"}}').values()
        [millis] = server.query(f'{name}_sum{{service_name="known"}}').values()
        assert count == 1000 and abs(millis - sum(micros) / 1000) < 1e-6 * millis, (count, millis, sum(micros) / 1000)


def error_ratio(report, server):
    with report.check("the error ratio by service"):
        end_ns = time.time_ns()
        send(server, spans(30, "ratio", "pay", end_ns, status=1) + spans(10, "ratio", "pay", end_ns, status=2))

        def probe():
            by_service = {dict(series).get("service_name"): value for series, value in server.query(ERROR_RATIO).items()}
            assert abs(by_service.get("ratio", 0) - 0.25) < 1e-9, by_service
            assert set(by_service) == {"ratio"}, by_service  # no other service had an error
            return True

        eventually(ANSWER_SECONDS, probe)


def promtool(report, server):
    url, now = f"http://localhost:{server.port(API)}", int(time.time())
    expr = CALLS + '{service_name="ten"}'
    commands = {
        "instant": (["instant", url, expr], 'span_name="at-once"'),
        "range": (["range", f"--start={now - 60}", f"--end={now}", "--step=10s", url, expr], 'span_name="at-once"'),
        "series": (["series", f"--match={expr}", url], 'span_name="at-once"'),
        "labels": (["labels", url, "service_name"], "known"),
    }
    for name, (arguments, expected) in commands.items():
        with report.check(f"promtool query {name}"):
            done = subprocess.run([tools.promtool(), "query", *arguments], capture_output=True, text=True, timeout=20)
            assert done.returncode == 0 and expected in done.stdout, done.stdout + done.stderr
            if name in ("instant", "range"):
                assert "10 @[" in done.stdout, done.stdout
    with report.check("promtool tells a syntax error"):
        done = subprocess.run([tools.promtool(), "query", "instant", url, "sum("], capture_output=True, text=True)
        assert done.returncode != 0 and "bad_data" in done.stderr + done.stdout, done.stdout + done.stderr


def post_form(report, server):
    with report.check("POST form and RFC 3339 times answer as GET and unix times do"):
        now = int(time.time())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        expr = CALLS + '{service_name="ten"}'
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        port, body = server.port(API), urllib.parse.urlencode({"query": expr, "time": stamp})
        posted = http_request(port, "POST", "/api/v1/query", body, form).json()
        assert posted["data"] == server.api("query", query=expr, time=now)["data"], posted
        assert len(posted["data"]["result"]) == 1, posted
    with report.check("buildinfo names a version"):
        assert server.api("status/buildinfo")["data"]["version"]
