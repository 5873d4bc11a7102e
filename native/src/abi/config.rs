//! A configuration of the filter in Envoy.

use core::marker::PhantomData;
use core::ptr;

use super::{Buffer, CALLBACKS, Callbacks, Envoy, Header, Refused, Scheduler, check};

/// A configuration of the filter in Envoy, for the length of a hook on the main thread.
#[derive(Clone, Copy)]
pub struct ConfigHandle<'h> {
    envoy: &'static Callbacks,
    config: Envoy,
    hook: PhantomData<&'h ()>,
}

impl ConfigHandle<'_> {
    /// The configuration of the hook that has just begun; `None` before [`load`].
    ///
    /// # Safety
    ///
    /// `config` is the configuration pointer of a hook on the main thread, and the result is dropped when that returns.
    pub unsafe fn new(config: Envoy) -> Option<Self> {
        let envoy = CALLBACKS.get()?;
        Some(Self {
            envoy,
            config,
            hook: PhantomData,
        })
    }

    /// Defines a counter. Envoy allows it in the hook of a new configuration only.
    pub fn define_counter(self, name: &str) -> Result<usize, Refused> {
        let (name, mut id) = (Buffer::of(name.as_bytes()), 0);
        // SAFETY: Envoy copies the name and writes the number during the call.
        check(unsafe {
            (self.envoy.http_filter_config_define_counter)(
                self.config,
                name,
                ptr::null(),
                0,
                &mut id,
            )
        })?;
        Ok(id)
    }

    /// Defines a gauge, as [`Self::define_counter`].
    pub fn define_gauge(self, name: &str) -> Result<usize, Refused> {
        let (name, mut id) = (Buffer::of(name.as_bytes()), 0);
        // SAFETY: Envoy copies the name and writes the number during the call.
        check(unsafe {
            (self.envoy.http_filter_config_define_gauge)(self.config, name, ptr::null(), 0, &mut id)
        })?;
        Ok(id)
    }

    /// Adds to a counter.
    pub fn increment_counter(self, id: usize, by: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe {
            (self.envoy.http_filter_config_increment_counter)(self.config, id, ptr::null(), 0, by)
        })
    }

    /// Sets a gauge.
    pub fn set_gauge(self, id: usize, value: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe {
            (self.envoy.http_filter_config_set_gauge)(self.config, id, ptr::null(), 0, value)
        })
    }

    /// Sends a request to a cluster; returns Envoy's number for it. The response comes by hooks, after this call.
    pub fn start_http_stream(
        self,
        cluster: &str,
        headers: &[Header<'_>],
        body: &[u8],
        timeout_ms: u64,
    ) -> Result<u64, Refused> {
        let (cluster, body, mut id) = (Buffer::of(cluster.as_bytes()), Buffer::of(body), 0);
        // SAFETY: Envoy copies the bytes and writes the number during the call.
        check(unsafe {
            (self.envoy.http_filter_config_start_http_stream)(
                self.config,
                &mut id,
                cluster,
                headers.as_ptr(),
                headers.len(),
                body,
                true,
                timeout_ms,
            )
        })?;
        Ok(id)
    }

    /// Ends a call. Its hook for resets may run before this returns.
    pub fn reset_http_stream(self, id: u64) {
        // SAFETY: numbers; Envoy ignores those it does not know.
        unsafe { (self.envoy.http_filter_config_reset_http_stream)(self.config, id) }
    }

    /// The configuration itself, for [`ConfigPointer::reset_http_stream`].
    pub fn pointer(self) -> ConfigPointer {
        ConfigPointer {
            config: self.config,
            reset: self.envoy.http_filter_config_reset_http_stream,
        }
    }

    /// What other threads use to run the hook `config_scheduled` of this configuration on the main thread.
    pub fn scheduler(self) -> Scheduler {
        // SAFETY: a live configuration.
        let scheduler = unsafe { (self.envoy.http_filter_config_scheduler_new)(self.config) };
        Scheduler {
            scheduler,
            commit: self.envoy.http_filter_config_scheduler_commit,
            delete: self.envoy.http_filter_config_scheduler_delete,
        }
    }
}

/// A configuration beyond its hooks on the main thread, until its hook `config_destroy` returns.
#[derive(Clone, Copy)]
pub struct ConfigPointer {
    config: Envoy,
    reset: unsafe extern "C" fn(Envoy, u64),
}

// SAFETY: the pointer is used on the main thread only, while a worker waits in the hook `config_destroy`.
unsafe impl Send for ConfigPointer {}
// SAFETY: as above.
unsafe impl Sync for ConfigPointer {}

impl ConfigPointer {
    /// Ends a call, as [`ConfigHandle::reset_http_stream`]. On the main thread, before the hook `config_destroy` returns.
    pub fn reset_http_stream(self, id: u64) {
        // SAFETY: numbers; Envoy destroys the configuration only after the hook for that, in which `in_flight` waits.
        unsafe { (self.reset)(self.config, id) }
    }
}
