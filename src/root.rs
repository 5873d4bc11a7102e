//! A root context of one VM: its plugin configuration, and its ticks. Makes no decision about lists or requests.

use core::time::Duration;

use crate::host::{RootContext, RootId};
use crate::plugin::Plugin;
use crate::sync::SHORT_TICK;
use crate::traffic::settings::TrafficSettings;

/// A root context is considered deleted after this many tick periods without a tick. We do not export `proxy_on_delete`:
/// it would cost a call per request.
const MISSED_PERIODS: u32 = 8;

/// A root context of one VM.
#[derive(Debug)]
pub struct Root {
    id: RootId,
    plugin: Plugin,
    tick_period: Duration,
    /// The time since its own last tick, as measured by the ticks of others.
    idle: Duration,
}

impl Root {
    /// A root context with this configuration.
    pub fn new(id: RootId, plugin: Plugin) -> Self {
        Self {
            id,
            plugin,
            tick_period: SHORT_TICK,
            idle: Duration::ZERO,
        }
    }

    /// The host's number for it.
    pub fn id(&self) -> RootId {
        self.id
    }

    /// Its configuration.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The settings for its traffic information.
    pub fn traffic_settings(&self) -> Option<TrafficSettings<'_>> {
        self.plugin.traffic_settings(self.id)
    }

    /// Whether it does not tick.
    pub fn is_stopped(&self) -> bool {
        self.tick_period == Duration::ZERO
    }

    /// Sets the period of its ticks.
    pub fn set_tick_period(&mut self, host: &dyn RootContext, period: Duration) {
        if self.tick_period != period {
            self.tick_period = period;
            host.set_tick_period(self.id, period);
        }
    }

    /// Records a tick of root context `ticking`; `passed`: the time since the last tick of any root context. Returns whether
    /// this root context still exists.
    pub fn is_live(&mut self, ticking: RootId, passed: Duration) -> bool {
        self.idle = if self.id == ticking {
            Duration::ZERO
        } else {
            self.idle.saturating_add(passed)
        };
        self.is_stopped() || self.idle <= self.tick_period.saturating_mul(MISSED_PERIODS)
    }
}
