//! The link step of the wasm module.

fn main() {}
