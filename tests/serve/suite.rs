//! `portcullis serve`, as the program: its files, its routes, its tokens, its faults. Real Envoys are in tests/fleet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test may panic"
)]

mod access;
mod browser;
mod discovery;
mod filters;
mod listener;
mod management;
mod management_roles;
mod matrix;
mod nodes;
mod page;
mod relay;
mod remote;
mod schema;
mod special_files;
mod support;
mod webdriver;
