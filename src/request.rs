//! Header bytes to client identifiers.
