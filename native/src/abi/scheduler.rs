//! What brings other threads to Envoy's main thread.

use super::Envoy;

/// Runs the hook `config_scheduled` of one configuration, of the filter or of the bootstrap extension. Delete it with the
/// configuration: it refers to Envoy's main thread, which ends later.
pub struct Scheduler {
    pub(super) scheduler: Envoy,
    pub(super) commit: unsafe extern "C" fn(Envoy, u64),
    pub(super) delete: unsafe extern "C" fn(Envoy),
}

// SAFETY: Envoy lets any thread commit events; only `drop` deletes the object, once.
unsafe impl Send for Scheduler {}
// SAFETY: as above; a commit only posts to the main thread.
unsafe impl Sync for Scheduler {}

impl Scheduler {
    /// Runs the hook with this number, soon.
    pub fn commit(&self, event: u64) {
        // SAFETY: the object lives until `drop`.
        unsafe { (self.commit)(self.scheduler, event) }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // SAFETY: made by Envoy for this value, and deleted once.
        unsafe { (self.delete)(self.scheduler) }
    }
}
