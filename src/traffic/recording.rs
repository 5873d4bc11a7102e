//! Reads what a record needs from the host: at the request, and at the end of its stream. Owns the buffers for that.

use super::record::{CorrelationId, PendingRecord, Record, RequestMeta};
use super::settings::TrafficSettings;
use crate::config::{Api, Traffic};
use crate::host::RequestHost;
use crate::judge::Verdict;
use crate::request::RequestHeaders;

/// A request to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct RecordedRequest<'a> {
    /// The API it belongs to.
    pub api: &'a Api,
    /// Its headers.
    pub headers: &'a RequestHeaders,
    /// Envoy's `source.address`.
    pub source_address: &'a [u8],
    /// The filter's verdict.
    pub verdict: &'a Verdict,
}

/// Buffers, reused for each record. They hold tokens and cookies, so there is no debug form.
#[derive(Default)]
pub struct Recording {
    text: Vec<u8>,
    protocol: Vec<u8>,
    response: RequestHeaders,
}

impl Recording {
    /// The request's part of a record.
    pub fn begin(
        &mut self,
        host: &dyn RequestHost,
        traffic: &Traffic,
        correlation_id: CorrelationId,
        request: RecordedRequest<'_>,
    ) -> PendingRecord {
        let protocol = &mut self.protocol;
        protocol.clear();
        host.visit_request_protocol(&mut |text| protocol.extend_from_slice(text));
        let meta = RequestMeta {
            source_address: request.source_address,
            protocol,
            correlation_id,
            verdict: request.verdict,
            now: host.unix_now(),
        };
        PendingRecord::new(traffic, request.api, request.headers, meta, &mut self.text)
    }

    /// The complete record, once the stream has ended.
    pub fn end(
        &mut self,
        host: &dyn RequestHost,
        settings: TrafficSettings<'_>,
        pending: PendingRecord,
    ) -> Record {
        let response = &mut self.response;
        response.clear();
        host.visit_response_headers(&mut |name, value| {
            response.add_if_read(name, value, settings.header_names);
        });
        let now = host.unix_now();
        pending.finish(settings.traffic, response, now, &mut self.text)
    }
}

/// Whether request number `n` is in the sample. Samples are evenly spaced.
pub fn is_sampled(share: f64, n: u64) -> bool {
    let (before, after) = (n as f64 * share, n.wrapping_add(1) as f64 * share);
    before.floor() < after.floor()
}
