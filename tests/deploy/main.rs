//! The README's installation, the deployment examples and the Helm chart: the manifests against the published schemas, and
//! their configuration in a real Envoy, with a real kustomize, Helm and Prometheus.
//!
//! `make test-deploy` installs the tools and runs this. There is no cluster: a stub (`tests/deploy/bin/kubectl`) checks
//! what the READMEs' commands would apply.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail loudly"
)]

#[path = "../support/harness/mod.rs"]
mod harness;

// Runs programs and the commands of READMEs.
mod command;
// A real Envoy with a bootstrap that an example rendered.
mod proxy;
// A real Prometheus with the example's configuration.
mod prometheus;
// The ABS simulator with TLS.
mod secure_abs;

// examples/envoy-gateway: the policy, and an Envoy as Envoy Gateway configures it.
mod envoy_gateway;
// charts/portcullis: what Helm renders, and Envoys with it.
mod helm;
// The images that examples and documents name.
mod images;
// The README: its installation, in an Envoy that runs without the filter.
mod install;
// examples/istio-sidecar: the manifests, and Envoys as Istio configures them.
mod istio;
// examples/kubernetes-sidecar: the output of kustomize, and its Envoy.
mod kubernetes;
// examples/kubernetes-fleet: the output of kustomize.
mod kubernetes_fleet;
// examples/observability: the alerts fire, and every query of the dashboard finds data.
mod observability;
// release/: a release of stand-ins.
mod release;
