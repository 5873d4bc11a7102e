//! The connections of each address, counted and limited. Logs the first one that is refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections of each address.
#[derive(Clone)]
pub struct Addresses {
    most: NonZeroU32,
    open: Arc<Mutex<HashMap<IpAddr, Open>>>,
}

#[derive(Default)]
struct Open {
    connections: u32,
    /// Whether one was refused since there were none.
    reported: bool,
}

/// A connection that is counted while this exists.
pub struct Counted {
    address: IpAddr,
    addresses: Addresses,
}

impl Addresses {
    /// No connections, and at most so many of each address.
    pub fn new(most: NonZeroU32) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts a connection; none if its address has too many.
    pub fn count(&self, address: IpAddr) -> Option<Counted> {
        let address = client(address);
        let mut all = self.all();
        let open = all.entry(address).or_default();
        if open.connections >= self.most.get() {
            if !std::mem::replace(&mut open.reported, true) {
                log_line!(
                    "portcullis serve: {address} has {} connections, and more are closed (--connections-per-address)",
                    self.most
                );
            }
            return None;
        }
        open.connections = open.connections.saturating_add(1);
        drop(all);
        Some(Counted {
            address,
            addresses: self.clone(),
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.addresses.all();
        if let Some(open) = all.get_mut(&self.address) {
            open.connections = open.connections.saturating_sub(1);
            if open.connections == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// The client of an address: of IPv6, its network, of which it can use every address.
pub fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}
