//! The deployment examples, as they stand: manifests held to the published schemas, and what they make of Envoy run in a
//! real Envoy, with a real kustomize and a real Prometheus.
//!
//! `make test-deploy` gets the tools and runs this. There is no cluster: where a README has a command for one, a
//! stand-in (`tests/deploy/bin/kubectl`) checks what the command would apply.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

#[path = "../support/harness/mod.rs"]
mod harness;

// The tools of these tests: programs to run to their end, and README commands.
mod command;
// A real Envoy with a bootstrap that an example rendered.
mod proxy;
// A real Prometheus with the example's configuration.
mod prometheus;
// The ABS simulator behind TLS.
mod secure_abs;

// examples/envoy-gateway: the policy, and an Envoy as Envoy Gateway would configure it.
mod envoy_gateway;
// examples/istio-sidecar: the manifests, and Envoys as Istio would configure them.
mod istio;
// examples/kubernetes-sidecar: what kustomize makes of the component, and its Envoy.
mod kubernetes;
// examples/observability: the alerts fire, and every query of the dashboard finds data.
mod observability;
