//! `portcullis`, the command line tool.

fn main() {}
