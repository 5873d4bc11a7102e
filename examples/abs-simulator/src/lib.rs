//! A simulator of list servers, for demos and tests. It serves an attack list over ABS's REST API, decisions over the REST
//! API of CrowdSec's LAPI, and lists by URL; it accepts traffic records at ASE's address, lists clients by two simple
//! rules, and fails on demand.
//!
//! It has no machine learning, no persistence and no user management. README.md has every endpoint.
//!
//! | module | owns |
//! |---|---|
//! | [`attack_list`] | identifiers, and ABS's JSON format of an attack list |
//! | [`store`] | the listed entries and their times; the response bodies |
//! | [`generate`] | large lists by a fixed scheme |
//! | [`view`] | a response body that is served many times |
//! | [`decisions`] | CrowdSec's decisions, and the queries of LAPI's stream |
//! | [`decisions_csv`], [`go_duration`] | the formats of `cscli` |
//! | [`usage_metrics`] | LAPI's usage metrics |
//! | [`documents`] | text lists and lists of tokens |
//! | [`generate_feeds`] | large lists for them by a fixed scheme |
//! | [`requests`] | the newest requests |
//! | [`traffic`] | traffic records: their JSON, the ring that keeps them, the pairing of sideband calls |
//! | [`date`] | ABS's date format |
//! | [`detection`] | the two rules that list a client |
//! | [`faults`], `fault_bodies` | faults and their responses |
//! | [`state`] | all mutable state, behind one mutex |
//! | [`routes`] | the HTTP interfaces: ABS's, ASE's, LAPI's, lists by URL, the simulator's admin interface |
//! | [`access`] | credentials |
//! | [`injection`] | counting requests and applying faults to them |
//! | [`error`] | error responses |
//! | [`transport`] | sockets, TLS, and the faults that need the connection itself |

#![forbid(unsafe_code)]

pub mod access;
pub mod attack_list;
pub mod date;
pub mod decisions;
pub mod decisions_csv;
pub mod detection;
pub mod documents;
pub mod error;
mod fault_bodies;
pub mod faults;
pub mod generate;
pub mod generate_feeds;
pub mod go_duration;
pub mod injection;
pub mod requests;
pub mod routes;
pub mod state;
pub mod store;
pub mod traffic;
pub mod transport;
pub mod usage_metrics;
pub mod view;
