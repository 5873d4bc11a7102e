//! Bodies that replace the real one, well-formed in the format of each endpoint: a huge list, a gzip bomb, a map.
//!
//! `faults` decides when they are sent.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures_util::stream;

use crate::faults::Endpoint;

const MEGABYTE: usize = 1 << 20;

/// The size of one entry of a huge list, with its separator.
const ENTRY: usize = 1 << 10;

/// The parts of a list with one long text an entry, and of a list with one entry and filler.
struct Format {
    content_type: &'static str,
    opening: &'static str,
    /// Around the text of an entry.
    before: &'static str,
    after: &'static str,
    closing: &'static str,
    /// The first characters of entry `number`; `x` fills the rest.
    name: fn(number: usize) -> String,
    bomb_opening: &'static str,
    bomb_closing: &'static str,
    filler: u8,
}

const ATTACK_LIST: Format = Format {
    content_type: "application/json",
    opening: r#"{"usernames":["#,
    before: "\"",
    after: "\",",
    closing: r#""huge-end"]}"#,
    name: user_name,
    bomb_opening: r#"{"ips":["198.51.100.1""#,
    bomb_closing: "]}",
    filler: b' ',
};

const DECISIONS: Format = Format {
    content_type: "application/json",
    opening: r#"{"new": ["#,
    before: r#"{"duration":"4h0m0s","id":1,"origin":"cscli","scenario":"huge","scope":"username","type":"ban","value":""#,
    after: "\"},",
    closing: r#"{"duration":"4h0m0s","id":2,"origin":"cscli","scenario":"huge","scope":"username","type":"ban","value":"huge-end"}], "deleted": []}"#,
    name: user_name,
    bomb_opening: r#"{"new": [{"duration":"4h0m0s","id":1,"origin":"cscli","scenario":"bomb","scope":"Ip","type":"ban","value":"198.51.100.1"}"#,
    bomb_closing: r#"], "deleted": []}"#,
    filler: b' ',
};

const TEXT: Format = Format {
    content_type: "text/plain",
    opening: "",
    before: "",
    after: "\n",
    closing: "198.51.100.2\n",
    name: line,
    bomb_opening: "198.51.100.1\n",
    bomb_closing: "\n",
    filler: b'\n',
};

const TOKENS: Format = Format {
    content_type: "application/json",
    opening: "[",
    before: "\"",
    after: "\",",
    closing: r#""huge-end"]"#,
    name: user_name,
    bomb_opening: r#"["token-1""#,
    bomb_closing: "]",
    filler: b' ',
};

fn user_name(number: usize) -> String {
    format!("huge-{number:015}-")
}

fn line(number: usize) -> String {
    let host = u32::try_from(number).unwrap_or_default() % (1 << 24);
    format!("{} # ", Ipv4Addr::from(11 << 24 | host))
}

impl Format {
    fn of(endpoint: Endpoint) -> &'static Self {
        match endpoint {
            Endpoint::Decisions => &DECISIONS,
            Endpoint::Lists => &TEXT,
            Endpoint::Tokens => &TOKENS,
            Endpoint::Attacklist | Endpoint::Traffic | Endpoint::UsageMetrics => &ATTACK_LIST,
        }
    }
}

/// A list of entries of 1 KB each, generated while it is sent.
pub(crate) fn huge(endpoint: Endpoint, megabytes: u32) -> Response {
    let format = Format::of(endpoint);
    let text = ENTRY
        .saturating_sub(format.before.len())
        .saturating_sub(format.after.len());
    let mut numbers = 0_usize..;
    let middle = (0..megabytes).map(move |_| {
        let mut bytes = Vec::with_capacity(MEGABYTE);
        for number in numbers.by_ref().take(MEGABYTE / ENTRY) {
            let name = (format.name)(number);
            let line = format!("{}{name:x<text$}{}", format.before, format.after);
            bytes.extend_from_slice(line.as_bytes());
        }
        Bytes::from(bytes)
    });
    response(
        format,
        std::iter::once(Bytes::from(format.opening))
            .chain(middle)
            .chain([Bytes::from(format.closing)]),
        (megabytes as usize)
            .saturating_mul(MEGABYTE)
            .saturating_add(format.opening.len())
            .saturating_add(format.closing.len()),
    )
}

/// One entry and then white space: a well-formed list in one gzip member.
///
/// The white space is compressed once, with a full flush so that the block is independent, and repeated.
pub(crate) fn gzip_bomb(endpoint: Endpoint, megabytes: u32) -> Response {
    const HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let format = Format::of(endpoint);
    let [opening, closing] = [format.bomb_opening, format.bomb_closing].map(str::as_bytes);
    let filler = vec![format.filler; MEGABYTE];
    let block = Bytes::from(deflated(&filler, FlushCompress::Full));

    let mut crc = Crc::new();
    crc.update(opening);
    let mut block_crc = Crc::new();
    block_crc.update(&filler);
    for _ in 0..megabytes {
        crc.combine(&block_crc);
    }
    crc.update(closing);

    let first = [HEADER, &deflated(opening, FlushCompress::Full)].concat();
    let trailer = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
    let last = [deflated(closing, FlushCompress::Finish), trailer].concat();
    let length = block
        .len()
        .saturating_mul(megabytes as usize)
        .saturating_add(first.len())
        .saturating_add(last.len());
    let mut response = response(
        format,
        std::iter::once(Bytes::from(first))
            .chain((0..megabytes).map(move |_| block.clone()))
            .chain([Bytes::from(last)]),
        length,
    );
    response
        .headers_mut()
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

/// JSON with a map in the place of each list.
pub(crate) fn map(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Decisions => r#"{"new": {"1": {}}, "deleted": {}}"#,
        Endpoint::Lists | Endpoint::Tokens => r#"{"list": {"1": {}}}"#,
        Endpoint::Attacklist | Endpoint::Traffic | Endpoint::UsageMetrics => {
            r#"{"ips": {"1": {}}, "usernames": {}}"#
        }
    }
}

fn deflated(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut output = Vec::with_capacity((bytes.len() / 64).saturating_add(64));
    loop {
        let consumed = compress.total_in() as usize;
        let rest = bytes.get(consumed..).unwrap_or_default();
        // The output buffer is large enough, so only complete processing matters.
        match compress.compress_vec(rest, &mut output, flush) {
            Ok(_) if output.len() < output.capacity() => return output,
            Ok(_) => output.reserve(1024),
            Err(_) => return output,
        }
    }
}

fn response(
    format: &Format,
    chunks: impl Iterator<Item = Bytes> + Send + 'static,
    length: usize,
) -> Response {
    let body = Body::from_stream(stream::iter(chunks.map(Ok::<_, std::convert::Infallible>)));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.content_type),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
