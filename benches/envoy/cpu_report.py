"""The section and the bars of CPU per request."""

import statistics

import report
from cpu import added_by, ratio, ratio_of_more
from report import Bar

WORDS = {"ips": "addresses", "mixed": "of all kinds"}


def cpu_section(bench, plan):
    text = ["## CPU a request", "", report.table(report.CPU_HEAD, report.cpu_rows(bench)), ""]
    authz = bench.samples.get("ext_authz")
    if authz:
        text.append(f"ext_authz costs {statistics.median(authz.service):.1f} µs a request more in the service.")
    text.append(
        f"{plan.rounds} rounds, each with a fresh Envoy; {plan.turns} passes a round over all contenders without records in "
        f"random order, turns of {plan.turn_seconds * 1000:.0f} ms, CPU of the worker.")
    sending = [bench.samples[row.key] for row in bench.rows if row.sends]
    if sending:
        text.append(
            f"With enable_abs on, and what that is compared with: {plan.passes} passes a round, slices of {plan.seconds} s, CPU "
            f"of the whole process. {bench.repeated} slices were repeated because other programs took more than 6 % of Envoy's "
            f"core, or because a record was lost; {bench.noisy} remained so. {sum(one.sent for one in sending):,} records "
            f"reached the sink and {sum(one.lost for one in sending):,} were lost.")
    return "\n".join(text)


def cpu_bars(bench, plan):
    return _wasm_bars(bench, plan) + _native_bars(bench, plan)


def _ratio(bench, what, over, under, limit):
    """The bar of a ratio, unless one of the rows was not measured."""
    samples = bench.samples
    if over not in samples or under not in samples:
        return []
    value, low, high = ratio(samples[over], samples[under])
    return [Bar(what, value, limit, note=f"ratio of the CPU added to no filter; 95 % interval {low:.3g} to {high:.3g}")]


def _wasm_bars(bench, plan):
    large, small, hundred_thousand = plan.sizes[-1], plan.sizes[0], plan.lua_entries
    bars = []

    def add(what, over, under, limit):
        bars.extend(_ratio(bench, f"wasm: {what}", over, under, limit))

    size = f"{large:,}"
    for kinds, limit in (("ips", 1.2), ("mixed", 1.8)):
        add(f"{size} {WORDS[kinds]}, clean, to the empty filter", f"wasm-{kinds}-{large}", "empty", limit)
    for kinds, words in WORDS.items():
        add(f"{size} {words} to {small:,}", f"wasm-{kinds}-{large}", f"wasm-{kinds}-{small}", 1.1)
    for kinds, words in WORDS.items():
        add(f"{hundred_thousand:,} {words} to Lua with as many", f"wasm-{kinds}-{hundred_thousand}", f"lua-{kinds}", 0.6)
    add(f"{size} addresses to RBAC with {plan.rbac_entries:,} principals", f"wasm-ips-{large}", "rbac-list", 0.04)
    for kinds, words in WORDS.items():
        off, on = bench.slices.get(f"wasm-{kinds}-{large}"), bench.samples.get(f"wasm-abs-{kinds}")
        if off and on:
            value, low, high = ratio_of_more(on, off)
            bars.append(Bar(
                f"wasm: enable_abs on, {size} {words}: what it adds, to the filter's overhead with it off", value, 2.5,
                note=f"(on - off) / (off - no filter); 95 % interval {low:.3g} to {high:.3g}; the alternative reading, "
                     f"(on - no filter) / (off - no filter), is {ratio(on, off)[0]:.2f}"))
    for kinds, words in WORDS.items():
        add(f"{size} {words}, all blocked, to ext_authz that allows", f"wasm-{kinds}-{large}-blocked", "ext_authz", 0.2)
    return bars


def _native_bars(bench, plan):
    large, bars = plan.sizes[-1], []
    size = f"{large:,}"

    def add(what, over, under, limit):
        bars.extend(_ratio(bench, f"native: {what}", over, under, limit))

    for kinds, limit in (("ips", 0.3), ("mixed", 0.65)):
        add(f"{size} {WORDS[kinds]}, clean, to the empty filter", f"native-{kinds}-{large}", "empty", limit)
    add(f"{size} addresses to RBAC's IP matcher with {plan.trie_entries:,}", f"native-ips-{large}", "rbac-trie", 0.8)
    add(f"{size} of all kinds, all blocked, to ext_authz that allows", f"native-mixed-{large}-blocked", "ext_authz", 0.08)
    add(f"{plan.huge:,} addresses to {size}", "native-huge", f"native-ips-{large}", 1.2)
    for kinds, words in WORDS.items():
        off, on = bench.slices.get(f"native-{kinds}-{large}"), bench.samples.get(f"native-abs-{kinds}")
        if off and on:
            value, low, high = added_by(on, off)
            bars.append(Bar(f"native: enable_abs on, {size} {words}: what it adds to a request", value, 2, "µs",
                            note=f"on - off, CPU of all threads; 95 % interval {low:.3g} to {high:.3g}"))
    return bars
