//! From a feed to every worker of the process: who fetches and when, the list in shared data, each worker's copy.
//!
//! The only place that names shared-data keys. What a response means is decided in `feed`, the list's bytes in `list`.

pub mod refresh;
pub mod source;
