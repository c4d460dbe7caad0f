"""The getting-started guide, command by command as it prints them. Away from the standard ports only the ports differ."""
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
from lib import http_request, taken, total

SEND = (
    "otel-cli span --service otel-test --name demo-span --endpoint http://localhost:4318/v1/traces"
    ' --protocol http/protobuf --attrs "env=dev,component=demo"'
    ' --start "$(date -Iseconds)" --end "$(date -Iseconds)" --otlp-headers '
)
BASIC = 'Authorization=Basic $(printf %s admin:secretpassword | base64)'
CREDENTIALS = ('-H "X-API-Key: placeholder_api_key" ', "-u admin:secretpassword ", "")
TARGETS = "curl -s localhost:9090/api/v1/targets | jq '.data.activeTargets[] | {job: .labels.job, health: .health}'"
LOOPBACK = ("0100007F", "0" * 16 + "FFFF0000" + "0100007F", "0" * 24 + "01000000")  # as /proc/net/tcp and tcp6 write it
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
            options = {"env": tools.shell_environment(), "capture_output": True, "text": True, "timeout": 30}
            done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, **options)
            assert done.returncode == 0, f"{command}\nexit {done.returncode}: {done.stdout}{done.stderr}"
            return done.stdout

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
        key = '{"x-api-key": "placeholder_api_key"}'
        with report.check("Python SDK over HTTP"):
            endpoint = f"http://localhost:{server.port(OTLP_HTTP)}/v1/traces"
            sdk_spans("http", endpoint, key.replace("x-api-key", "X-API-Key"), "otel-test", "sdk-http", 3)
        with report.check("Python SDK over gRPC, the key in lower case"):
            sdk_spans("grpc", f"http://localhost:{server.port(OTLP_GRPC)}", key, "otel-test", "sdk-grpc", 4)
        sent = time.monotonic()

        with report.check(f"within {ANSWER_SECONDS} s calls_total answers the number sent, with its labels") as note:
            answer = eventually(ANSWER_SECONDS, lambda: counted(server, 2 + 3 + 4))
            note.say(f"{time.monotonic() - sent:.1f} s after the last span")
            names = {dict(series)["span_name"]: int(value) for series, value in answer.items()}
            assert names == {"demo-span": 2, "sdk-http": 3, "sdk-grpc": 4}, names
            for series in answer:
                keys = {"__name__", "service_name", "span_name", "span_kind", "status_code"}
                assert set(dict(series)) == keys, series
                assert dict(series)["status_code"] == "STATUS_CODE_UNSET", series
                assert dict(series)["span_kind"] in ("SPAN_KIND_CLIENT", "SPAN_KIND_INTERNAL"), series
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


def counted(server, sent):
    answer = server.query(CALLS + '{service_name="otel-test"}')
    assert total(answer) == sent, f"{total(answer):.0f} of {sent}"
    return answer


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
