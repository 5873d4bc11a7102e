"""The cost of a refresh: memory, time to enforcement, the longest hold of a worker, fetches per interval."""

import contextlib
import os
import time
from dataclasses import dataclass

import contenders
import traffic
from probe import Prober
from processes import Envoy, Simulator, Sink, free_ports, wait_for, wrk

MIB = 1 << 20
WORKERS = 4
MANY_WORKERS = 16
PROBES_A_WORKER = 2
SETTLE_SECONDS = 3


@dataclass(frozen=True)
class Sending:
    """A sink between the filter and ABS; with a section `traffic`, `enable_abs` is on."""
    section: dict | None = None
    timeout: str = "30s"
    # The sink never responds.
    deaf: bool = False


class Setup:
    """One Envoy with the filter and one simulator; no core is pinned, as in production."""

    def __init__(self, directory, module, concurrency, entries, kinds, refresh_seconds, sending=None):
        """`sending` of `None`: no sink, and `enable_abs` is off."""
        self.directory, self.module, self.concurrency = directory, module, concurrency
        self.entries, self.kinds, self.refresh_seconds = entries, kinds, refresh_seconds
        self.sending = sending
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.simulator = self.stack.enter_context(
                Simulator(self.directory, "abs-refresh", self.entries, self.kinds))
            self.port = free_ports(1)[0]
            abs_url, options = self.simulator.url, {}
            if self.sending:
                self.sink = self.stack.enter_context(
                    Sink(self.directory, "sink-refresh", self.simulator, deaf=self.sending.deaf))
                abs_url = self.sink.url
                options = {"traffic_section": self.sending.section, "abs_timeout": self.sending.timeout}
            http_filter = contenders.portcullis_filter(
                self.module, "portcullis", "abs", self.refresh_seconds, **options)
            config = contenders.bootstrap(
                [contenders.listener("clients", self.port, http_filter, balance=True)],
                [contenders.cluster("abs", abs_url)])
            self.envoy = self.stack.enter_context(
                Envoy(config, self.directory, self.concurrency, name="envoy-refresh"))
            self.prober = self.stack.enter_context(Prober(self.port, PROBES_A_WORKER * self.concurrency))
            self.wait_enforced(1)
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def fetches(self):
        return self.simulator.counters().get("attacklist_get", 0)

    def wait_enforced(self, seed):
        """Waits until every connection, and so every worker, is denied by an entry that only this list has."""
        if not self.entries:
            wait_for("the first fetch", lambda: self.fetches() >= 1)
            return
        request = traffic.request_bytes(traffic.listed(self.entries - 1, self.kinds, seed))
        connections = PROBES_A_WORKER * self.concurrency
        wait_for(f"list {seed} on all workers",
                 lambda: (self.envoy.check(), self.prober.refused(request))[1] == connections, pause=0.005)


@dataclass
class Memory:
    """Resident memory of Envoy, bytes."""
    first: int
    after: list
    peak: int


def memory(directory, module, concurrency, entries, refreshes=0, refresh_seconds=86_400):
    """Memory once the first list is enforced, and after each refresh with an unrelated list."""
    with Setup(directory, module, concurrency, entries, "mixed", refresh_seconds) as setup:
        time.sleep(SETTLE_SECONDS)
        first, after = setup.envoy.resident_bytes(), []
        for seed in range(2, 2 + refreshes):
            setup.simulator.generate(seed)
            setup.wait_enforced(seed)
            after.append(setup.envoy.resident_bytes())
            print(f"refresh {seed - 1} of {refreshes}: {after[-1] / MIB:.1f} MB resident", flush=True)
        return Memory(first, after, setup.envoy.peak_resident_bytes())


@dataclass
class Hold:
    """Steady traffic with refreshes, or without them."""
    refreshes: int
    requests: int
    p50_us: int
    p99_us: int
    p999_us: int
    max_us: int
    # Longest iteration of a worker's event loop: the upper bound of Envoy's bucket, microseconds.
    longest_turn_us: int


def hold(directory, module, entries, seconds, refresh_seconds):
    """Steady traffic on two workers: about 1 request a millisecond and connection, far from saturation."""
    requests = traffic.write(directory / "requests-hold.txt", traffic.CLEAN)
    pattern = r"worker_\d+\.dispatcher\.loop_duration_us"
    with Setup(directory, module, 2, entries, "mixed", refresh_seconds) as setup:
        # An iteration of a worker that waits for a core is no hold.
        setup.envoy.put_workers_first()
        time.sleep(SETTLE_SECONDS)
        before, fetched = setup.envoy.histogram(pattern), setup.fetches()
        result = wrk(setup.port, requests, seconds, connections=8, delay_ms=1)
        # Envoy merges the workers' histograms every five seconds.
        time.sleep(6)
        after, fetched = setup.envoy.histogram(pattern), setup.fetches() - fetched
        turns = {bound: count - before.get(bound, 0) for bound, count in sorted(after.items())}
        longest = next(bound for bound, count in turns.items() if count == max(turns.values()))
        del result["refused"], result["broken"]
        return Hold(refreshes=fetched, longest_turn_us=int(longest), **result)


def time_to_enforcement(directory, module, entries, kinds, repeats, refresh_seconds):
    """Seconds until all workers deny an entry of a new list: from the fetch's arrival at ABS, and from the last byte of the
    response."""
    from_fetch, from_last_byte = [], []
    with Setup(directory, module, WORKERS, entries, kinds, refresh_seconds, Sending()) as setup:
        for seed in range(2, 2 + repeats):
            # From now on, only the new list is no 304.
            begun = time.monotonic()
            setup.simulator.generate(seed)
            arrived, written = wait_for(
                "the next list", lambda begun=begun: _fetch_after(setup.sink, begun), pause=0.002)
            setup.wait_enforced(seed)
            enforced = time.monotonic()
            from_fetch.append(enforced - arrived)
            from_last_byte.append(enforced - written)
    return from_fetch, from_last_byte


def _fetch_after(sink, moment):
    """The times of the last fetch that got a list, if its response was written after this moment."""
    arrived, written = sink.last_fetch()
    return (arrived, written) if written > moment else None


@dataclass
class FileMemory:
    """A list in a file, bytes: Envoy's resident memory, the same at its peak, and the list by the filter's metric."""
    resident: int
    peak: int
    list: int


def memory_of_file(directory, module, entries):
    """The native module's memory with a text list of addresses."""
    path = traffic.text_list(directory / f"list-{entries}.txt", entries)
    port = free_ports(1)[0]
    config = contenders.bootstrap(
        [contenders.listener("clients", port, contenders.text_filter(module, "clients", contenders.FILE), balance=True)],
        [], [contenders.list_files(module, {contenders.FILE: path})])
    last = traffic.request_bytes(traffic.listed(entries - 1, "ips"))
    connections = PROBES_A_WORKER * WORKERS
    with (Envoy(config, directory, WORKERS, name="envoy-file") as envoy, Prober(port, connections) as prober):
        wait_for("the file on all workers", lambda: (envoy.check(), prober.refused(last))[1] == connections)
        time.sleep(SETTLE_SECONDS)
        size = sum(envoy.stats(r"portcullis\.attack_list\.source=addresses\.bytes").values())
        return FileMemory(envoy.resident_bytes(), envoy.peak_resident_bytes(), size)


def fetches_an_interval(directory, module, concurrency, intervals, refresh_seconds):
    """Times of the fetches over some intervals, in seconds, after the first list."""
    moments = []
    with Setup(directory, module, concurrency, 1_000, "mixed", refresh_seconds) as setup:
        seen, end = setup.fetches(), time.monotonic() + intervals * refresh_seconds
        while (now := time.monotonic()) < end:
            count = setup.fetches()
            moments += [now] * (count - seen)
            seen = count
            time.sleep(0.01)
    return moments


def cores():
    return len(os.sched_getaffinity(0))
