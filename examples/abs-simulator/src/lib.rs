//! A stand-in for PingIntelligence ABS and ASE, for demos and tests: it keeps an attack list, serves it over ABS's REST
//! API, takes traffic information at ASE's address, lists clients by two plain rules, and misbehaves on demand.
//!
//! It is neither: no machine learning, no persistence, no user management. README.md has every endpoint.
//!
//! | module | owns |
//! |---|---|
//! | [`attack_list`] | the identifiers and the JSON shape ABS lists them in |
//! | [`store`] | what is listed, since when and until when; the bodies served |
//! | [`generate`] | large lists by a fixed scheme |
//! | [`traffic`] | traffic records: their JSON, the ring that keeps them, the pairing of sideband calls |
//! | [`date`] | ABS's date format |
//! | [`detection`] | the two rules that list a client |
//! | [`faults`] | what can be made to go wrong, and how |
//! | [`state`] | all that changes, behind one mutex |
//! | [`routes`] | the HTTP interfaces: ABS's part, ASE's part, and the part that drives the simulator |
//! | [`access`] | credentials |
//! | [`injection`] | counting requests and letting faults strike them |
//! | [`error`] | every answer that is not a success |
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
