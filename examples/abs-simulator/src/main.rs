//! A stand-in for PingIntelligence ABS.

fn main() {}
