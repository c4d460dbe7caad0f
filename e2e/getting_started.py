"""What a new user types: the guide's commands, the README's and the banner's, each as it is printed.

Away from the standard ports only the ports differ.
"""
import json
import math
import os
import re
import subprocess
import time
from datetime import datetime, timezone

import tools
from grpc_call import sdk_spans
from lib import ANSWER_SECONDS, API, CALLS, HEALTH, OTLP_GRPC, OTLP_HTTP, PORTS, Server, eventually, free_offset
from lib import counted, http_request, taken

SEND = (
    "otel-cli span --service otel-test --name demo-span --endpoint http://localhost:4318/v1/traces"
    ' --protocol http/protobuf --attrs "env=dev,component=demo"'
    ' --start "$(date -Iseconds)" --end "$(date -Iseconds)" --otlp-headers '
)
BASIC = 'Authorization=Basic $(printf %s admin:secretpassword | base64)'
CREDENTIALS = ('-H "X-API-Key: placeholder_api_key" ', "-u admin:secretpassword ", "")
TARGETS = "curl -s localhost:9090/api/v1/targets | jq '.data.activeTargets[] | {job: .labels.job, health: .health}'"
LOOPBACK = ("0100007F", "0" * 16 + "FFFF0000" + "0100007F", "0" * 24 + "01000000")  # as /proc/net/tcp and tcp6 write it
README = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "README.md")
README_SECTION = "The first span, the first query"
OTEL_TEST = CALLS + '{service_name="otel-test"}'
P95 = "histogram_quantile(0.95, sum by (le) (rate(llm_traces_span_metrics_latency_bucket[5m])))"


def on_standard_ports(report, directory):
    busy = taken()
    if busy and os.environ.get("CI") != "true":
        print(f"SKIP  {report.theme}: taken by other processes: {busy}")
        return
    walk(report, directory, 0)


def on_other_ports(report, directory):
    walk(report, directory, free_offset())


def walk(report, directory, offset):
    with Server(directory, offset) as server:
        server.start()

        def shell(command):
            command = re.sub(r"localhost:(\d+)", lambda m: f"localhost:{int(m.group(1)) + offset}", command)
            return bash(command)

        for credential in CREDENTIALS:
            with report.check(f"health/status with {credential.strip() or 'no credential'}"):
                status = json.loads(shell(f"curl -s {credential}localhost:13133/health/status"))
                assert status["status"] == "Server available", status
                since = datetime.fromisoformat(status["upSince"][:19]).replace(tzinfo=timezone.utc)
                assert abs(datetime.now(timezone.utc) - since).total_seconds() < 60, status
            with report.check(f"health on 8428 with {credential.strip() or 'no credential'}"):
                assert shell(f"curl -s {credential}localhost:8428/health").strip() == "OK"
        with report.check("every port listens on loopback only, IPv6 too where there is one"):
            loopback_only(server)

        for header in ("X-API-Key=placeholder_api_key", BASIC):
            with report.check(f"otel-cli with {header.split('=')[0]}"):
                shell(f'{SEND}"{header}"')
        with report.check("the README's first span, as it stands there"):
            send, query = readme_commands()
            shell(send)
        with report.check("the banner's two lines, as they are printed"):
            send_hello, query_hello = eventually(5, lambda: banner_commands(server))
            bash(send_hello)
        key = '{"x-api-key": "placeholder_api_key"}'
        with report.check("Python SDK over HTTP"):
            endpoint = f"http://localhost:{server.port(OTLP_HTTP)}/v1/traces"
            sdk_spans("http", endpoint, key.replace("x-api-key", "X-API-Key"), "otel-test", "sdk-http", 3)
        with report.check("Python SDK over gRPC, the key in lower case"):
            sdk_spans("grpc", f"http://localhost:{server.port(OTLP_GRPC)}", key, "otel-test", "sdk-grpc", 4)
        sent = time.monotonic()

        with report.check(f"within {ANSWER_SECONDS} s calls_total answers the number sent, with its labels") as note:
            answer = eventually(ANSWER_SECONDS, lambda: counted(server, OTEL_TEST, 3 + 3 + 4))
            note.say(f"{time.monotonic() - sent:.1f} s after the last span")
            names = {dict(series)["span_name"]: int(value) for series, value in answer.items()}
            assert names == {"demo-span": 3, "sdk-http": 3, "sdk-grpc": 4}, names
            for series in answer:
                keys = {"__name__", "service_name", "span_name", "span_kind", "status_code"}
                assert set(dict(series)) == keys, series
                assert dict(series)["status_code"] == "STATUS_CODE_UNSET", series
                assert dict(series)["span_kind"] in ("SPAN_KIND_CLIENT", "SPAN_KIND_INTERNAL"), series
        with report.check("the README's first query finds its span, and the banner's query the banner's"):
            eventually(ANSWER_SECONDS, lambda: has_span(shell(query), "otel-test", "demo-span"))
            eventually(ANSWER_SECONDS, lambda: has_span(bash(query_hello), "hello", "first"))
        with report.check("the README's further queries are answered"):
            for expr in readme_queries():
                server.api("query", query=expr)
        with report.check("p95 over all answers after a few spans"):
            [value] = eventually(ANSWER_SECONDS, lambda: server.query(P95) or None).values()
            assert math.isfinite(value) and value > 0, value
        with report.check("the targets are all up"):
            found = eventually(ANSWER_SECONDS, lambda: all_up(shell(TARGETS)))
            assert all(target["job"] for target in found), found
        with report.check("up answers 1"):
            data = eventually(ANSWER_SECONDS, lambda: json.loads(shell("curl -s 'localhost:8428/api/v1/query?query=up'")))
            values = [series["value"][1] for series in data["data"]["result"]]
            assert data["status"] == "success" and values and set(values) == {"1"}, data
        with report.check("8428 is the same API as 9090"):
            shown = [shell(f"curl -s 'localhost:{port}/api/v1/label/service_name/values'") for port in (9090, 8428)]
            assert shown[0] == shown[1] and "otel-test" in shown[0], shown
        with report.check("SIGTERM: a clean end within a second") as note:
            seconds, code = server.stop()
            note.say(f"{seconds:.2f} s, exit {code}")
            assert code == 0 and seconds < 1


def bash(command):
    options = {"env": tools.shell_environment(), "capture_output": True, "text": True, "timeout": 30}
    done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{command}\nexit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def readme_blocks(language):
    """The code blocks of the section on the first span; those without a language are for the shell."""
    with open(README, encoding="utf-8") as readme:
        [section] = re.findall(rf"^## {README_SECTION}$(.*?)(?=^## |\Z)", readme.read(), re.M | re.S)
    return [body for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S) if kind == language]


def readme_commands():
    blocks = readme_blocks("")
    assert [block.split()[0] for block in blocks] == ["otel-cli", "curl"], blocks
    return blocks


def readme_queries():
    queries = [query for block in readme_blocks("promql") for query in block.split("\n\n")]
    assert queries, "no queries"
    return queries


def banner_commands(server):
    """The two lines that are commands. They come after the banner's first line, from which on the server counts as ready."""
    commands = [line.strip() for line in server.printed if re.match(r" *(otel-cli|curl) ", line)]
    assert [command.split()[0] for command in commands] == ["otel-cli", "curl"], server.printed
    return commands


def has_span(text, service, name):
    """True if the answer to a query has one such span."""
    groups = [series["metric"] for series in json.loads(text)["data"]["result"]]
    assert any((g.get("service_name"), g.get("span_name")) == (service, name) for g in groups), groups
    return True


def all_up(text):
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        target, end = decoder.raw_decode(text.lstrip())
        found.append(target)
        text = text.lstrip()[end:]
    assert found and all(target["health"] == "up" for target in found), found
    return found


def loopback_only(server):
    for host in ("127.0.0.1", "::1"):
        if host == "::1" and not os.path.exists("/proc/net/if_inet6"):
            continue
        for port in (HEALTH, API):
            path = "/health" if port == API else "/health/status"
            assert http_request(server.port(port), "GET", path, host=host).status == 200, f"{host} {port}"
    ours, wide = {server.port(port) for port in PORTS}, []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in open(table).readlines()[1:]:
            address, port = line.split()[1].split(":")
            listening = line.split()[3] == "0A"
            if listening and int(port, 16) in ours and address not in LOOPBACK:
                wide.append((address, int(port, 16)))
    assert not wide, f"reachable from outside: {wide}"
