//! `FuzzHost`: a host with one VM, whose answers an input chose.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;

use portcullis::host::{
    CallToken, Host, HostError, HttpCall, LocalReply, LogLevel, MetricHandle, MetricType, RootId,
    SharedValue, WriteCondition,
};
use portcullis::list::frame::{FrameHeader, Record, frame};

pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// What a shared value is replaced by when it is read.
pub struct Forged {
    /// What the key must end with, up to its number.
    pub record: Record,
    pub generation: u64,
    pub payload: Vec<u8>,
    /// A frame of its own around the payload, or the payload as it stands.
    pub framed: bool,
}

#[derive(Default)]
pub struct FuzzHost {
    now: Cell<Duration>,
    n_randoms: Cell<u64>,
    data: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    last_cas: Cell<u32>,
    calls: RefCell<Vec<CallToken>>,
    n_calls: Cell<u32>,
    headers: RefCell<Headers>,
    body: RefCell<Vec<u8>>,
    slice: Cell<usize>,
    address: RefCell<Vec<u8>>,
    request: RefCell<Headers>,
    forged: RefCell<Vec<Forged>>,
    /// Each bit refuses one more write or call, from the lowest on.
    refusals: Cell<u64>,
    /// What must not be told.
    secrets: RefCell<Vec<String>>,
}

impl FuzzHost {
    pub fn pass(&self, time: Duration) {
        self.now.set(self.now.get().saturating_add(time));
    }

    pub fn set_request(&self, headers: Headers) {
        self.request.replace(headers);
    }

    pub fn set_address(&self, address: &[u8]) {
        self.address.replace(address.to_vec());
    }

    pub fn set_answer(&self, headers: Headers, body: Vec<u8>, slice: usize) {
        self.headers.replace(headers);
        self.body.replace(body);
        self.slice.set(slice);
    }

    /// The calls that were made since last asked.
    pub fn take_calls(&self) -> Vec<CallToken> {
        self.calls.take()
    }

    pub fn set_refusals(&self, refusals: u64) {
        self.refusals.set(refusals);
    }

    pub fn forge(&self, forged: Forged) {
        self.forged.borrow_mut().push(forged);
    }

    /// What the filter was told and must not tell: looked for in all that it says from now on.
    pub fn keep_secret(&self, secret: &str) {
        self.secrets.borrow_mut().push(secret.to_owned());
    }

    /// The generation that the manifest tells, so that a forged value can belong to it.
    fn forged_value(&self, key: &str) -> Option<Vec<u8>> {
        let (rest, last) = key.rsplit_once('/')?;
        let (record, index) = match (rest.rsplit('/').next()?, last) {
            (_, "manifest") => (Record::Manifest, 0),
            (_, "lease") => (Record::Lease, 0),
            (_, "eldest") => (Record::FirstVm, 0),
            (_, "freshness") => (Record::Freshness, 0),
            ("gate", number) => (Record::Shard, number.parse().ok()?),
            ("bucket", number) => (Record::Bucket, number.parse().ok()?),
            ("ranges", number) => (Record::Ranges, number.parse().ok()?),
            _ => return None,
        };
        let mut forged = self.forged.borrow_mut();
        let position = forged.iter().position(|forged| forged.record == record)?;
        let forged = forged.remove(position);
        let header = FrameHeader {
            generation: forged.generation,
            index,
        };
        Some(match forged.framed {
            true => frame(record, header, &forged.payload),
            false => forged.payload,
        })
    }

    fn is_refused(&self) -> bool {
        let refusals = self.refusals.get();
        self.refusals.set(refusals >> 1);
        refusals & 1 == 1
    }

    fn check_told(&self, bytes: &[u8]) {
        for secret in self.secrets.borrow().iter() {
            let told = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!told, "a secret was told: {}", bytes.escape_ascii());
        }
    }
}

impl Host for FuzzHost {
    fn monotonic_now(&self) -> Duration {
        self.now.get()
    }

    fn unix_now(&self) -> Duration {
        Duration::from_secs(1_795_000_000).saturating_add(self.now.get())
    }

    fn random(&self) -> u64 {
        self.n_randoms.set(self.n_randoms.get() + 1);
        self.n_randoms.get().wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn environment_variable(&self, name: &str) -> Option<String> {
        name.len().is_multiple_of(2).then(|| "key".to_owned())
    }

    fn log(&self, _: LogLevel, message: &str) {
        self.check_told(message.as_bytes());
    }

    fn set_tick_period(&self, _: RootId, _: Duration) {}

    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        if let Some(bytes) = self.forged_value(key) {
            let cas = self.last_cas.get() + 1;
            self.last_cas.set(cas);
            let mut data = self.data.borrow_mut();
            data.insert(key.to_owned(), (bytes.clone(), cas));
            return Ok(Some(SharedValue { bytes, cas }));
        }
        let data = self.data.borrow();
        Ok(data.get(key).map(|(bytes, cas)| SharedValue {
            bytes: bytes.clone(),
            cas: *cas,
        }))
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        self.check_told(key.as_bytes());
        self.check_told(bytes);
        if self.is_refused() {
            return Err(HostError::InternalFailure);
        }
        let mut data = self.data.borrow_mut();
        let known = data.get(key).map(|(_, cas)| *cas);
        match condition {
            WriteCondition::Absent if known.is_some() => return Err(HostError::CasMismatch),
            WriteCondition::Unchanged(cas) if known != Some(cas) => {
                return Err(HostError::CasMismatch);
            }
            _ => (),
        }
        let cas = self.last_cas.get() + 1;
        self.last_cas.set(cas);
        data.insert(key.to_owned(), (bytes.to_vec(), cas));
        Ok(())
    }

    fn dispatch_http_call(&self, _: &HttpCall<'_>) -> Result<CallToken, HostError> {
        if self.is_refused() {
            return Err(HostError::BadArgument);
        }
        self.n_calls.set(self.n_calls.get() + 1);
        let token = CallToken(self.n_calls.get());
        self.calls.borrow_mut().push(token);
        Ok(token)
    }

    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self.headers.borrow().iter() {
            visit(name, value);
        }
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        let body = self.body.borrow();
        let rest = body.get(start..).unwrap_or_default();
        let limit = limit.min(self.slice.get().max(1));
        rest[..limit.min(rest.len())].to_vec()
    }

    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        visit(&self.address.borrow());
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self.request.borrow().iter() {
            visit(name, value);
        }
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        visit(&self.address.borrow());
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.visit_call_headers(visit);
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        assert!((200..600).contains(&reply.status));
        self.check_told(reply.details.as_bytes());
        match self.is_refused() {
            true => Err(HostError::Status(7)),
            false => Ok(()),
        }
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        self.check_told(value.as_bytes());
        Ok(())
    }

    fn define_metric(&self, _: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        self.check_told(name.as_bytes());
        match self.is_refused() {
            true => Err(HostError::InternalFailure),
            false => Ok(MetricHandle(name.len() as u32)),
        }
    }

    fn increment_metric(&self, _: MetricHandle, by: u64) -> Result<(), HostError> {
        match by {
            0 => Err(HostError::BadArgument),
            _ => Ok(()),
        }
    }

    fn record_metric(&self, _: MetricHandle, _: u64) -> Result<(), HostError> {
        Ok(())
    }
}
