//! What the fuzz targets do with their bytes; `tests/fuzz_corpus.rs` does the same with the saved corpus.
//!
//! Each function accepts any bytes, does not panic, and checks invariants.

mod entries;
mod host;
mod input;

mod attack_list;
mod configuration;
mod crowdsec;
mod gzip;
mod request;
mod responses;
mod snapshot;
mod text;
mod tokens;

pub use self::attack_list::attack_list;
pub use self::configuration::configuration;
pub use self::crowdsec::crowdsec;
pub use self::gzip::gzip;
pub use self::request::request;
pub use self::responses::responses;
pub use self::snapshot::snapshot;
pub use self::text::text;
pub use self::tokens::tokens;
