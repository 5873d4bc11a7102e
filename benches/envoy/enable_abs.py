"""The cost of `enable_abs` in addition to CPU: latency at a fixed rate, and memory with a responding and a deaf ABS."""

import contextlib
import os
import random
from dataclasses import dataclass, field

import contenders
import traffic
from cpu import records
from processes import BenchError, Envoy, Simulator, Sink, free_ports, oha, wait_for, wrk
from probe import Prober
from refresh import WORKERS, Sending, Setup

# Requests a second in total: far from saturation, but several batches a second from each worker.
RATE = 4_000
CONNECTIONS = 32

QUEUE_MEMORY = 4 << 20
BATCH_BYTES = 256 << 10
# The defaults, explicitly.
SECTION = {"format": "batch", "queue_memory": "4MB", "batch_bytes": "256KB"}
# Short enough for calls without a response to time out and be repeated within a run.
DEAF_TIMEOUT = "2s"
QUEUE_CONNECTIONS = 64


@dataclass
class Latency:
    """Microseconds, one value per round."""
    p50: list = field(default_factory=list)
    p99: list = field(default_factory=list)
    p999: list = field(default_factory=list)
    requests: int = 0


def placement():
    """Cores of the sink, the clients and Envoy. With fewer than three cores the sink shares the clients'."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("a benchmark needs two cores at least: one for Envoy, one for its clients")
    return ([cores[0]], [cores[1]], cores[2:]) if len(cores) > 2 else ([cores[0]], [cores[0]], [cores[1]])


def latency(directory, module, entries, rounds, seconds):
    """One Envoy with two filters, `enable_abs` on and off, measured in random order each round. Also returns the number of
    workers."""
    sink_cores, client_cores, envoy_cores = placement()
    filters = {"off": None, "on": SECTION}
    results = {name: Latency() for name in filters}
    chance = random.Random(3)
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(Simulator(directory, "abs-latency", entries, "mixed"))
        sink = stack.enter_context(Sink(directory, "sink-latency", simulator, cores=sink_cores))
        ports = dict(zip(filters, free_ports(len(filters)), strict=True))
        listeners = [contenders.listener(name, ports[name], contenders.portcullis_filter(
            module, name, "abs", 86_400, traffic_section=section), balance=True) for name, section in filters.items()]
        envoy = stack.enter_context(Envoy(
            contenders.bootstrap(listeners, [contenders.cluster("abs", sink.url)]), directory, len(envoy_cores),
            cores=envoy_cores, name="envoy-latency"))
        listed = traffic.request_bytes(traffic.listed(entries - 1, "mixed"))
        for port in ports.values():
            with Prober(port, 2 * len(envoy_cores)) as prober:
                wait_for("the list on all workers",
                         lambda prober=prober: (envoy.check(), prober.refused(listed))[1] == 2 * len(envoy_cores))
            oha(port, traffic.clean(0), RATE, 1, CONNECTIONS, client_cores)
        before = records(envoy)
        for number in range(1, rounds + 1):
            order = list(filters)
            chance.shuffle(order)
            for name in order:
                taken = oha(ports[name], traffic.clean(0), RATE, seconds, CONNECTIONS, client_cores)
                result = results[name]
                result.requests += taken["requests"]
                for quantile in ("p50", "p99", "p999"):
                    getattr(result, quantile).append(taken[quantile])
            print(f"round {number} of {rounds}: p99 {results['off'].p99[-1]:.0f} us with enable_abs off, "
                  f"{results['on'].p99[-1]:.0f} us with it on", flush=True)
        sent, lost = (now - then for now, then in zip(records(envoy), before, strict=True))
        if lost or sent < 0.9 * results["on"].requests:
            raise BenchError(f"of {results['on'].requests} records {sent} reached the sink, {lost} were lost")
    return results["off"], results["on"], len(envoy_cores)


@dataclass
class Queues:
    """Envoy's bytes, and numbers of records."""
    resident: int
    requests: int
    sent: int
    lost: int


# The compared setups, by name.
SINKS = {"off": None, "responding": Sending(SECTION), "deaf": Sending(SECTION, DEAF_TIMEOUT, deaf=True)}


def queues(directory, module, name, seconds):
    """Resident memory of a fresh Envoy at the end of a run at full speed. With a small list, since a large one would leave
    memory in the allocator that hides the difference."""
    requests = traffic.write(directory / "requests-queues.txt", traffic.CLEAN)
    with Setup(directory, module, WORKERS, 1_000, "mixed", 86_400, SINKS[name]) as setup:
        result = wrk(setup.port, requests, seconds, connections=QUEUE_CONNECTIONS)
        resident = setup.envoy.resident_bytes()
        sent, lost = records(setup.envoy)
        if name == "deaf" and not lost:
            raise BenchError(f"{result['requests']} requests did not fill the queues")
        return Queues(resident, result["requests"], sent, lost)
