//! Header maps in the layout of the ABI: the number of pairs, the two sizes of each pair, then names and values, each
//! followed by a zero byte. Numbers are 32 bits, little-endian. Makes no hostcall.

/// Visits each pair of a header map, up to the first error in the layout.
pub fn visit_pairs(bytes: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    // `None` means an error in the layout.
    let _ = try_visit_pairs(bytes, visit);
}

fn try_visit_pairs(bytes: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Option<()> {
    let (n_pairs, rest) = split_number(bytes)?;
    let (mut sizes, mut texts) = rest.split_at_checked(n_pairs.checked_mul(8)?)?;
    for _ in 0..n_pairs {
        let (name_size, value_size, name, value);
        (name_size, sizes) = split_number(sizes)?;
        (value_size, sizes) = split_number(sizes)?;
        (name, texts) = split_text(texts, name_size)?;
        (value, texts) = split_text(texts, value_size)?;
        visit(name, value);
    }
    Some(())
}

fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

fn split_text(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    Some((text, rest.get(1..)?))
}

/// Encodes pairs.
pub fn encode_pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = number(pairs.clone().count()).to_vec();
    for (name, value) in pairs.clone() {
        bytes.extend_from_slice(&number(name.len()));
        bytes.extend_from_slice(&number(value.len()));
    }
    for (name, value) in pairs {
        for text in [name, value] {
            bytes.extend_from_slice(text);
            bytes.push(0);
        }
    }
    bytes
}
