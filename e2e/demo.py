"""`--demo`: a small shop from two regions fills the page, and the user's own spans stay as they were sent."""
import math
import time

from lib import ANSWER_SECONDS, API, CALLS, LATENCY, Server, eventually, free_offset, http_request
from otlp import send, spans

BY_SERVICE = {
    "rate": f"sum by (service_name) (rate({CALLS}[5m]))",
    "errors": f'sum by (service_name) (rate({CALLS}{{status_code="STATUS_CODE_ERROR"}}[5m]))',
    "p95": f"histogram_quantile(0.95, sum by (service_name, le) (rate({LATENCY}[5m])))",
}


def walk(report, directory):
    with Server(directory, free_offset(), "--demo") as server:
        server.start()
        filled_by = time.monotonic() + ANSWER_SECONDS
        for name, expr in BY_SERVICE.items():
            with report.check(f"{name} by service within {ANSWER_SECONDS} s") as note:
                least = 1 if name == "errors" else 10

                def probe():
                    found = {k: v for k, v in server.query(expr).items() if math.isfinite(v) and v > 0}
                    assert len(found) >= least, f"{len(found)} services instead of {least}"
                    return found

                note.say(f"{len(eventually(max(0, filled_by - time.monotonic()), probe))} services")
        with report.check("the shop's series carry a region: two of them"):
            regions = server.query(f"count by (region) ({CALLS})")
            names = {dict(series).get("region") for series in regions}
            assert len(names) == 2 and None not in names, names
        with report.check("spans sent to the ports get no region"):
            send(server, spans(5, "mine", "own"))
            [series] = eventually(ANSWER_SECONDS, lambda: server.query(f'{CALLS}{{service_name="mine"}}') or None)
            assert "region" not in dict(series), series
        with report.check("the targets are up, the demo's edges among them"):
            targets = server.api("targets")["data"]["activeTargets"]
            assert len(targets) >= 2 and {t["health"] for t in targets} == {"up"}, targets
        with report.check("the page is served"):
            assert http_request(server.port(API), "GET", "/").status == 200
        with report.check("a clean end within a second under the shop's traffic"):
            seconds, code = server.stop()
            assert code == 0 and seconds < 1, f"{seconds:.2f} s, exit {code}"
