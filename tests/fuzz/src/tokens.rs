//! A list of revoked tokens, whole, in pieces and with other claims.

use portcullis::feed::tokens::{TokensError, read_tokens};

use super::entries::{Drip, Sink};

pub fn tokens(data: &[u8]) {
    let claims = ["jti", "aud", "sub"].map(str::to_owned);
    let mut whole = Sink::new(usize::MAX);
    let outcome = read_tokens(&mut &*data, &claims, &mut whole);
    if let Err(error) = &outcome {
        assert!(error.to_string().len() < 1_000, "{error}");
    }
    assert!(whole.ranges.is_empty());

    let mut in_pieces = Sink::new(usize::MAX);
    let step = 1 + data.len() % 7;
    let again = read_tokens(&mut Drip(data, step), &claims, &mut in_pieces);
    assert_eq!(outcome, again, "in pieces of {step}");
    let counts_of = |sink: &Sink| (sink.accepted, sink.skipped);
    assert_eq!(counts_of(&whole), counts_of(&in_pieces));

    if whole.accepted > 0 {
        let mut small = Sink::new(whole.accepted / 2);
        let full = read_tokens(&mut &*data, &claims, &mut small);
        assert_eq!(full, Err(TokensError::SinkFull));
    }
    let Ok(counts) = outcome else { return };
    assert_eq!(counts.n_skipped(), whole.skipped as u64);
    assert_eq!(counts.n_entries(), (whole.accepted + whole.skipped) as u64);
    assert!(
        whole.accepted > 0 || whole.skipped == 0,
        "nothing is usable"
    );
    // The claims of a feed decide which entries are usable, not how many there are.
    match read_tokens(&mut &*data, &claims[1..2], &mut Sink::new(usize::MAX)) {
        Ok(of_one) => assert_eq!(of_one.n_entries(), counts.n_entries()),
        Err(error) => assert!(matches!(error, TokensError::NothingUsable(_)), "{error}"),
    }
    // A truncated list is never accepted.
    let text = data.trim_ascii_end();
    let cut = text.len() - 1 - data.len() % text.len();
    let part = read_tokens(&mut &text[..cut], &claims, &mut Sink::new(usize::MAX));
    assert!(part.is_err(), "truncated at {cut}");
    let list = whole.builder.finish().expect("each entry was inserted");
    assert!(list.n_entries() <= whole.accepted as u64);
}
