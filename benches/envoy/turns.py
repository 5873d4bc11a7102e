"""Load from this process in turns of some milliseconds, and the CPU that one thread of a process uses for them.

Short turns over all contenders hit each of them with the same speed of the machine, which changes from second to second.
Knows no contender.
"""

import contextlib
import itertools
import os
import socket
import time
from pathlib import Path

from processes import BenchError

# In two groups: while one group's responses are read, Envoy has the requests of the other, so that it never idles.
CONNECTIONS = 16
# Before the measured part of a turn, so that caches have the contender's code and data again: a share of the turn.
WARM_UP = 0.25
# The worker has written the last response; it still has to delete the stream and to wait for the next event.
SETTLE_SECONDS = 0.000_5


@contextlib.contextmanager
def first_on(core):
    """This thread on one core, before other programs if this is root; not its later child processes' priority."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, cores)


def thread_named(pid, name):
    """The number of the thread of a process with this name."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise BenchError(f"process {pid} has no thread {name}")


class ThreadClock:
    """The CPU time of a thread. Exact while it waits; while it runs, up to a tick of the kernel late."""

    def __init__(self, pid, thread):
        self.path = f"/proc/{pid}/task/{thread}/schedstat"

    def seconds(self):
        with open(self.path, encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9


class Load:
    """Keep-alive connections to one port, and the requests that they send in turn."""

    def __init__(self, port, path):
        blocks = path.read_bytes().split(b"\r\n\r\n")[:-1]
        self.requests = itertools.cycle([block + b"\r\n\r\n" for block in blocks])
        self.sockets = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(CONNECTIONS)]
        for one in self.sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.size = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()

    def turn(self, clock, seconds):
        """Seconds of the thread's CPU, and the numbers of requests and of responses with 403. All responses of a
        contender have the same size."""
        self._run(seconds * WARM_UP)
        time.sleep(SETTLE_SECONDS)
        before = clock.seconds()
        count, refused = self._run(seconds)
        time.sleep(SETTLE_SECONDS)
        return clock.seconds() - before, count, refused

    def _run(self, seconds):
        half = CONNECTIONS // 2
        groups = itertools.cycle((self.sockets[:half], self.sockets[half:]))
        sending, count, refused = next(groups), 0, 0
        self._send(sending)
        end = time.monotonic() + seconds
        while True:
            waiting, sending = sending, next(groups)
            is_last = time.monotonic() >= end
            if not is_last:
                self._send(sending)
            for one in waiting:
                refused += self._status(one) == b"403"
            count += half
            if is_last:
                return count, refused

    def _send(self, group):
        requests = self.requests
        for one in group:
            one.send(next(requests))

    def _status(self, one):
        data = one.recv(65_536)
        if len(data) != self.size:
            while (end := data.find(b"\r\n\r\n")) < 0:
                data += _more(one)
            size = end + 4 + _content_length(data[:end])
            while len(data) < size:
                data += _more(one)
            if len(data) > size:
                raise BenchError("Envoy sent more than a response")
            self.size = size
        return data[9:12]


def _content_length(head):
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def _more(connection):
    data = connection.recv(65_536)
    if not data:
        raise BenchError("Envoy closed a connection of the load")
    return data
