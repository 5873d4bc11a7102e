"""CPU per request of every contender, in one Envoy.

Rows without records are measured in turns of milliseconds, by the CPU of Envoy's worker. Rows with records, and what they
are compared with, are measured in slices of a second, by the CPU of the whole process, since other threads send records.
"""

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
from turns import Load, ThreadClock, first_on, thread_named

# A slice is repeated if other programs used more of Envoy's core than this. Linux leaves them 5 % next to a realtime
# process (man 7 sched, sched_rt_runtime_us).
FOREIGN_SHARE = 0.06
RETRIES = 4
BASELINE_SLICES = 3
WORKER = "wrk:worker_0"


@dataclass
class Samples:
    """The measurements of one contender."""
    # CPU of the proxy, microseconds per request, one value per pass.
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

    def __init__(self, directory, plan, modules, empty_module, pattern):
        self.directory, self.plan, self.modules, self.empty_module = directory, plan, modules, empty_module
        self.pattern = pattern
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchError("a benchmark needs two cores at least: one for Envoy, one for its clients")
        self.envoy_core, self.client_core = cores[-1], cores[-2]
        self.service_core = cores[-3] if len(cores) > 2 else self.client_core
        self.watch = CoreWatch(self.envoy_core)
        self.rows = []
        # By key: of turns, or of slices for rows with records.
        self.samples = {}
        # By key: the slices of what rows with records are compared with.
        self.slices = {}
        self.noisy = 0
        self.repeated = 0
        self.random = random.Random(1)

    def run(self):
        need_wrk()
        rows = contenders.build(self.directory, self.empty_module, self.modules, self.plan)
        self.rows = [row for row in rows if row.key == "none" or self.pattern.search(row.key)]
        self.samples = {row.key: Samples() for row in self.rows}
        sending = [row for row in self.rows if row.sends]
        compared = {row.without for row in sending} & self.samples.keys()
        self.slices = {key: Samples() for key in ["none", *sorted(compared)]} if sending else {}
        listeners = {row.listener for row in self.rows}
        filters = {row.listener: row.http_filter for row in rows if row.http_filter and row.listener in listeners}
        filters["none"] = None
        with contextlib.ExitStack() as stack:
            simulators = self._simulators(stack)
            sinks = self._sinks(stack, simulators)
            requests = {row.key: self._requests(row) for row in self.rows}
            clusters = [contenders.cluster(contenders.source(*key), one.url) for key, one in simulators.items()]
            clusters += [contenders.cluster(contenders.sink(kinds), one.url) for kinds, one in sinks.items()]
            for number in range(1, self.plan.rounds + 1):
                self._round(number, filters, requests, clusters)
        return self

    def _simulators(self, stack):
        wanted = {(row.entries, row.kinds) for row in self.rows if row.group in self.modules and not row.in_file}
        print(f"starting {len(wanted)} ABS simulators", flush=True)
        return {key: stack.enter_context(Simulator(self.directory, contenders.source(*key), *key))
                for key in sorted(wanted)}

    def _sinks(self, stack, simulators):
        """On a separate core, apart from Envoy's and its clients'."""
        wanted = {row.kinds: (row.entries, row.kinds) for row in self.rows if row.sends}
        return {kinds: stack.enter_context(Sink(
                    self.directory, contenders.sink(kinds), simulators[key], cores=[self.service_core]))
                for kinds, key in wanted.items()}

    def _requests(self, row):
        path = self.directory / f"requests-{row.key}.txt"
        return traffic.write(path, row.kind, row.entries, row.kinds, bearer=row.bearer)

    def _extensions(self):
        """For lists in files."""
        files = {contenders.FILE: traffic.text_list(self.directory / "list.txt", row.entries)
                 for row in self.rows if row.in_file}
        return [contenders.list_files(self.modules["native"], files)] if files else []

    def _round(self, number, filters, requests, clusters):
        ports = dict(zip(filters, free_ports(len(filters)), strict=True))
        service_port = free_ports(1)[0]
        clusters = [*clusters, contenders.cluster("authz", f"http://127.0.0.1:{service_port}")]
        listeners = [contenders.listener(name, ports[name], http_filter) for name, http_filter in filters.items()]
        service = contenders.bootstrap([contenders.listener("authz", service_port, None)], [])
        config = contenders.bootstrap(listeners, clusters, self._extensions())
        with (Envoy(service, self.directory, cores=[self.service_core], name="authz") as authz,
              Envoy(config, self.directory, cores=[self.envoy_core]) as envoy):
            self._wait_for_lists(envoy, ports)
            envoy.put_workers_last()
            self._turns(envoy, authz, ports, requests)
            print(f"round {number} of {self.plan.rounds}: " + ", ".join(
                f"{row.key} {statistics.median(self.samples[row.key].added[-self.plan.turns:]):.2f}"
                for row in self.rows if not row.sends and row.key != "none") + " us over no filter", flush=True)
            if self.slices:
                self._slices(number, envoy, ports, requests)

    def _wait_for_lists(self, envoy, ports):
        """Waits until an entry of every list is denied."""
        for row in self.rows:
            if row.entries:
                last = traffic.request_bytes(traffic.listed(row.entries - 1, row.kinds))
                with Prober(ports[row.listener], 1) as prober:
                    wait_for(f"{row.title} to be enforced", lambda: (envoy.check(), prober.refused(last))[1] == 1)

    def _turns(self, envoy, authz, ports, requests):
        rows = [row for row in self.rows if not row.sends]
        clock = ThreadClock(envoy.child.pid, thread_named(envoy.child.pid, WORKER))
        with contextlib.ExitStack() as stack:
            loads = {row.key: stack.enter_context(Load(ports[row.listener], requests[row.key])) for row in rows}
            stack.enter_context(first_on(self.client_core))
            for row in rows:
                loads[row.key].turn(clock, self.plan.turn_seconds)
            for _ in range(self.plan.turns):
                costs, service = {row.key: [] for row in rows}, {}
                for row in self._order(rows):
                    before = authz.cpu_seconds()
                    cpu, count, refused = loads[row.key].turn(clock, self.plan.turn_seconds)
                    check_refused(row, count, refused)
                    costs[row.key].append(cpu / count * 1e6)
                    service[row.key] = (authz.cpu_seconds() - before) / count * 1e6
                note(self.samples, costs)
                if "ext_authz" in costs:
                    self.samples["ext_authz"].service.append(service["ext_authz"])

    def _slices(self, number, envoy, ports, requests):
        rows = [row for row in self.rows if row.sends or row.key in self.slices]
        for row in rows:
            self._slice(envoy, row, ports, requests, 1)
        for pass_number in range(1, self.plan.passes + 1):
            costs = {row.key: [] for row in rows}
            for row in self._order(rows):
                costs[row.key].append(self._slice(envoy, row, ports, requests, self.plan.seconds))
            note({**self.samples, **self.slices}, costs)
            print(f"round {number} of {self.plan.rounds}, pass {pass_number} of {self.plan.passes} with records: "
                  + ", ".join(f"{key} {statistics.mean(values):.2f}" for key, values in costs.items()) + " us", flush=True)

    def _order(self, rows):
        baseline = next(row for row in rows if row.key == "none")
        order = [row for row in rows if row is not baseline] + [baseline] * BASELINE_SLICES
        self.random.shuffle(order)
        return order

    def _slice(self, envoy, row, ports, requests, seconds):
        """Microseconds of Envoy's CPU per request."""
        for attempt in range(RETRIES):
            before = records(envoy) if row.sends else None
            busy, cpu = self.watch.busy_seconds(), envoy.cpu_seconds()
            result = wrk(ports[row.listener], requests[row.key], seconds, cores=[self.client_core])
            used = envoy.cpu_seconds() - cpu
            foreign = self.watch.busy_seconds() - busy - used
            lost = self._note_records(row, before, records(envoy)) if row.sends else 0
            check_refused(row, result["requests"], result["refused"])
            if foreign <= FOREIGN_SHARE * seconds and not lost:
                break
            if attempt < RETRIES - 1:
                self.repeated += 1
        else:
            self.noisy += 1
        return used / result["requests"] * 1e6

    def _note_records(self, row, before, after):
        sent, lost = (now - then for now, then in zip(after, before, strict=True))
        self.samples[row.key].sent += sent
        self.samples[row.key].lost += lost
        if not sent:
            raise BenchError(f"{row.title}: no record reached the sink")
        return lost


def check_refused(row, count, refused):
    """Either all or no requests of a row are denied."""
    expected = count if row.kind == traffic.BLOCKED else 0
    if refused != expected:
        raise BenchError(f"{row.title}: {refused} of {count} requests were refused, expected {expected}")


def note(samples, costs):
    """Adds the costs of one pass."""
    baseline = statistics.mean(costs["none"])
    for key, values in costs.items():
        samples[key].total.append(statistics.mean(values))
        samples[key].added.append(statistics.mean(values) - baseline)


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


def added_by(over, under):
    """What one row adds to another, in microseconds, and its 95 % interval."""
    return _with_interval(lambda of: statistics.median(of(_less(over, under))), len(over.total))


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
