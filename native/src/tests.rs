//! The hooks, called as Envoy calls them, over an Envoy for tests. What the core decides is tested in the core.
