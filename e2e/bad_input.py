"""What nobody should send: refused within a second in its protocol's own words, counted, and nothing of it stored."""
import gzip
import json
import time
import urllib.parse
import zlib

import grpc_call
from lib import API, CALLS, OTLP_HTTP, Server, counters_rise, eventually, free_offset, http_request, total
from otlp import JSON, PROTOBUF, as_json, as_protobuf, decode, field, post, send, spans

COUNTED = "refused"
CAP_MIB = 64  # of a request once decompressed
REFUSED_SECONDS = 1
MEMORY_MIB = 256
# OTLP clients send these again: https://opentelemetry.io/docs/specs/otlp/#failures
RETRYABLE = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
OUR_FAULT = ("OK", "UNKNOWN", "INTERNAL")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def walk(report, directory):
    with Server(directory, free_offset()) as server:
        server.start()
        send(server, spans(3, "good", "before"))
        eventually(20, lambda: total(server.query(CALLS)) == 3 or None)
        idle = server.memory_mib("VmRSS")

        over_http(report, server)
        over_grpc(report, server)
        queries(report, server)

        with report.check("the same process still takes spans, and stored nothing of what it refused"):
            send(server, spans(4, "good", "after"))
            eventually(20, lambda: total(server.query(f'{CALLS}{{span_name="after"}}')) == 4 or None)
            services = {dict(series)["service_name"] for series in server.query(CALLS)}
            assert services == {"good"} and total(server.query(CALLS)) == 7, server.query(CALLS)
            assert server.process.poll() is None
        with report.check(f"peak memory over idle is at most {MEMORY_MIB} MiB") as note:
            over = server.memory_mib("VmHWM") - idle
            note.say(f"{over:.0f} MiB over {idle:.0f} MiB")
            assert over <= MEMORY_MIB


def over_http(report, server):
    body, message = as_json(spans(5, "refused", "x")), as_protobuf(spans(5, "refused", "x"))
    # Both are sound once unpacked, and hold no span: only the cap refuses them.
    bomb = squeeze(field(1000, b"\0" * (8 * CAP_MIB << 20)))
    blanks = squeeze(b'{"resourceSpans":[' + b" " * (8 * CAP_MIB << 20) + b"]}")
    for name, sent, content_type, headers, path in (
        ("broken protobuf", message + b"\x0a\xff\xff\xff\xff\x0f", PROTOBUF, {}, "/v1/traces"),
        ("cut protobuf", message[:-3], PROTOBUF, {}, "/v1/traces"),
        ("broken JSON", body[:-2], JSON, {}, "/v1/traces"),
        ("JSON of another shape", b'{"resourceSpans": 7}', JSON, {}, "/v1/traces"),
        ("JSON nested 100,000 deep", b'{"resourceSpans":' + b"[" * 100_000, JSON, {}, "/v1/traces"),
        ("gzip bomb, protobuf", bomb, PROTOBUF, {"Content-Encoding": "gzip"}, "/v1/traces"),
        ("gzip bomb, JSON", blanks, JSON, {"Content-Encoding": "gzip"}, "/v1/traces"),
        ("broken gzip", squeeze(message)[:-9], PROTOBUF, {"Content-Encoding": "gzip"}, "/v1/traces"),
        ("unknown encoding", message, PROTOBUF, {"Content-Encoding": "lzma"}, "/v1/traces"),
        ("wrong content type", body, "text/plain", {}, "/v1/traces"),
        ("unknown path", body, JSON, {}, "/v1/traces/no/such"),
    ):
        with report.check(f"OTLP/HTTP, {name}") as note, counters_rise(server, COUNTED):
            reply = post(server, sent, content_type, path, **headers)
            note.say(f"{reply.status}")
            refused(reply)
            if path == "/v1/traces" and content_type in (JSON, PROTOBUF):
                assert reply.headers["content-type"].split(";")[0] == content_type, reply.headers
                assert status_message(reply, content_type), f"no google.rpc.Status with a message: {reply}"
    with report.check("OTLP/HTTP, GET instead of POST"), counters_rise(server, COUNTED):
        refused(http_request(server.port(OTLP_HTTP), "GET", "/v1/traces"))


def squeeze(content):
    return gzip.compress(content, 1)


def status_message(reply, content_type):
    if content_type == JSON:
        return reply.json().get("message")
    return decode(reply.body).get(2)


def over_grpc(report, server):
    message = as_protobuf(spans(5, "refused", "x"))
    big = field(1000, bytes((CAP_MIB + 16) << 20))
    began = time.monotonic()
    zlib.compress(big)
    squeezing = time.monotonic() - began  # the client does that inside the call
    for name, method, sent, flags, allowed in (
        ("broken protobuf", grpc_call.TRACES, message + b"\x0a\xff\xff\xff\xff\x0f", (), ("INVALID_ARGUMENT",)),
        ("gzip bomb", grpc_call.TRACES, big, ("gzip",), ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")),
        ("unknown method", "/no.such.Service/Export", message, (), ("UNIMPLEMENTED",)),
    ):
        with report.check(f"OTLP/gRPC, {name}") as note, counters_rise(server, COUNTED):
            answer = grpc_call.call(server, method, sent, *flags)
            note.say(answer["code"])
            assert answer["code"] not in OUR_FAULT, answer
            assert answer["code"] not in RETRYABLE, f"clients would send it again: {answer}"
            assert answer["code"] in allowed, answer
            limit = REFUSED_SECONDS + (squeezing if flags else 0)
            assert answer["seconds"] < limit, f"{answer['seconds']:.2f} s"


def queries(report, server):
    def posted(expr, path="query", **rest):
        body = urllib.parse.urlencode({"query": expr, **rest})
        return http_request(server.port(API), "POST", f"/api/v1/{path}", body, FORM)

    now = int(time.time())
    deep = 100_000
    for name, ask in (
        ("syntax error", lambda: posted("sum(")),
        ("no expression", lambda: posted("")),
        ("unknown function", lambda: posted("no_such_function(up)")),
        ("an expression of 1 MB", lambda: posted('up{job="' + "x" * 1_000_000 + '"}')),
        ("parentheses nested 100,000 deep", lambda: posted("(" * deep + "1" + ")" * deep)),
        ("calls nested 100,000 deep", lambda: posted("sum(" * deep + "up" + ")" * deep)),
        ("100,000 minus signs", lambda: posted("-" * deep + "1")),
        ("100,000 additions", lambda: posted("1" + "+1" * deep)),
        ("a range of 11,001 points", lambda: posted("up", "query_range", start=now - 11_001, end=now, step=1)),
        ("a range that ends before it begins", lambda: posted("up", "query_range", start=now, end=now - 60, step=1)),
        ("a step of zero", lambda: posted("up", "query_range", start=now - 60, end=now, step=0)),
        ("a time that is none", lambda: posted("up", time="yesterday")),
        ("a broken matcher", lambda: posted('up{job=~"("}')),
    ):
        with report.check(f"query, {name}") as note, counters_rise(server, COUNTED):
            reply = ask()
            note.say(f"{reply.status}")
            refused(reply)
            answer = json.loads(reply.body)
            assert answer["status"] == "error" and answer["errorType"] and answer["error"], answer
            assert len(reply.body) < 10_000, f"an error of {len(reply.body)} bytes: it quotes what it refused"
    with report.check("query, unknown path"), counters_rise(server, COUNTED):
        refused(http_request(server.port(API), "GET", "/api/v1/no/such"))


def refused(reply):
    assert 400 <= reply.status < 500, reply
    assert reply.seconds < REFUSED_SECONDS, reply
