//! Tests of the plugin configuration.
