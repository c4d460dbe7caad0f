"""A small disk in memory that fills and empties: it needs root."""
import contextlib
import os
import subprocess
import threading

BYTES = 384 << 20  # the shards' databases set 4 MiB aside each, and as much again while they roll over
REFILL_SECONDS = 0.015


class SmallDisk:
    def __init__(self, point):
        self.point = point
        os.makedirs(point, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", point], check=True)

    def free_bytes(self):
        found = os.statvfs(self.point)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def full(self):
        """Full as long as this lasts: what others free meanwhile is taken."""
        over = threading.Event()
        ballast = os.path.join(self.point, "ballast")
        keeper = threading.Thread(target=self._keep_full, args=(ballast, over))
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()
            os.remove(ballast)

    def _keep_full(self, ballast, over):
        with open(ballast, "wb") as file:
            while not over.is_set():
                free = self.free_bytes()
                if free:
                    with contextlib.suppress(OSError):  # somebody was quicker: then it is full all the same
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)
                over.wait(REFILL_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.point], check=True)
