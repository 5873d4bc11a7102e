//! A simulator of PingIntelligence ABS and ASE, for demos and tests: it serves an attack list over ABS's REST API, accepts
//! traffic records at ASE's address, lists clients by two simple rules, and fails on demand.
//!
//! It has no machine learning, no persistence and no user management. README.md has every endpoint.
//!
//! | module | owns |
//! |---|---|
//! | [`attack_list`] | identifiers, and ABS's JSON format of an attack list |
//! | [`store`] | the listed entries and their times; the response bodies |
//! | [`generate`] | large lists by a fixed scheme |
//! | [`traffic`] | traffic records: their JSON, the ring that keeps them, the pairing of sideband calls |
//! | [`date`] | ABS's date format |
//! | [`detection`] | the two rules that list a client |
//! | [`faults`] | faults and their responses |
//! | [`state`] | all mutable state, behind one mutex |
//! | [`routes`] | the HTTP interfaces: ABS's, ASE's and the simulator's admin interface |
//! | [`access`] | credentials |
//! | [`injection`] | counting requests and applying faults to them |
//! | [`error`] | error responses |
//! | [`transport`] | sockets, TLS, and the faults that need the connection itself |

#![forbid(unsafe_code)]

pub mod access;
pub mod attack_list;
pub mod date;
pub mod detection;
pub mod error;
pub mod faults;
pub mod generate;
pub mod injection;
pub mod routes;
pub mod state;
pub mod store;
pub mod traffic;
pub mod transport;
