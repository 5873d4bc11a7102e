//! The bootstrap extension in Envoy.

use core::marker::PhantomData;

use super::{Buffer, CALLBACKS, Callbacks, Envoy};

/// A configuration of the bootstrap extension, for the length of a hook on the main thread.
#[derive(Clone, Copy)]
pub struct BootstrapHandle<'h> {
    envoy: &'static Callbacks,
    config: Envoy,
    hook: PhantomData<&'h ()>,
}

impl BootstrapHandle<'_> {
    /// The configuration of the hook that has just begun; `None` before [`super::load`].
    ///
    /// # Safety
    ///
    /// `config` is the configuration pointer of a hook of the extension, and the result is dropped when that returns.
    pub unsafe fn new(config: Envoy) -> Option<Self> {
        let envoy = CALLBACKS.get()?;
        Some(Self {
            envoy,
            config,
            hook: PhantomData,
        })
    }

    /// Lets Envoy serve. Envoy waits for it, forever.
    pub fn signal_init_complete(self) {
        // SAFETY: a live configuration, which has had its init target since before its first hook.
        unsafe { (self.envoy.bootstrap_extension_config_signal_init_complete)(self.config) }
    }

    /// Adds a path to the admin interface; its requests run the hook `admin_request`. Returns whether Envoy has an admin
    /// interface and takes the path.
    pub fn register_admin_handler(self, path: &str, help: &str) -> bool {
        let (path, help) = (Buffer::of(path.as_bytes()), Buffer::of(help.as_bytes()));
        // SAFETY: Envoy copies the texts during the call. The handler is not removable, and changes no state.
        unsafe {
            (self.envoy.bootstrap_extension_register_admin_handler)(
                self.config,
                path,
                help,
                false,
                false,
            )
        }
    }

    /// Sets the body of the response to the admin request whose hook runs.
    pub fn set_admin_response(self, body: &str) {
        // SAFETY: Envoy copies the body during the call.
        unsafe {
            (self.envoy.bootstrap_extension_admin_set_response)(
                self.config,
                Buffer::of(body.as_bytes()),
            );
        }
    }

    /// A timer of the main thread, which runs the hook `timer_fired`.
    pub fn timer(self) -> Timer {
        // SAFETY: a live configuration.
        let timer = unsafe { (self.envoy.bootstrap_extension_timer_new)(self.config) };
        Timer {
            envoy: self.envoy,
            timer,
        }
    }
}

/// A timer of the main thread, on which it is created, used and dropped: a pointer is not `Send`.
pub struct Timer {
    envoy: &'static Callbacks,
    timer: Envoy,
}

impl Timer {
    /// Fires once, after this time.
    pub fn enable(&self, ms: u64) {
        // SAFETY: the object lives until `drop`.
        unsafe { (self.envoy.bootstrap_extension_timer_enable)(self.timer, ms) }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: made by Envoy for this value, and deleted once.
        unsafe { (self.envoy.bootstrap_extension_timer_delete)(self.timer) }
    }
}
