//! CrowdSec's decisions, whole and in pieces.

use portcullis::feed::crowdsec::{DecisionOptions, DecisionsError, read_decisions};

use super::entries::{Drip, Sink};

pub fn crowdsec(data: &[u8]) {
    let types = ["ban".to_owned(), "throttle".to_owned()];
    let scope_headers = [("Country".to_owned(), "cf-ipcountry".to_owned())];
    let options = DecisionOptions {
        types: &types,
        session_cookie: Some("SID"),
        scope_headers: &scope_headers,
    };
    let mut whole = Sink::new(usize::MAX);
    let outcome = read_decisions(&mut &*data, &options, &mut whole);
    if let Err(error) = &outcome {
        assert!(error.to_string().len() < 1_000, "{error}");
    }

    let mut in_pieces = Sink::new(usize::MAX);
    let step = 1 + data.len() % 7;
    let again = read_decisions(&mut Drip(data, step), &options, &mut in_pieces);
    assert_eq!(outcome, again, "in pieces of {step}");
    let counts_of = |sink: &Sink| (sink.accepted, sink.skipped);
    assert_eq!(counts_of(&whole), counts_of(&in_pieces));

    if whole.accepted > 0 {
        let mut small = Sink::new(whole.accepted / 2);
        let full = read_decisions(&mut &*data, &options, &mut small);
        assert_eq!(full, Err(DecisionsError::SinkFull));
    }
    let Ok(counts) = outcome else { return };
    let entries = &counts.entries;
    assert_eq!(entries.n_skipped(), whole.skipped as u64);
    assert_eq!(entries.n_entries(), (whole.accepted + whole.skipped) as u64);
    assert!(
        whole.accepted > 0 || whole.skipped == 0,
        "nothing is usable"
    );
    // A truncated list is never accepted.
    let text = data.trim_ascii_end();
    let cut = text.len() - 1 - data.len() % text.len();
    let part = read_decisions(&mut &text[..cut], &options, &mut Sink::new(usize::MAX));
    assert!(part.is_err(), "truncated at {cut}");
    let list = whole.builder.finish().expect("each entry was inserted");
    assert!(list.n_entries() <= whole.accepted as u64);
}
