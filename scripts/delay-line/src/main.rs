//! Joins two TUN devices by a link in user space: in each direction a queue with tail drop, a rate, a delay.
//!
//! Each packet is stamped when it is read from one device: it leaves the queue when the packets before it have left and its
//! own bits have passed at the rate, and is written to the other device a delay later. A packet that finds more than the
//! queue's bytes before it is dropped. IP packets are counted as they are, without any headers below them.
//!
//! The devices take checksums and the cutting of segments off the kernel, as network cards do: what the kernel hands over as one packet
//! of several segments passes as one, and pays the headers of each. How many segments that may be is for the
//! devices' owner to say (`ip link set DEVICE gso_max_segs N`).
//!
//! The devices are made here and moved into their namespaces by whoever called; see `../validate-link.sh`.

use anyhow::{Context, Result};
use clap::Parser;
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tun_rs::{DeviceBuilder, SyncDevice, VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_HDR_LEN, VirtioNetHdr};

#[derive(Parser)]
struct Args {
    /// Names of the two devices
    #[arg(long, num_args = 2, default_values = ["lh-a", "lh-b"])]
    devices: Vec<String>,
    /// One way, in milliseconds
    #[arg(long)]
    delay_ms: f64,
    /// Of each direction, in Mbit/s
    #[arg(long)]
    mbit: f64,
    /// Where the work for each device is done; anywhere unless given
    #[arg(long, num_args = 2)]
    cores: Vec<usize>,
    /// Bytes that wait before the link, at most
    #[arg(long, default_value_t = u64::MAX)]
    queue: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let open = |end: usize| -> Result<Arc<Host>> {
        let name = &args.devices[end];
        let device = DeviceBuilder::new().name(name).mtu(1500).offload(true).build_sync();
        let device = device.with_context(|| format!("cannot make the TUN device {name} (root is needed)"))?;
        Ok(Arc::new(Host { device, core: args.cores.get(end).copied() }))
    };
    let (a, b) = (open(0)?, open(1)?);
    let link =
        Link { delay: Duration::from_secs_f64(args.delay_ms / 1e3), ns_per_byte: 8e3 / args.mbit, queue: args.queue };
    // Whoever waits for the devices reads this line.
    println!("ready");
    let directions = [(a.clone(), b.clone()), (b, a)].map(|(from, to)| {
        let dropped = Arc::new(AtomicU64::new(0));
        direction(from, to, link, dropped.clone());
        dropped
    });
    let mut known = [0, 0];
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = directions.each_ref().map(|dropped| dropped.load(Ordering::Relaxed));
        if now != known {
            println!("dropped {} and {} packets", now[0], now[1]);
            known = now;
        }
    }
}

/// One end of the link.
struct Host {
    device: SyncDevice,
    core: Option<usize>,
}

impl Host {
    /// Starts a thread that works for it.
    fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        let core = self.core;
        std::thread::spawn(move || {
            if let Some(core) = core {
                let mut set = CpuSet::new();
                set.set(core);
                if let Err(error) = sched_setaffinity(None, &set) {
                    eprintln!("cannot work on core {core}: {error}");
                }
            }
            // Timers are not to be rounded up by 50 us.
            let _ = set_current_timer_slack(std::num::NonZeroU64::new(1));
            work();
        });
    }
}

#[derive(Clone, Copy)]
struct Link {
    delay: Duration,
    ns_per_byte: f64,
    queue: u64,
}

/// Starts the threads that read at one end and write at the other.
fn direction(from: Arc<Host>, to: Arc<Host>, link: Link, dropped: Arc<AtomicU64>) {
    let (send, under_way) = mpsc::channel::<(Instant, Vec<u8>)>();
    from.clone().spawn(move || {
        let mut buffer = vec![0; 1 << 17];
        let mut free_at = Instant::now();
        // A device that was not brought up yet, or moves to its namespace, is tried again.
        loop {
            let Ok(length) = from.device.recv(&mut buffer) else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            let Some(bytes) = on_the_wire(&buffer[..length]) else { continue };
            let now = Instant::now();
            let waiting = free_at.saturating_duration_since(now).as_nanos() as f64 / link.ns_per_byte;
            if waiting > link.queue as f64 {
                dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            free_at = free_at.max(now) + Duration::from_nanos((bytes as f64 * link.ns_per_byte) as u64);
            if send.send((free_at + link.delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    to.clone().spawn(move || {
        for (due, packet) in under_way {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = to.device.send(&packet);
        }
    });
}

/// Bytes of the IP packets that `packet`, with its header for the device, would be sent as.
fn on_the_wire(packet: &[u8]) -> Option<u64> {
    let header = VirtioNetHdr::decode(packet).ok()?;
    let packet = &packet[VIRTIO_NET_HDR_LEN..];
    let length = packet.len() as u64;
    if header.gso_size == 0 {
        return Some(length);
    }
    // The checksum is that of TCP, whose header says how long it is, or of UDP.
    let start = usize::from(header.csum_start);
    let own = match header.gso_type {
        VIRTIO_NET_HDR_GSO_UDP_L4 => 8,
        _ => 4 * u64::from(packet.get(start + 12)? >> 4),
    };
    let headers = start as u64 + own;
    let segments = length.checked_sub(headers)?.div_ceil(header.gso_size.into());
    Some(length + segments.saturating_sub(1) * headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tun_rs::VIRTIO_NET_HDR_GSO_TCPV4;

    /// `payload` bytes behind IPv4 and `own` bytes of a header that says so, in pieces of `gso_size`.
    fn packet(gso_type: u8, gso_size: u16, own: usize, payload: usize) -> Vec<u8> {
        let header = VirtioNetHdr { gso_type, gso_size, csum_start: 20, ..VirtioNetHdr::default() };
        let mut packet = vec![0; VIRTIO_NET_HDR_LEN + 20 + own + payload];
        header.encode(&mut packet).expect("there is room");
        packet[VIRTIO_NET_HDR_LEN + 20 + 12] = (own as u8 / 4) << 4;
        packet
    }

    #[test]
    fn every_segment_pays_its_headers() {
        // One of 1448 bytes, sixteen of them, and sixteen and a bit; TCP's header has time stamps.
        assert_eq!(on_the_wire(&packet(0, 0, 32, 1448)), Some(1500));
        assert_eq!(on_the_wire(&packet(VIRTIO_NET_HDR_GSO_TCPV4, 1448, 32, 16 * 1448)), Some(16 * 1500));
        assert_eq!(on_the_wire(&packet(VIRTIO_NET_HDR_GSO_TCPV4, 1448, 32, 16 * 1448 + 1)), Some(16 * 1500 + 53));
        assert_eq!(on_the_wire(&packet(VIRTIO_NET_HDR_GSO_UDP_L4, 1000, 8, 3000)), Some(3 * 1028));
        assert_eq!(on_the_wire(&[0; 3]), None);
    }
}
