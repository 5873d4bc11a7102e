"""Several feeds at once: the CPU of a clean request, memory, and what reading CrowdSec's decisions holds up."""

import contextlib
import os
import random
import statistics
import time

import contenders
import traffic
from cpu import BASELINE_SLICES, Samples
from probe import Prober
from processes import BenchError, Envoy, Simulator, fetch, free_ports, need_wrk, wait_for, wrk
from refresh import MIB, PROBES_A_WORKER, SETTLE_SECONDS, WORKERS

FEEDS = 4
ENTRIES = r"portcullis\.attack_list\.source=crowdsec\.entries"


def feed(name, cluster, interval, **keys):
    """A feed of ABS's format, which has all five kinds; its keys are those of the simulator and no secret."""
    keys = {"format": "abs", "headers": {"x-abs-ak": "abs_ak", "x-abs-sk": "abs_sk"}, **keys}
    return {"name": name, "cluster": cluster, "interval": f"{interval}s", **keys}


def several(module, name, clusters, interval):
    """The filter with one feed for each cluster."""
    feeds = [feed(f"feed{index}", one, interval) for index, one in enumerate(clusters)]
    return contenders.filter_of(module, name, {"feeds": feeds})


def lapi(stack, directory, entries):
    """A simulated CrowdSec LAPI with decisions on addresses."""
    simulator = stack.enter_context(Simulator(directory, "lapi"))
    body = {"entries": entries, "kinds": "ips", "seed": 1, "duration": "4h"}
    if fetch(f"{simulator.url}/admin/decisions/generate", body, "POST") is None:
        raise BenchError(f"the simulator refused to generate {body}")
    return simulator


def crowdsec(module, name, interval):
    """The filter with the decisions of the cluster `lapi`; the key is the simulator's and no secret."""
    one = {"name": "crowdsec", "format": "crowdsec", "cluster": "lapi", "interval": f"{interval}s",
           "headers": {"x-api-key": "lapi_key"}}
    return contenders.filter_of(module, name, {"feeds": [one]})


def cpu(directory, module, entries, decisions_, rounds, passes, seconds):
    """One feed with all entries, several feeds with a part of them each, CrowdSec's decisions, and ext_authz that allows."""
    need_wrk()
    cores = sorted(os.sched_getaffinity(0))
    names = [f"part{index}" for index in range(FEEDS)]
    chance = random.Random(3)
    samples = {key: Samples() for key in ("one", "several", "crowdsec", "ext_authz")}
    requests = traffic.write(directory / "requests-feeds.txt", traffic.CLEAN)
    with contextlib.ExitStack() as stack:
        whole = stack.enter_context(Simulator(directory, "whole", entries, "mixed"))
        parts = [stack.enter_context(Simulator(directory, name, entries // FEEDS, "mixed")) for name in names]
        for seed, part in enumerate(parts, 1):
            part.generate(seed)
        local_api = lapi(stack, directory, decisions_)
        for number in range(1, rounds + 1):
            ports = dict(zip(("none", *samples), free_ports(5), strict=True))
            service_port = free_ports(1)[0]
            filters = {
                "none": None,
                "one": several(module, "one", ["whole"], 86_400),
                "several": several(module, "several", names, 86_400),
                "crowdsec": crowdsec(module, "crowdsec", 86_400),
                "ext_authz": contenders.ext_authz_filter("authz"),
            }
            clusters = [contenders.cluster(name, one.url) for name, one in zip(names, parts, strict=True)]
            clusters += [contenders.cluster("whole", whole.url), contenders.cluster("lapi", local_api.url),
                         contenders.cluster("authz", f"http://127.0.0.1:{service_port}")]
            listeners = [contenders.listener(name, ports[name], one) for name, one in filters.items()]
            service = contenders.bootstrap([contenders.listener("authz", service_port, None)], [])
            with (Envoy(service, directory, cores=[cores[-2]], name="authz"),
                  Envoy(contenders.bootstrap(listeners, clusters), directory, cores=[cores[-1]]) as envoy):
                wait_denied(envoy, ports["one"], [1], entries)
                wait_denied(envoy, ports["several"], range(1, FEEDS + 1), entries // FEEDS)
                wait_for("CrowdSec's decisions", lambda: sum(envoy.stats(ENTRIES).values()) == decisions_)
                # The worker loads them at its next ticks.
                time.sleep(SETTLE_SECONDS)
                for pass_number in range(1, passes + 1):
                    order = [*samples, *["none"] * BASELINE_SLICES]
                    chance.shuffle(order)
                    costs = {}
                    for key in order:
                        before = envoy.cpu_seconds()
                        result = wrk(ports[key], requests, seconds, cores=[cores[-2]])
                        if result["refused"]:
                            raise BenchError(f"{key}: {result['refused']} clean requests were refused")
                        cost = (envoy.cpu_seconds() - before) / result["requests"] * 1e6
                        costs.setdefault(key, []).append(cost)
                    baseline = statistics.mean(costs["none"])
                    for key, one in samples.items():
                        one.added.append(costs[key][0] - baseline)
                    print(f"round {number} of {rounds}, pass {pass_number} of {passes}: " + ", ".join(
                        f"{key} {one.added[-1]:.2f}" for key, one in samples.items()), flush=True)
    return samples


def wait_denied(envoy, port, seeds, entries):
    """Waits until the last entry of every list is denied."""
    with Prober(port, 1) as prober:
        for seed in seeds:
            last = traffic.request_bytes(traffic.listed(entries - 1, "mixed", seed))
            wait_for(f"list {seed}", lambda last=last: (envoy.check(), prober.refused(last))[1] == 1)


def memory(directory, module, entries, refreshes, interval):
    """Resident bytes with several feeds: empty, after the first load, and after each refresh with unrelated lists."""
    names = [f"part{index}" for index in range(FEEDS)]

    def envoy_with(stack, size, seconds):
        parts = [stack.enter_context(Simulator(directory, name, size, "mixed")) for name in names]
        port = free_ports(1)[0]
        clusters = [contenders.cluster(name, one.url) for name, one in zip(names, parts, strict=True)]
        listener = contenders.listener(
            "clients", port, several(module, "several", names, seconds), balance=True)
        return parts, port, stack.enter_context(
            Envoy(contenders.bootstrap([listener], clusters), directory, WORKERS, name="envoy-feeds"))

    with contextlib.ExitStack() as stack:
        parts, _, envoy = envoy_with(stack, 0, 86_400)
        wait_for("the first fetches", lambda: all(one.counters().get("attacklist_get", 0) for one in parts))
        time.sleep(SETTLE_SECONDS)
        empty = envoy.resident_bytes()
    with contextlib.ExitStack() as stack:
        parts, port, envoy = envoy_with(stack, entries, interval)
        connections = PROBES_A_WORKER * WORKERS
        prober = stack.enter_context(Prober(port, connections))

        def wait_enforced(seeds):
            for seed in seeds:
                request = traffic.request_bytes(traffic.listed(entries - 1, "mixed", seed))
                wait_for(f"list {seed} on all workers",
                         lambda request=request: (envoy.check(), prober.refused(request))[1] == connections)

        def generate(seeds):
            for seed, part in zip(seeds, parts, strict=True):
                part.generate(seed)

        generate(range(1, FEEDS + 1))
        wait_enforced(range(1, FEEDS + 1))
        time.sleep(SETTLE_SECONDS)
        first, after = envoy.resident_bytes(), []
        for number in range(1, refreshes + 1):
            seeds = range(1 + number * FEEDS, 1 + (number + 1) * FEEDS)
            generate(seeds)
            wait_enforced(seeds)
            after.append(envoy.resident_bytes())
            print(f"refresh {number} of {refreshes}: {after[-1] / MIB:.1f} MB resident", flush=True)
    return empty, first, after


def decisions(directory, module, entries, seconds, interval):
    """The longest turns of the main thread and of a worker, in microseconds, while CrowdSec's decisions are refreshed."""
    with contextlib.ExitStack() as stack:
        port = free_ports(1)[0]
        filter_ = crowdsec(module, "decisions", interval)
        config = contenders.bootstrap([contenders.listener("clients", port, filter_, balance=True)],
                                      [contenders.cluster("lapi", lapi(stack, directory, entries).url)])
        envoy = stack.enter_context(Envoy(config, directory, WORKERS, name="envoy-decisions"))

        def fetched():
            return sum(envoy.stats(r"portcullis\.fetch\.source=crowdsec\.result=ok").values())

        wait_for("the first list", fetched)
        patterns = {"main": r"server\.dispatcher\.loop_duration_us", "worker": r"worker_\d+\.dispatcher\.loop_duration_us"}
        # Envoy merges the workers' histograms every five seconds.
        time.sleep(6)
        before, start = fetched(), {who: envoy.histogram(pattern) for who, pattern in patterns.items()}
        time.sleep(seconds + 6)
        counts = envoy.stats(ENTRIES)
        turns = {}
        for who, pattern in patterns.items():
            upto = [(bound, count - start[who].get(bound, 0)) for bound, count in sorted(envoy.histogram(pattern).items())]
            most = max(count for _, count in upto)
            turns[who] = next(bound for bound, count in upto if count == most)
        return fetched() - before, sum(counts.values()), turns

