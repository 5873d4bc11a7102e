//! What the fuzz targets do with their bytes; `tests/fuzz_corpus.rs` does the same with the saved corpus.
//!
//! Each function takes any bytes, must not panic, and checks what has to hold whatever the bytes are.

mod host;
mod input;

mod answers;
mod attack_list;
mod configuration;
mod gzip;
mod request;
mod snapshot;

pub use self::answers::answers;
pub use self::attack_list::attack_list;
pub use self::configuration::configuration;
pub use self::gzip::gzip;
pub use self::request::request;
pub use self::snapshot::snapshot;
