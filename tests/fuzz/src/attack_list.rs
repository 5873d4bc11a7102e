//! ABS's JSON, whole and in pieces.

use portcullis::feed::abs::{AttackListError, read_attack_list};

use super::entries::{Drip, Sink};

pub fn attack_list(data: &[u8]) {
    let mut whole = Sink::new(usize::MAX);
    let outcome = read_attack_list(&mut &*data, &mut whole);
    if let Err(error) = &outcome {
        assert!(error.to_string().len() < 1_000, "{error}");
    }

    let mut in_pieces = Sink::new(usize::MAX);
    let step = 1 + data.len() % 7;
    let again = read_attack_list(&mut Drip(data, step), &mut in_pieces);
    assert_eq!(outcome, again, "in pieces of {step}");
    let counts_of = |sink: &Sink| (sink.accepted, sink.skipped);
    assert_eq!(counts_of(&whole), counts_of(&in_pieces));

    if whole.accepted > 0 {
        let mut small = Sink::new(whole.accepted / 2);
        let full = read_attack_list(&mut &*data, &mut small);
        assert_eq!(full, Err(AttackListError::SinkFull));
    }
    if let Ok(counts) = outcome {
        assert_eq!(counts.n_skipped(), whole.skipped as u64);
        assert_eq!(counts.n_entries(), (whole.accepted + whole.skipped) as u64);
        assert!(
            whole.accepted > 0 || whole.skipped == 0,
            "nothing is usable"
        );
        // A truncated list is never accepted.
        let text = data.trim_ascii_end();
        let cut = text.len() - 1 - data.len() % text.len();
        let part = read_attack_list(&mut &text[..cut], &mut Sink::new(usize::MAX));
        assert!(part.is_err(), "truncated at {cut}");

        let list = whole.builder.finish().expect("each entry was inserted");
        assert!(list.n_entries() <= whole.accepted as u64);
    }
}
