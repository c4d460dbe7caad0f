"""Starting, stopping and starting again: what was acked stays, and whatever stands in the way is named."""
import os
import signal
import socket
import subprocess
import time

from lib import ANSWER_SECONDS, API, CALLS, LATENCY, PORTS, Server, counted, eventually, free_offset, http_request
from otlp import send, spans


def walk(report, directory):
    offset = free_offset()
    with Server(directory, offset) as server:
        with report.check("ready in under a second on a fresh DIR") as note:
            seconds = server.start(20)
            note.say(f"ready after {seconds:.2f} s")
            assert seconds < 1
        if server.process.poll() is not None:
            raise RuntimeError("no server to go on with")
        empty_page(report, server)
        restart(report, server)
        second_process(report, server)
        server.kill()
    taken_ports(report, directory, offset)


def empty_page(report, server):
    with report.check("GET / is one page of its own, and says how to send a span"):
        reply = http_request(server.port(API), "GET", "/")
        page = reply.body.decode()
        assert reply.status == 200 and reply.headers["content-type"].startswith("text/html"), reply
        for foreign in ('src="http', "src='http", '<link rel="stylesheet" href="http', "@import"):
            assert foreign not in page, f"the page loads something from elsewhere: {foreign}"
        assert "otel-cli" in page or "/v1/traces" in page, "no line that sends a span"


def restart(report, server):
    started = int(time.time()) - 10
    send(server, spans(25, "kept", "before"))
    mine = f'{CALLS}{{service_name="kept"}}'
    with report.check("answers before the restart: spans, up and a self-metric"):
        eventually(ANSWER_SECONDS, lambda: counted(server, mine, 25))
        eventually(ANSWER_SECONDS, lambda: counted(server, mine, 25, int(time.time()) - 2))
        eventually(20, lambda: server.query_range("up", started, int(time.time()), 1) or None)
        own = eventually(20, lambda: self_metric(server, started))
    time_of_answer = int(time.time()) - 2  # what was scraped until then is stored
    # The last moment's series is left out: a new one begins with a zero one window back, which may lie in this past.
    expressions = (f'{CALLS}{{service_name="kept",span_name="before"}}', f"sum by (le) ({LATENCY})", "up", own)

    def answers():
        return {expr: server.query_range(expr, started, time_of_answer, 1) for expr in expressions}

    before = answers()
    send(server, spans(7, "kept", "last-moment"))
    with report.check("SIGTERM right after an ack: a clean end within a second, exit code 0") as note:
        seconds, code = server.stop()
        note.say(f"{seconds:.2f} s, exit {code}")
        assert code == 0 and seconds < 1
    with report.check("ready again within a second on the same DIR") as note:
        seconds = server.start()
        note.say(f"ready after {seconds:.2f} s")
        assert seconds < 1
    with report.check("the past answers the same after the restart, up and a self-metric too"):
        after = answers()
        for expr in expressions:
            assert before[expr], f"{expr} had no answer before"
            assert after[expr] == before[expr], f"{expr}\nbefore {before[expr]}\nafter  {after[expr]}"
    with report.check("the spans acked at the last moment are there, once"):
        eventually(ANSWER_SECONDS, lambda: counted(server, mine, 32))
    with report.check("Ctrl-C ends it cleanly within a second too"):
        seconds, code = server.stop(signal.SIGINT)
        assert code == 0 and seconds < 1, f"{seconds:.2f} s, exit {code}"
    server.start()


def self_metric(server, since):
    names = server.api("label/__name__/values")["data"]
    for name in names:
        if name.startswith("tributary_") and server.query_range(name, since, int(time.time()), 1):
            return name
    return None


def second_process(report, server):
    with report.check("a second process on the same DIR is refused, and told which DIR"):
        told = refused(Server(server.directory, free_offset()))
        assert server.data in told, told
        assert server.query("up"), "the first process no longer answers"
    with report.check("an unknown format of DIR is refused, and nothing in it is touched"):
        strange = os.path.join(server.directory, "strange")
        os.makedirs(os.path.join(strange, "data"))
        note = os.path.join(strange, "data", "note.txt")
        with open(note, "w") as text:
            text.write("not a data folder\n")
        told = refused(Server(strange, free_offset()))
        assert "data" in told and os.listdir(os.path.dirname(note)) == ["note.txt"], told


def taken_ports(report, directory, offset):
    for port in PORTS:
        with report.check(f"port {port} taken: the error names it and --port-offset"):
            with socket.create_server(("127.0.0.1", port + offset)):
                told = refused(Server(directory, offset))
            assert str(port + offset) in told and "--port-offset" in told, told


def refused(server):
    """What it says when it will not start."""
    command = [server.binary, "dev", "--data", server.data, "--port-offset", str(server.offset)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        raise AssertionError("it went on instead of refusing") from None
    assert done.returncode != 0, f"exit 0: {done.stdout}{done.stderr}"
    assert "panicked" not in done.stderr, done.stderr
    return done.stdout + done.stderr
