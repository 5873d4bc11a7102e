#!/usr/bin/env python3
"""Renders the Envoy configuration that Istio makes of these manifests for one workload, without a cluster.

usage: render.py --workload NAMESPACE/NAME --output DIRECTORY [options] MANIFEST...

Writes DIRECTORY/envoy.json, a bootstrap, and DIRECTORY/ecds/NAMESPACE.NAME.json for each WasmPlugin that selects the
workload, so that

    envoy -c DIRECTORY/envoy.json

runs what a sidecar or gateway runs: the filters by extension discovery and without a vm_id, an inbound and an outbound
listener with their traffic directions, ABS's cluster under Istio's name and with the DestinationRule's TLS. It omits what
does not affect the filter: the interception of traffic, mutual TLS, telemetry and Istio's own filters.

It fails on mistakes that Istio does not report: a pod that the injection webhook does not select, a cluster without a
ServiceEntry, a variable that istio-proxy does not have, a plugin that selects nothing.

Needs PyYAML.
"""

import argparse
import json
import pathlib
import sys

import yaml

TYPE = "type.googleapis.com/envoy."
WASM = TYPE + "extensions.filters.http.wasm.v3.Wasm"
HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
RBAC = TYPE + "extensions.filters.http.rbac.v3.RBAC"
FAILURE_POLICIES = {"FAIL_CLOSE": "FAIL_CLOSED", "FAIL_OPEN": "FAIL_OPEN", "FAIL_RELOAD": "FAIL_RELOAD"}
PHASES = ["AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE"]
# A gateway's listeners count as the client side.
MODES = {"INBOUND": "SERVER", "OUTBOUND": "CLIENT"}


def fail(text):
    sys.exit(f"render.py: {text}")


class Workload:
    """The parts of a Deployment that concern its proxy."""

    def __init__(self, deployment):
        template = deployment["spec"]["template"]
        self.namespace = deployment["metadata"]["namespace"]
        self.name = deployment["metadata"]["name"]
        self.labels = template["metadata"]["labels"]
        annotations = template["metadata"].get("annotations", {})
        self.is_gateway = annotations.get("inject.istio.io/templates") == "gateway"
        self.proxy_config = yaml.safe_load(annotations.get("proxy.istio.io/config", "{}"))
        containers = {container["name"]: container for container in template["spec"]["containers"]}
        self.variables = {variable["name"] for variable in containers.get("istio-proxy", {}).get("env", [])}

    def is_selected_by(self, plugin):
        wanted = plugin["spec"].get("selector", {}).get("matchLabels", {})
        return plugin["metadata"]["namespace"] == self.namespace and wanted.items() <= self.labels.items()


def is_injected(pod, namespace):
    """Whether a webhook of the default revision selects the pod, by its labels and those of its namespace.

    Istio installs four webhooks: by the namespace's istio-injection, by its istio.io/rev, and by either label of the pod in a
    namespace that has neither.
    """
    injection, revision = namespace.get("istio-injection"), namespace.get("istio.io/rev")
    inject, pod_revision = pod.get("sidecar.istio.io/inject"), pod.get("istio.io/rev")
    if injection is not None:
        return injection == "enabled" and inject != "false"
    if revision is not None:
        return revision == "default" and inject != "false"
    if pod_revision is not None:
        return pod_revision == "default" and inject != "false"
    return inject == "true"


def labels_of_namespace(documents, name):
    """The labels of a namespace; none if the manifests do not have it."""
    for document in documents:
        if document["kind"] == "Namespace" and document["metadata"]["name"] == name:
            return document["metadata"].get("labels", {})
    return {}


def merge(base, added):
    """Merges maps; replaces everything else."""
    for key, value in added.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def patches_of(documents, workload):
    """What the EnvoyFilters of the workload add to its HTTP connection managers."""
    for document in (d for d in documents if d["kind"] == "EnvoyFilter"):
        labels = document["spec"].get("workloadSelector", {}).get("labels", {})
        if document["metadata"]["namespace"] != workload.namespace or not labels.items() <= workload.labels.items():
            continue
        for patch in document["spec"]["configPatches"]:
            filters = patch["match"]["listener"]["filterChain"]["filter"]["name"]
            is_known = (patch["applyTo"], patch["patch"]["operation"], filters, patch["match"]["context"]) == (
                "NETWORK_FILTER",
                "MERGE",
                HTTP_CONNECTION_MANAGER,
                "ANY",
            )
            if not is_known:
                fail(f"{full_name(document)}: this renderer only merges into the HTTP connection managers of any context")
            yield patch["patch"]["value"]["typed_config"]


def full_name(plugin):
    return f"{plugin['metadata']['namespace']}.{plugin['metadata']['name']}"


def matches(plugin, direction):
    """Whether the plugin is for listeners of this direction."""
    selectors = plugin["spec"].get("match", [])
    return not selectors or any(
        selector.get("mode", "CLIENT_AND_SERVER") in ("CLIENT_AND_SERVER", MODES[direction]) for selector in selectors
    )


def extension(plugin, workload, module):
    """The filter's configuration, as istio-agent passes it to Envoy once the module is downloaded."""
    spec = plugin["spec"]
    variables = spec.get("vmConfig", {}).get("env", [])
    host = [variable["name"] for variable in variables if variable.get("valueFrom") == "HOST"]
    for name in host:
        if name not in workload.variables:
            fail(f"{full_name(plugin)}: {name} is from HOST, but istio-proxy of {workload.name} has no variable {name}")
    config = {
        "name": full_name(plugin),
        "root_id": spec.get("pluginName", ""),
        "failure_policy": FAILURE_POLICIES[spec.get("failStrategy", "FAIL_CLOSE")],
        # No vm_id and no VM configuration: a WasmPlugin has no fields for them.
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(module)}},
            "environment_variables": {
                "host_env_keys": host,
                "key_values": {v["name"]: v["value"] for v in variables if v.get("valueFrom", "INLINE") == "INLINE"},
            },
        },
    }
    if spec.get("pluginConfig"):
        config["configuration"] = {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": json.dumps(spec["pluginConfig"]),
        }
    return {
        "@type": TYPE + "config.core.v3.TypedExtensionConfig",
        "name": full_name(plugin),
        "typed_config": {"@type": WASM, "config": config},
    }


def endpoint(address):
    host, _, port = address.rpartition(":")
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}


def cluster(name, address, kind="STATIC"):
    return {
        "name": name,
        "type": kind,
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint(address)]}]},
    }


def external_clusters(documents, arguments):
    """One cluster for each port of each host of each ServiceEntry."""
    rules = {document["spec"]["host"]: document["spec"] for document in documents if document["kind"] == "DestinationRule"}
    resolve = dict(pair.split("=", 1) for pair in arguments.resolve)
    for entry in (document["spec"] for document in documents if document["kind"] == "ServiceEntry"):
        for host in entry["hosts"]:
            for port in entry["ports"]:
                address = f"{host}:{port.get('targetPort', port['number'])}"
                result = cluster(f"outbound|{port['number']}||{host}", resolve.get(address, address), "STRICT_DNS")
                tls = rules.get(host, {}).get("trafficPolicy", {}).get("tls", {})
                if tls.get("mode") == "SIMPLE":
                    result["transport_socket"] = upstream_tls(tls, arguments.system_authorities)
                yield result


def upstream_tls(tls, system_authorities):
    validation = {"trusted_ca": {"filename": tls.get("caCertificates", system_authorities)}}
    names = [{"san_type": "DNS", "matcher": {"exact": name}} for name in tls.get("subjectAltNames", [])]
    if names:
        validation["match_typed_subject_alt_names"] = names
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": TYPE + "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": tls.get("sni", ""),
            "common_tls_context": {"validation_context": validation},
        },
    }


def listener(name, direction, address, plugins, upstream, workload, ecds, patches):
    """A listener with the plugins of its direction, in their order, before the router."""
    host, _, port = address.rpartition(":")
    filters = [
        {
            "name": full_name(plugin),
            "config_discovery": {
                # In the mesh, Istio's aggregated discovery; here, a file.
                "config_source": {
                    "path_config_source": {
                        "path": str(ecds / f"{full_name(plugin)}.json"),
                        "watched_directory": {"path": str(ecds)},
                    },
                    "initial_fetch_timeout": "0s",
                },
                # RBAC replaces a module that can't be downloaded.
                "type_urls": [WASM, RBAC],
            },
        }
        for plugin in plugins
        if matches(plugin, direction)
    ]
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": TYPE + "extensions.filters.http.router.v3.Router"},
    }
    topology = workload.proxy_config.get("gatewayTopology", {})
    manager = {
        "@type": TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        # A sidecar trusts X-Forwarded-For, which a gateway wrote; a gateway trusts its peer's address.
        "use_remote_address": workload.is_gateway,
        "xff_num_trusted_hops": topology.get("numTrustedProxies", 0) if workload.is_gateway else 0,
        "normalize_path": True,
        "http_filters": [*filters, router],
        "route_config": {
            "name": name,
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": upstream}}]}
            ],
        },
    }
    for patch in patches:
        merge(manager, patch)
    return {
        "name": name,
        "traffic_direction": direction,
        "address": {"socket_address": {"address": host, "port_value": int(port)}},
        "filter_chains": [{"filters": [{"name": HTTP_CONNECTION_MANAGER, "typed_config": manager}]}],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifests", nargs="+", type=pathlib.Path)
    parser.add_argument("--workload", required=True, help="NAMESPACE/NAME of a Deployment")
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--module", default="target/portcullis.wasm", type=pathlib.Path, help="the local file to use for the url")
    parser.add_argument("--inbound", default="127.0.0.1:15006", help="where clients come in, at a sidecar or a gateway")
    parser.add_argument("--outbound", default="127.0.0.1:15001", help="where a sidecar takes what its workload sends")
    parser.add_argument("--admin", default="127.0.0.1:15000")
    parser.add_argument("--workload-address", default="127.0.0.1:8000", help="where the workload itself listens")
    parser.add_argument("--service-address", default="127.0.0.1:8000", help="where the services that it calls listen")
    parser.add_argument("--resolve", action="append", default=[], metavar="HOST:PORT=ADDRESS:PORT")
    parser.add_argument("--system-authorities", default="/etc/ssl/certs/ca-certificates.crt")
    arguments = parser.parse_args()

    documents = [document for path in arguments.manifests for document in yaml.safe_load_all(path.read_text())]
    workloads = [Workload(document) for document in documents if document["kind"] == "Deployment"]
    namespace, _, name = arguments.workload.partition("/")
    found = [workload for workload in workloads if (workload.namespace, workload.name) == (namespace, name)]
    if not found:
        fail(f"no Deployment {arguments.workload} in the manifests")
    workload = found[0]
    if not is_injected(workload.labels, labels_of_namespace(documents, namespace)):
        fail(
            f"{arguments.workload} gets no proxy: its namespace has no label istio-injection: enabled, "
            'and its pod no label sidecar.istio.io/inject: "true"'
        )
    plugins = [d for d in documents if d["kind"] == "WasmPlugin" and workload.is_selected_by(d)]
    if not plugins:
        fail(f"no WasmPlugin selects {arguments.workload}")
    plugins.sort(key=lambda plugin: (PHASES.index(plugin["spec"].get("phase", PHASES[-1])), -plugin["spec"].get("priority", 0)))

    clusters = list(external_clusters(documents, arguments))
    known = {cluster["name"] for cluster in clusters}
    for plugin in plugins:
        wanted = plugin["spec"].get("pluginConfig", {}).get("abs", {}).get("cluster")
        if wanted is not None and wanted not in known:
            fail(f"{full_name(plugin)}: no ServiceEntry makes the cluster {wanted}; there are {', '.join(sorted(known)) or 'none'}")

    ecds = (arguments.output / "ecds").resolve()
    ecds.mkdir(parents=True, exist_ok=True)
    for plugin in plugins:
        resources = {"resources": [extension(plugin, workload, arguments.module.resolve())]}
        (ecds / f"{full_name(plugin)}.json").write_text(json.dumps(resources, indent=2) + "\n")

    patches = list(patches_of(documents, workload))
    if workload.is_gateway:
        # A gateway has no inbound side: it serves outbound traffic.
        listeners = [listener("0.0.0.0_8080", "OUTBOUND", arguments.inbound, plugins, "service", workload, ecds, patches)]
    else:
        listeners = [
            listener("virtualInbound", "INBOUND", arguments.inbound, plugins, "workload", workload, ecds, patches),
            listener("virtualOutbound", "OUTBOUND", arguments.outbound, plugins, "service", workload, ecds, patches),
        ]
    kind = "router" if workload.is_gateway else "sidecar"
    host, _, port = arguments.admin.rpartition(":")
    bootstrap = {
        "node": {
            "id": f"{kind}~127.0.0.1~{name}.{namespace}~{namespace}.svc.cluster.local",
            "cluster": f"{name}.{namespace}",
        },
        "admin": {"address": {"socket_address": {"address": host, "port_value": int(port)}}},
        "layered_runtime": {
            "layers": [{"name": "global config", "static_layer": workload.proxy_config.get("runtimeValues", {})}]
        },
        "static_resources": {
            "listeners": listeners,
            "clusters": [
                cluster("workload", arguments.workload_address),
                cluster("service", arguments.service_address),
                *clusters,
            ],
        },
    }
    (arguments.output / "envoy.json").write_text(json.dumps(bootstrap, indent=2) + "\n")


main()
