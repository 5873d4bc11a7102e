"""The contenders' Envoy configurations, one listener each."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import traffic
from processes import HERE, address_of

_TYPE = "type.googleapis.com/envoy."
_FILTER = _TYPE + "extensions.filters.http."


@dataclass(frozen=True)
class Contender:
    """One row: a filter and its traffic."""
    key: str
    title: str
    # The listener; rows with the same one differ only in traffic.
    listener: str
    kind: str = traffic.CLEAN
    entries: int = 0
    kinds: str = "ips"
    bearer: str = "opaque"
    # The colour in the chart: baseline, wasm, native or others.
    group: str = "wasm"
    # Each request becomes a record that goes to a sink.
    sends: bool = False
    # The key of the row that it is compared with: the same without records.
    without: str = ""
    # The list is a file.
    in_file: bool = False
    # Of the filter; `None` for no filter.
    http_filter: dict | None = field(default=None, compare=False)


def listener(name, port, http_filter, balance=False):
    """A listener with a single `direct_response` route, so that only the proxy's own work is measured."""
    filters = [http_filter] if http_filter else []
    filters.append({"name": "envoy.filters.http.router",
                    "typed_config": {"@type": _FILTER + "router.v3.Router"}})
    manager = {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        # The client's address is the last of X-Forwarded-For for every contender: wrk has only one address.
        "use_remote_address": False,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"},
                        "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}]}]},
    }
    config = {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    if balance:
        # All workers get the same number of connections.
        config["connection_balance_config"] = {"exact_balance": {}}
    return config


def cluster(name, url):
    return {"name": name, "type": "STATIC", "connect_timeout": "2s", "load_assignment": {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address_of(url)}}]}]}}


def bootstrap(listeners, clusters, extensions=()):
    """As in envoy/envoy.yaml: ABS's responses are larger than Envoy's default limit."""
    return {
        "bootstrap_extensions": list(extensions),
        "node": {"id": "bench", "cluster": "bench"},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "layered_runtime": {"layers": [{"name": "bench", "static_layer": {
            "http.async_response_buffer_limit": 268_435_456}}]},
        "enable_dispatcher_stats": True,
        "stats_config": {"histogram_bucket_settings": [{
            "match": {"suffix": "loop_duration_us"},
            "buckets": [100, 250, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 15_000, 20_000,
                        30_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 3_600_000_000]}]},
    }


def wasm_filter(module, name, configuration=None):
    config = {
        "name": name, "root_id": name, "failure_policy": "FAIL_RELOAD",
        "vm_config": {"vm_id": name, "runtime": "envoy.wasm.runtime.v8",
                      "code": {"local": {"filename": str(module)}}},
    }
    if configuration is not None:
        config["configuration"] = {
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)}
    return {"name": name, "typed_config": {"@type": _FILTER + "wasm.v3.Wasm", "config": config}}


def native_filter(module, name, configuration):
    return {"name": name, "typed_config": {
        "@type": _FILTER + "dynamic_modules.v3.DynamicModuleFilter",
        "dynamic_module_config": _dynamic_module(module), "filter_name": "portcullis",
        "filter_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)}}}


def list_files(module, files):
    """The native module's bootstrap extension: cluster names and the files that are read in their place."""
    configuration = {"list_files": {name: str(path) for name, path in files.items()}}
    return {"name": "portcullis", "typed_config": {
        "@type": _TYPE + "extensions.bootstrap.dynamic_modules.v3.DynamicModuleBootstrapExtension",
        "dynamic_module_config": _dynamic_module(module), "extension_name": "portcullis",
        "extension_config": {
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)}}}


def _dynamic_module(module):
    return {"module": {"local": {"filename": str(module)}}, "do_not_close": True, "metrics_namespace": "wasmcustom"}


def is_native(module):
    return module.suffix == ".so"


def filter_of(module, name, configuration):
    """The filter in the form of the artefact."""
    return (native_filter if is_native(module) else wasm_filter)(module, name, configuration)


def portcullis_filter(module, name, abs_cluster, refresh_seconds, traffic_section=None, abs_timeout="30s", enabled=True):
    """With a section `traffic`, `enable_abs` is on."""
    configuration = {
        "enable_firewall": enabled,
        "enable_abs_attack": True,
        "abs_attack_request_minutes": refresh_seconds / 60,
        # The simulator's keys, which are no secret.
        "abs": {"cluster": abs_cluster, "access_key": "abs_ak", "secret_key": "abs_sk", "timeout": abs_timeout},
    }
    if traffic_section is not None:
        configuration |= {"enable_abs": True, "traffic": {"format": "batch", **traffic_section}}
    return filter_of(module, name, configuration)


def text_filter(module, name, cluster_name):
    """The filter with a text list of addresses, which is fetched once."""
    return filter_of(module, name, {"feeds": [{
        "name": "addresses", "format": "text", "cluster": cluster_name, "path": "/", "interval": "1d", "timeout": "5m",
        "memory": "512MB", "special_ranges": True}]})


def _address(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def rbac_principals(entries):
    """Native RBAC: one principal per address."""
    ids = [{"remote_ip": {"address_prefix": _address(n), "prefix_len": 32}} for n in range(entries)]
    return _rbac({"rules": {"action": "DENY", "policies": {"listed": {
        "permissions": [{"any": True}], "principals": [{"or_ids": {"ids": ids}}]}}}})


def rbac_matcher(entries):
    """Native RBAC with the matching API's IP matcher, a trie."""
    action = "type.googleapis.com/envoy.config.rbac.v3.Action"
    ranges = [{"address_prefix": _address(n), "prefix_len": 32} for n in range(entries)]

    def act(name, what):
        return {"action": {"name": name, "typed_config": {"@type": action, "name": name, "action": what}}}

    return _rbac({"matcher": {
        "matcher_list": {"matchers": [{
            "predicate": {"single_predicate": {
                "input": {"name": "source", "typed_config": {
                    "@type": _TYPE + "extensions.matching.common_inputs.network.v3.SourceIPInput"}},
                "custom_match": {"name": "ip", "typed_config": {
                    "@type": _TYPE + "extensions.matching.input_matchers.ip.v3.Ip",
                    "stat_prefix": "listed", "cidr_ranges": ranges}}}},
            "on_match": act("listed", "DENY")}]},
        "on_no_match": act("other", "ALLOW")}})


def _rbac(config):
    return {"name": "envoy.filters.http.rbac", "typed_config": {"@type": _FILTER + "rbac.v3.RBAC", **config}}


def lua_filter(list_path, kinds):
    source = f"local LIST, KINDS = {str(list_path)!r}, {kinds!r}\n" + (HERE / "lookup.lua").read_text()
    return {"name": "envoy.filters.http.lua", "typed_config": {
        "@type": _FILTER + "lua.v3.Lua", "default_source_code": {"inline_string": source}}}


def ext_authz_filter(cluster_name):
    """HTTP ext_authz that forwards the four headers that a look-up needs."""
    names = ["x-forwarded-for", "authorization", "cookie", "x-api-key"]
    return {"name": "envoy.filters.http.ext_authz", "typed_config": {
        "@type": _FILTER + "ext_authz.v3.ExtAuthz", "transport_api_version": "V3",
        "allowed_headers": {"patterns": [{"exact": name} for name in names]},
        "http_service": {"server_uri": {
            "uri": "http://authz.local", "cluster": cluster_name, "timeout": "2s"}}}}


def listed_by_size(entries):
    """`1000000` as `1,000,000`."""
    return f"{entries:,}"


def source(entries, kinds):
    """The cluster with a list."""
    return f"abs-{kinds}-{entries}"


def sink(kinds):
    """The cluster with the longest list that also receives records."""
    return f"sink-{kinds}"


# The cluster that the native module reads as a file.
FILE = "list-in-file"

_WORDS = {"ips": "addresses", "mixed": "of all five kinds"}


def build(directory, empty_module, modules, plan):
    """All contenders, in the order of the table. `modules`: artefacts by name."""
    rows = [
        Contender("none", "no filter", "none", group="baseline"),
        Contender("empty", "empty proxy-wasm filter, the SDK's defaults", "empty", group="baseline",
                  http_filter=wasm_filter(empty_module, "empty")),
    ]
    if "wasm" in modules:
        rows += _wasm_rows(modules["wasm"], plan.sizes)
    if "native" in modules:
        rows += _native_rows(modules["native"], plan.sizes[-1], plan.huge)
    return rows + _others(Path(directory), plan)


def _ours(artefact, module, title, entries, kinds, **more):
    key = f"{artefact}-{kinds}-{entries}"
    http_filter = portcullis_filter(module, key, source(entries, kinds), refresh_seconds=86_400)
    return Contender(key, title, key, entries=entries, kinds=kinds, group=artefact, http_filter=http_filter, **more)


def _sending(artefact, module, title, entries, kinds, **section):
    key = f"{artefact}-abs-{'gzip-' if section else ''}{kinds}"
    section = {"format": "batch", **section}
    http_filter = portcullis_filter(module, key, sink(kinds), refresh_seconds=86_400, traffic_section=section)
    return Contender(key, title, key, entries=entries, kinds=kinds, group=artefact, sends=True,
                     without=f"{artefact}-{kinds}-{entries}", http_filter=http_filter)


def _blocked(artefact, title, entries, kinds):
    listener_of = f"{artefact}-{kinds}-{entries}"
    return Contender(f"{listener_of}-blocked", title, listener_of, traffic.BLOCKED, entries, kinds, group=artefact)


def _wasm_rows(module, sizes):
    large = sizes[-1]
    rows = [_ours("wasm", module, "Portcullis, empty list", 0, "ips")]
    rows += [_ours("wasm", module, f"Portcullis, {size:,} {words}", size, kinds)
             for kinds, words in _WORDS.items() for size in sizes]
    for kinds, words in _WORDS.items():
        title = f"Portcullis, enable_abs on, {large:,} {words}"
        rows.append(_sending("wasm", module, title, large, kinds))
        if kinds == "mixed":
            rows.append(_sending("wasm", module, f"{title}, traffic.gzip on", large, kinds, gzip=True))
    rows += [_blocked("wasm", f"Portcullis, {size:,} {words}, all blocked", size, kinds)
             for kinds, words in _WORDS.items() for size in (sizes[0], large)]
    mixed = f"wasm-mixed-{large}"
    return [*rows, Contender("wasm-jwt", f"Portcullis, {large:,} of all five kinds, the bearer token a JWT", mixed,
                             entries=large, kinds="mixed", bearer="jwt", group="wasm")]


def _native_rows(module, large, huge):
    off = portcullis_filter(module, "native-off", source(0, "ips"), refresh_seconds=86_400, enabled=False)
    rows = [Contender("native-off", "Portcullis native, enable_firewall off: the hooks", "native-off", group="native",
                      http_filter=off)]
    rows += [_ours("native", module, f"Portcullis native, {large:,} {words}", large, kinds)
             for kinds, words in _WORDS.items()]
    rows.append(Contender("native-huge", f"Portcullis native, {huge:,} addresses", "native-huge", entries=huge,
                          group="native", in_file=True, http_filter=text_filter(module, "native-huge", FILE)))
    rows += [_sending("native", module, f"Portcullis native, enable_abs on, {large:,} {words}", large, kinds)
             for kinds, words in _WORDS.items()]
    rows += [_blocked("native", f"Portcullis native, {large:,} {words}, all blocked", large, kinds)
             for kinds, words in _WORDS.items()]
    return rows


def _others(directory, plan):
    rows = [
        Contender("rbac-list", f"native RBAC, {plan.rbac_entries:,} addresses as principals", "rbac-list",
                  group="others", http_filter=rbac_principals(plan.rbac_entries)),
        Contender("rbac-trie", f"native RBAC, IP matcher, {plan.trie_entries:,} addresses", "rbac-trie",
                  group="others", http_filter=rbac_matcher(plan.trie_entries)),
    ]
    for kinds, words in _WORDS.items():
        path = traffic.lua_list(directory / f"lua-{kinds}.txt", plan.lua_entries, kinds)
        rows.append(Contender(
            f"lua-{kinds}", f"Lua, {plan.lua_entries:,} {words}", f"lua-{kinds}", kinds=kinds,
            group="others", http_filter=lua_filter(path, kinds)))
    rows.append(Contender("ext_authz", "ext_authz (HTTP) with a service that responds at once, allowed", "ext_authz",
                          group="others", http_filter=ext_authz_filter("authz")))
    return rows
