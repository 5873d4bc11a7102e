//! Bytes and headers, to and from the module's memory. Wrong pointers and sizes of the module are failures, as in Envoy.

use anyhow::{Result, bail};
use wasmtime::{Caller, Extern, Memory};

use crate::vm::Guest;

/// Copies bytes out of the module's memory.
pub(crate) fn read(host: &mut Caller<'_, Guest>, at: u32, size: u32) -> Result<Vec<u8>> {
    let bytes = memory(host)?.data(&*host).get(at as usize..);
    match bytes.and_then(|bytes| bytes.get(..size as usize)) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => bail!("the module passed {size} bytes at {at}, outside its memory"),
    }
}

/// Copies bytes into the module's memory.
pub(crate) fn write(host: &mut Caller<'_, Guest>, at: u32, bytes: &[u8]) -> Result<()> {
    memory(host)?.write(host, at as usize, bytes)?;
    Ok(())
}

/// Copies bytes into memory that the module allocates; returns its address.
pub(crate) fn place(host: &mut Caller<'_, Guest>, bytes: &[u8]) -> Result<u32> {
    let Some(Extern::Func(allocate)) = host.get_export("proxy_on_memory_allocate") else {
        bail!("proxy_on_memory_allocate is not exported");
    };
    let size = u32::try_from(bytes.len())?;
    let at = allocate.typed::<u32, u32>(&host)?.call(&mut *host, size)?;
    write(host, at, bytes)?;
    Ok(at)
}

fn memory(host: &mut Caller<'_, Guest>) -> Result<Memory> {
    match host.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("no memory is exported"),
    }
}

/// Headers of a call or a reply, as the module encodes them.
pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// Encodes the visited headers in the layout of the ABI; none are no bytes, as in Envoy without such a map.
pub(crate) fn pairs_to_bytes(visit_all: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]))) -> Vec<u8> {
    let word = |n: usize| u32::try_from(n).expect("a size in bounds").to_le_bytes();
    let (mut n_pairs, mut sizes, mut texts) = (0, Vec::new(), Vec::new());
    visit_all(&mut |name, value| {
        n_pairs += 1;
        for text in [name, value] {
            sizes.extend(word(text.len()));
            texts.extend_from_slice(text);
            texts.push(0);
        }
    });
    match n_pairs {
        0 => Vec::new(),
        n => [word(n).to_vec(), sizes, texts].concat(),
    }
}

/// Decodes what the module encoded; a wrong layout is a failure, as in Envoy.
pub(crate) fn pairs_from_bytes(bytes: &[u8]) -> Result<Headers> {
    fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = bytes.split_at_checked(n) else {
            bail!("a header map is cut");
        };
        *bytes = rest;
        Ok(head)
    }
    fn word(bytes: &mut &[u8]) -> Result<usize> {
        let word = take(bytes, 4)?.try_into()?;
        Ok(u32::from_le_bytes(word) as usize)
    }
    let mut rest = bytes;
    let n = word(&mut rest)?;
    let mut sizes = Vec::new();
    for _ in 0..n {
        sizes.push((word(&mut rest)?, word(&mut rest)?));
    }
    let mut pairs = Headers::new();
    for (name_size, value_size) in sizes {
        let name = String::from_utf8(take(&mut rest, name_size)?.to_vec())?;
        take(&mut rest, 1)?;
        let value = take(&mut rest, value_size)?.to_vec();
        take(&mut rest, 1)?;
        pairs.push((name, value));
    }
    if !rest.is_empty() {
        bail!("a header map has bytes after its last pair");
    }
    Ok(pairs)
}
