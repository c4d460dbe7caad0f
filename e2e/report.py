"""One line per check, with its verdict and the time it took; and the count at the end."""
import contextlib
import os
import sys
import time
import traceback


class Report:
    def __init__(self):
        self.passed = self.failed = 0
        self.theme = ""

    @contextlib.contextmanager
    def check(self, name):
        """A failed check is reported and counted, and the walk goes on."""
        began, note = time.monotonic(), Note()
        try:
            yield note
        except Exception as failure:
            self.failed += 1
            self._line("FAIL", name, began, note)
            reason = str(failure) if isinstance(failure, AssertionError) and str(failure) else traceback.format_exc()
            print("      " + reason.strip().replace("\n", "\n      "), flush=True)
        else:
            self.passed += 1
            self._line("PASS", name, began, note)

    def _line(self, verdict, name, began, note):
        extra = f"; {note.text}" if note.text else ""
        print(f"{verdict}  {self.theme}: {name}  ({time.monotonic() - began:.2f} s{extra})", flush=True)

    def run(self, theme, walk, directory):
        """A theme that cannot go on (its server does not start, say) is one failure."""
        self.theme, before = theme, self.failed
        try:
            walk(self, directory)
        except Exception:
            self.failed += 1
            print(f"FAIL  {theme}: could not go on\n{traceback.format_exc()}", flush=True)
        if self.failed > before:
            logs = [os.path.join(at, f) for at, _, files in os.walk(directory) for f in files if f == "server.log"]
            print(f"      logs: {' '.join(logs) or 'none'}", flush=True)

    def summary(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed else 0)


class Note:
    """Something measured, to be told beside the verdict."""

    text = ""

    def say(self, text):
        self.text = text
