//! Reproducible random numbers for unit tests. Not for shipped code, which asks the host (see `host::System::random`).

/// The next number below its argument, which is at least 1: xorshift64, the same sequence at every run.
pub fn random_below() -> impl FnMut(usize) -> usize {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    move |below| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap() % below
    }
}
