//! The parsers of feeds against plain models: what a list means is known before its text is written.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

mod decisions;
mod reports;
mod text;
mod tokens;

use portcullis::feed::crowdsec::read_decisions;
use portcullis::feed::text::read_text;
use portcullis::feed::tokens::read_tokens;
use proptest::collection::vec;
use proptest::prelude::*;

use self::decisions::with_options;
use self::reports::Reports;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_list_or_an_error(body in vec(any::<u8>(), 0..300)) {
        let _ = read_text(&mut body.as_slice(), false, &mut Reports::default());
        let _ = read_tokens(&mut body.as_slice(), &["jti".to_owned()], &mut Reports::default());
        with_options(|options| {
            let _ = read_decisions(&mut body.as_slice(), options, &mut Reports::default());
        });
    }
}
