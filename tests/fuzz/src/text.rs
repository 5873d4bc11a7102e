//! A text list, whole, in pieces and with other line ends.

use portcullis::feed::text::{SPECIAL_RANGES, TextError, read_text};

use super::entries::{Drip, Sink};

pub fn text(data: &[u8]) {
    let mut whole = Sink::new(usize::MAX);
    let outcome = read_text(&mut &*data, false, &mut whole);
    if let Err(error) = &outcome {
        assert!(error.to_string().len() < 1_000, "{error}");
    }
    for range in &whole.ranges {
        let overlaps = SPECIAL_RANGES
            .iter()
            .any(|special| special.contains(range) || range.contains(special));
        assert!(!overlaps, "{range} is in or around a special-purpose range");
    }

    let mut in_pieces = Sink::new(usize::MAX);
    let step = 1 + data.len() % 7;
    let again = read_text(&mut Drip(data, step), false, &mut in_pieces);
    assert_eq!(outcome, again, "in pieces of {step}");
    assert_eq!(whole.ranges, in_pieces.ranges);

    let mut crlf = Vec::new();
    for byte in data {
        if *byte == b'\n' {
            crlf.push(b'\r');
        }
        crlf.push(*byte);
    }
    let mut other_ends = Sink::new(usize::MAX);
    let again = read_text(&mut crlf.as_slice(), false, &mut other_ends);
    assert_eq!(outcome, again, "with CRLF");
    assert_eq!(whole.ranges, other_ends.ranges);

    if whole.accepted > 0 {
        let mut small = Sink::new(whole.accepted / 2);
        let full = read_text(&mut &*data, false, &mut small);
        assert_eq!(full, Err(TextError::SinkFull));
    }
    let Ok(counts) = outcome else { return };
    assert_eq!(counts.n_skipped(), whole.skipped as u64);
    assert_eq!(counts.n_entries(), (whole.accepted + whole.skipped) as u64);
    assert!(
        whole.accepted > 0 || whole.skipped == 0,
        "nothing is usable"
    );
    let mut with_special = Sink::new(usize::MAX);
    match read_text(&mut &*data, true, &mut with_special) {
        Ok(counts) => assert!(counts.n_skipped() <= whole.skipped as u64),
        Err(error) => assert_eq!(error, TextError::SinkFull),
    }
    let list = whole.builder.finish().expect("each entry was inserted");
    assert!(list.n_entries() <= whole.accepted as u64);
}
