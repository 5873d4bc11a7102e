"""CPU per request of every contender, in one Envoy."""

import contextlib
import math
import os
import random
import statistics
from dataclasses import dataclass, field

import contenders
import traffic
from processes import BenchError, CoreWatch, Envoy, Simulator, Sink, free_ports, need_wrk, wait_for, wrk
from probe import Prober

# A slice is repeated if other programs used more of Envoy's core than this. Linux leaves them 5 % next to a realtime
# process (man 7 sched, sched_rt_runtime_us).
FOREIGN_SHARE = 0.06
RETRIES = 4
BASELINE_SLICES = 3


@dataclass
class Samples:
    """The measurements of one contender."""
    # CPU of the proxy, microseconds per request, one value per slice.
    total: list = field(default_factory=list)
    # The same over no filter, in the same pass.
    added: list = field(default_factory=list)
    # CPU of the external service, microseconds per request; ext_authz only.
    service: list = field(default_factory=list)
    # enable_abs only: records that ABS accepted, and records that did not reach it.
    sent: int = 0
    lost: int = 0


class CpuBench:
    """Runs rounds, each with a fresh Envoy and passes over all contenders in random order."""

    def __init__(self, directory, plan, module, empty_module, pattern):
        self.directory, self.plan, self.empty_module = directory, plan, empty_module
        self.module = module
        self.pattern = pattern
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchError("a benchmark needs two cores at least: one for Envoy, one for its clients")
        self.envoy_core, self.client_core = cores[-1], cores[-2]
        self.service_core = cores[-3] if len(cores) > 2 else self.client_core
        self.watch = CoreWatch(self.envoy_core)
        self.samples = {}
        self.rows = []
        self.noisy = 0
        self.repeated = 0
        self.random = random.Random(1)

    def run(self):
        need_wrk()
        with contextlib.ExitStack() as stack:
            simulators = self._simulators(stack) if self.module else {}
            names = {key: f"abs-{key[1]}-{key[0]}" for key in simulators}
            sinks = self._sinks(stack, simulators)
            rows = contenders.build(
                self.directory, self.empty_module, self.module, names,
                {kinds: f"sink-{kinds}" for kinds in sinks}, self.plan.sizes, self.plan.lua_entries,
                self.plan.rbac_entries, self.plan.trie_entries)
            keep = [row for row in rows if row.key == "none" or self.pattern.search(row.key)]
            listeners = {row.listener for row in keep}
            filters = {row.listener: row.http_filter for row in rows if row.http_filter and row.listener in listeners}
            filters["none"] = None
            self.rows = keep
            self.samples = {row.key: Samples() for row in keep}
            requests = {row.key: self._requests(row) for row in keep}
            clusters = [contenders.cluster(names[key], simulator.url) for key, simulator in simulators.items()]
            clusters += [contenders.cluster(f"sink-{kinds}", sink.url) for kinds, sink in sinks.items()]
            for number in range(1, self.plan.rounds + 1):
                self._round(number, filters, requests, clusters)
        return self

    def _simulators(self, stack):
        wanted = [(0, "ips")] + [(size, kinds) for kinds in ("ips", "mixed") for size in self.plan.sizes]
        print(f"starting {len(wanted)} ABS simulators", flush=True)
        return {key: stack.enter_context(Simulator(self.directory, f"abs-{key[1]}-{key[0]}", *key))
                for key in wanted}

    def _sinks(self, stack, simulators):
        """On a separate core, apart from Envoy's and its clients'."""
        largest = self.plan.sizes[-1]
        return {kinds: stack.enter_context(Sink(
                    self.directory, f"sink-{kinds}", simulator, cores=[self.service_core]))
                for (entries, kinds), simulator in simulators.items() if entries == largest}

    def _requests(self, row):
        path = self.directory / f"requests-{row.key}.txt"
        return traffic.write(path, row.kind, row.entries, row.kinds, bearer=row.bearer)

    def _round(self, number, filters, requests, clusters):
        ports = dict(zip(filters, free_ports(len(filters)), strict=True))
        service_port = free_ports(1)[0]
        clusters = [*clusters, contenders.cluster("authz", f"http://127.0.0.1:{service_port}")]
        listeners = [contenders.listener(name, ports[name], http_filter) for name, http_filter in filters.items()]
        service = contenders.bootstrap([contenders.listener("authz", service_port, None)], [])
        with (Envoy(service, self.directory, cores=[self.service_core], name="authz") as authz,
              Envoy(contenders.bootstrap(listeners, clusters), self.directory, cores=[self.envoy_core]) as envoy):
            self._wait_for_lists(envoy, ports)
            for row in self.rows:
                self._slice(envoy, row, ports, requests, 1)
            for pass_number in range(1, self.plan.passes + 1):
                self._pass(envoy, authz, ports, requests)
                first = ", ".join(f"{row.key} {self.samples[row.key].total[-1]:.2f}" for row in self.rows[:4])
                print(f"round {number} of {self.plan.rounds}, pass {pass_number} of {self.plan.passes}: "
                      f"{first} us ...", flush=True)

    def _wait_for_lists(self, envoy, ports):
        """Waits until an entry of every list is denied."""
        for row in self.rows:
            if row.entries:
                last = traffic.request_bytes(traffic.listed(row.entries - 1, row.kinds))
                with Prober(ports[row.listener], 1) as prober:
                    wait_for(f"{row.title} to be enforced", lambda: (envoy.check(), prober.refused(last))[1] == 1)

    def _pass(self, envoy, authz, ports, requests):
        baseline_row, *others = self.rows
        order = [*others, *[baseline_row] * BASELINE_SLICES]
        self.random.shuffle(order)
        costs, service = {row.key: [] for row in self.rows}, {}
        for row in order:
            before = authz.cpu_seconds()
            cost, responses = self._slice(envoy, row, ports, requests, self.plan.seconds)
            costs[row.key].append(cost)
            service[row.key] = (authz.cpu_seconds() - before) / responses * 1e6
        baseline = statistics.mean(costs["none"])
        for row in self.rows:
            samples, cost = self.samples[row.key], statistics.mean(costs[row.key])
            samples.total.append(cost)
            samples.added.append(cost - baseline)
            samples.service.append(service[row.key] if row.key == "ext_authz" else 0.0)

    def _slice(self, envoy, row, ports, requests, seconds):
        """Microseconds of Envoy's CPU per request, and the number of requests."""
        for attempt in range(RETRIES):
            before = records(envoy) if row.sends else None
            busy, cpu = self.watch.busy_seconds(), envoy.cpu_seconds()
            result = wrk(ports[row.listener], requests[row.key], seconds, cores=[self.client_core])
            used = envoy.cpu_seconds() - cpu
            foreign = self.watch.busy_seconds() - busy - used
            lost = self._note_records(row, before, records(envoy)) if row.sends else 0
            expected = result["requests"] if row.kind == traffic.BLOCKED else 0
            if result["refused"] != expected:
                raise BenchError(f"{row.title}: {result['refused']} of {result['requests']} requests were refused, "
                                 f"expected {expected}")
            if foreign <= FOREIGN_SHARE * seconds and not lost:
                break
            if attempt < RETRIES - 1:
                self.repeated += 1
        else:
            self.noisy += 1
        return used / result["requests"] * 1e6, result["requests"]


    def _note_records(self, row, before, after):
        sent, lost = (now - then for now, then in zip(after, before, strict=True))
        self.samples[row.key].sent += sent
        self.samples[row.key].lost += lost
        if not sent:
            raise BenchError(f"{row.title}: no record reached the sink")
        return lost


def records(envoy):
    """Records that ABS accepted, and records that did not reach it, so far, of all filters."""
    counters = envoy.stats(r"portcullis\.traffic\.")

    def total(*names):
        return sum(value for name, value in counters.items() if name.endswith(names))

    return total(".sent"), total(".dropped", ".failed")


def ratio(over, under):
    """Ratio of two rows' medians of added CPU, and its 95 % interval."""
    return _with_interval(lambda of: _quotient(of(over.added), of(under.added)), len(over.added))


def ratio_of_more(over, under):
    """What one row adds to another, divided by what that one adds to no filter, and its 95 % interval."""
    return _with_interval(lambda of: _quotient(of(_less(over, under)), of(under.added)), len(over.added))


def _less(over, under):
    """Pass by pass, so that effects of a pass on both cancel out."""
    return [one - other for one, other in zip(over.total, under.total, strict=True)]


def _quotient(over, under):
    above, below = statistics.median(over), statistics.median(under)
    # A ratio over zero or less is meaningless.
    return above / below if below > 0 else math.nan


def _with_interval(figure, passes, resamples=2000):
    """A figure of values by pass, and its 95 % interval by resampling the passes. `figure` takes a function that selects
    the values of the sampled passes."""
    chance = random.Random(2)
    seen = []
    for _ in range(resamples):
        picked = chance.choices(range(passes), k=passes)
        seen.append(figure(lambda values, picked=picked: [values[one] for one in picked]))
    seen = sorted(value for value in seen if not math.isnan(value)) or [math.nan]
    return figure(lambda values: values), seen[int(len(seen) * 0.025)], seen[max(int(len(seen) * 0.975) - 1, 0)]
