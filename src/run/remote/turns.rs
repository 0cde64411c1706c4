//! How many connections may be in a handshake at the same time: one address that says nothing does not keep the others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of everybody.
const MOST: usize = 64;
/// Of one address; an execution takes two.
pub(super) const MOST_OF_ONE: usize = 16;

/// Places for handshakes.
pub(super) struct Turns {
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place for somebody.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The place of a connection, given back when dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    address: IpAddr,
    _place: Place,
}

impl Turns {
    pub fn new() -> Arc<Turns> {
        Arc::new(Turns { free: Arc::new(Semaphore::new(MOST)), taken: Mutex::default() })
    }

    /// Waits for a place.
    pub async fn place(&self) -> Place {
        Place { _permit: self.free.clone().acquire_owned().await.expect("nobody closes it") }
    }

    /// `None` if the address has its share.
    pub fn give(self: &Arc<Turns>, place: Place, address: IpAddr) -> Option<Turn> {
        let address = host(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count == MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Turn { turns: self.clone(), address, _place: place })
    }
}

/// What stands for whoever has `address`: IPv4 comes to a socket for both as IPv6, and of IPv6 a host has a network of 64 bits.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_network() {
        let host_of = |text: &str| host(text.parse().unwrap()).to_string();
        assert_eq!(host_of("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(host_of("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::");
    }

    #[tokio::test]
    async fn one_address_gets_its_share_and_leaves_the_rest() {
        let turns = Turns::new();
        let [one, same, other] = ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let mut held = Vec::new();
        for _ in 0..MOST_OF_ONE {
            held.push(turns.give(turns.place().await, one).expect("within its share"));
        }
        assert!(turns.give(turns.place().await, one).is_none());
        assert!(turns.give(turns.place().await, same).is_none());
        assert!(turns.give(turns.place().await, other).is_some());
        held.pop();
        held.push(turns.give(turns.place().await, same).expect("one was given back"));
        held.clear();
        assert_eq!(turns.free.available_permits(), MOST);
        assert!(turns.taken.lock().unwrap().is_empty());
    }
}
