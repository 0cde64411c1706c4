//! Measures a link between two machines: round-trip time, and rate each way, at the receiver.

use super::{Waits, runtime};
use crate::link::Party;
use crate::net::{Connection, Credentials, Frame, Hello, NetError, Purpose, Session};
use crate::units::{BitRate, Nanos};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// Round trips measured.
const PINGS: u64 = 21;
/// First transfer of a direction; each next one is twice as long.
const FIRST: u64 = 256 << 10;
/// Longest transfer.
const MOST: u64 = 1 << 30;
/// Long enough to be believed.
const ENOUGH: Duration = Duration::from_secs(2);
/// The second half of a transfer is timed in so many pieces,
const PIECES: usize = 8;
/// of which the slowest do not count: a sender that pauses, as BBR does every ten seconds to see the shortest round trip, is not taken for a slower link.
const PAUSES: usize = 2;
/// No link is faster, bit/s.
const ABSURD: u64 = 1_000_000_000_000_000;
/// Written at once.
const BLOCK: u64 = 256 << 10;

/// What a link is like.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Median round trip of small messages.
    pub rtt: Nanos,
    /// The fastest one.
    pub rtt_least: Nanos,
    /// The slowest one.
    pub rtt_most: Nanos,
    /// Payload from client to server.
    pub up: BitRate,
    /// Payload from server to client.
    pub down: BitRate,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// The server is to send so much padding, and then a pong.
    Send(u64),
    /// The client sends so much padding; the server answers with [`Arrived`].
    Receive(u64),
    Done,
}

/// How fast padding came.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Arrived {
    /// In the second half, without its slowest pieces: in the first half a connection gains speed. `None` if it came in fewer pieces.
    bits_per_s: Option<u64>,
    /// From the first byte to the last.
    all_ns: u64,
}

impl Arrived {
    fn is_enough(self, sent: u64) -> bool {
        self.all_ns >= ENOUGH.as_nanos() as u64 || sent >= MOST
    }

    /// What is believed of a transfer of `sent` bytes; `None` if a longer one is needed.
    fn rate(self, sent: u64) -> Result<Option<BitRate>, String> {
        match self.bits_per_s.filter(|_| self.is_enough(sent)) {
            Some(rate @ 1..=ABSURD) => Ok(Some(BitRate(rate))),
            Some(rate) => Err(format!("it says that padding came at {rate} bit/s")),
            None if sent >= MOST => Err("all padding came at once".to_string()),
            None => Ok(None),
        }
    }
}

/// Measures the link to the server at `address`.
///
/// # Errors
/// [`NetError`]; a server that is busy or vanishes.
pub fn probe(
    credentials: &Credentials,
    address: &str,
    waits: Waits,
    cancel: &CancellationToken,
) -> Result<Probe, NetError> {
    let hello = Hello::new(Session::random(), Purpose::Probe);
    let work = async {
        let connection = credentials.connect(address, Party::Server, &hello).await?;
        let measured = tokio::time::timeout(waits.limit, measure(connection, waits.silence)).await;
        let cause = match measured {
            Ok(Ok(probe)) => return Ok(probe),
            Ok(Err(cause)) => cause,
            Err(_) => format!("it took longer than {} s", waits.limit.as_secs()),
        };
        Err(NetError::Nonsense { peer: Party::Server.to_string(), cause })
    };
    let runtime = runtime();
    runtime.block_on(async {
        tokio::select! {
            probe = work => probe,
            () = cancel.cancelled() => Err(NetError::Cancelled),
        }
    })
}

async fn measure(mut connection: Connection, silence: Duration) -> Result<Probe, String> {
    let mut trips = Vec::new();
    for number in 0..PINGS {
        let started = Instant::now();
        say(&mut connection, &Frame::ping(number)).await?;
        match next(&mut connection, silence).await? {
            Frame::Pong(answered) if answered == number => trips.push(started.elapsed()),
            other => return Err(format!("it answers a ping with {other:?}")),
        }
    }
    // The first one found cold caches.
    trips.remove(0);
    trips.sort_unstable();
    let nanos = |trip: Duration| Nanos(trip.as_nanos() as u64);
    let down = grow(
        async |bytes, connection: &mut Connection| {
            request(connection, &Request::Send(bytes)).await?;
            receive(connection, bytes, silence).await
        },
        &mut connection,
    )
    .await?;
    let up = grow(
        async |bytes, connection: &mut Connection| {
            request(connection, &Request::Receive(bytes)).await?;
            send(connection, bytes, silence).await?;
            match next(connection, silence).await? {
                Frame::Control(json) => serde_json::from_slice(&json).map_err(|error| error.to_string()),
                other => Err(format!("it answers with {other:?}")),
            }
        },
        &mut connection,
    )
    .await?;
    request(&mut connection, &Request::Done).await?;
    Ok(Probe {
        rtt: nanos(trips[trips.len() / 2]),
        rtt_least: nanos(trips[0]),
        rtt_most: nanos(trips[trips.len() - 1]),
        up,
        down,
    })
}

/// Longer and longer transfers, until one is long enough to be believed.
async fn grow(
    transfer: impl AsyncFn(u64, &mut Connection) -> Result<Arrived, String>,
    connection: &mut Connection,
) -> Result<BitRate, String> {
    let mut bytes = FIRST;
    loop {
        let arrived = transfer(bytes, connection).await?;
        if let Some(rate) = arrived.rate(bytes)? {
            return Ok(rate);
        }
        bytes *= 2;
    }
}

/// The server's side.
pub(super) async fn answer(mut connection: Connection, waits: Waits) -> Result<(), String> {
    let work = async {
        loop {
            match next(&mut connection, waits.silence).await? {
                Frame::Ping(number) => say(&mut connection, &Frame::pong(number)).await?,
                Frame::Control(json) => match serde_json::from_slice(&json).map_err(|error| error.to_string())? {
                    Request::Send(bytes) => send(&mut connection, bytes.min(MOST), waits.silence).await?,
                    Request::Receive(bytes) => {
                        let arrived = receive(&mut connection, bytes.min(MOST), waits.silence).await?;
                        request(&mut connection, &arrived).await?;
                    }
                    Request::Done => return Ok(()),
                },
                other => return Err(format!("the client sent {other:?}")),
            }
        }
    };
    match tokio::time::timeout(waits.limit, work).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("it took longer than {} s", waits.limit.as_secs())),
    }
}

async fn request(connection: &mut Connection, request: &impl Serialize) -> Result<(), String> {
    say(connection, &Frame::control(&serde_json::to_vec(request).expect("numbers"))).await
}

async fn say(connection: &mut Connection, frame: &[u8]) -> Result<(), String> {
    connection.say(frame).await.map_err(|error| error.to_string())
}

async fn next(connection: &mut Connection, silence: Duration) -> Result<Frame, String> {
    match tokio::time::timeout(silence, connection.reader.next()).await {
        Err(_) => Err(format!("nothing was heard for {} s", silence.as_secs())),
        Ok(None) => Err("it hung up".to_string()),
        Ok(Some(frame)) => frame.map_err(|error| error.to_string()),
    }
}

async fn send(connection: &mut Connection, bytes: u64, silence: Duration) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    connection.writer.write_all(&Frame::padding(bytes)).await.map_err(failed)?;
    let zeros = vec![0; BLOCK as usize];
    let mut left = bytes;
    while left > 0 {
        let here = left.min(BLOCK);
        let write = connection.writer.write_all(&zeros[..here as usize]);
        let written = tokio::time::timeout(silence, write).await;
        written.map_err(|_| format!("nothing was taken for {} s", silence.as_secs()))?.map_err(failed)?;
        left -= here;
    }
    connection.writer.flush().await.map_err(failed)
}

async fn receive(connection: &mut Connection, bytes: u64, silence: Duration) -> Result<Arrived, String> {
    let mut stretches = Stretches::of(bytes);
    let mut first = None;
    while stretches.seen < bytes {
        match next(connection, silence).await? {
            Frame::Padding(0) => first = Some(Instant::now()),
            Frame::Padding(here) => stretches.saw(here, Instant::now()),
            other => return Err(format!("{other:?} came instead of padding")),
        }
    }
    if stretches.seen > bytes {
        return Err("more padding came than was announced".to_string());
    }
    let first = first.ok_or("padding came that was not announced")?;
    Ok(Arrived { bits_per_s: stretches.rate(), all_ns: first.elapsed().as_nanos() as u64 })
}

/// When the second half of a transfer, and each of its pieces, had come.
struct Stretches {
    bytes: u64,
    seen: u64,
    /// Bytes seen by then.
    marks: Vec<(u64, Instant)>,
}

impl Stretches {
    fn of(bytes: u64) -> Stretches {
        Stretches { bytes, seen: 0, marks: Vec::with_capacity(PIECES + 1) }
    }

    /// `here` more bytes came.
    fn saw(&mut self, here: u64, now: Instant) {
        self.seen += here;
        let pieces = PIECES as u64;
        if self.seen * 2 * pieces >= self.bytes * (pieces + self.marks.len() as u64) {
            self.marks.push((self.seen, now));
        }
    }

    /// bit/s.
    fn rate(&self) -> Option<u64> {
        let mut pieces: Vec<(u64, u128)> = self
            .marks
            .windows(2)
            .map(|pair| {
                let &[(before, from), (after, to)] = pair else { unreachable!("pairs") };
                (after - before, (to - from).as_nanos().max(1))
            })
            .collect();
        // Fastest first.
        pieces.sort_by(|(bytes, ns), (others, other)| (u128::from(*others) * ns).cmp(&(u128::from(*bytes) * other)));
        let counted = pieces.len().saturating_sub(PAUSES);
        let (bytes, ns) = pieces[..counted].iter().fold((0, 0), |(bytes, ns), piece| (bytes + piece.0, ns + piece.1));
        (ns > 0).then(|| (bytes as f64 * 8e9 / ns as f64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of 4 MB that come 1 kB at a time, each after its own number of microseconds.
    fn rate_of(gaps_us: impl Fn(usize) -> u64) -> u64 {
        let mut stretches = Stretches::of(4_000_000);
        let mut now = Instant::now();
        for gap in (0..4000).map(gaps_us) {
            now += Duration::from_micros(gap);
            stretches.saw(1000, now);
        }
        stretches.rate().expect("several pieces")
    }

    #[test]
    fn a_slow_start_and_a_pause_do_not_count() {
        let steady = 8_000_000;
        assert_eq!(rate_of(|_| 1000), steady);
        assert_eq!(rate_of(|i| if i < 1500 { 5000 } else { 1000 }), steady);
        assert_eq!(rate_of(|i| if i == 3000 { 700_000 } else { 1000 }), steady);
    }

    #[test]
    fn a_link_that_is_slower_most_of_the_time_is() {
        // A fast quarter of the second half, and two thirds of the slow rest.
        assert_eq!(rate_of(|i| if i < 2500 { 1000 } else { 4000 }), 8_000_000 * 6 / (2 + 4 * 4));
    }

    #[test]
    fn what_came_at_once_asks_for_more() {
        let mut stretches = Stretches::of(1 << 18);
        stretches.saw(1 << 17, Instant::now());
        stretches.saw(1 << 17, Instant::now());
        assert_eq!(stretches.rate(), None);
        let arrived = |bits_per_s, all_ns| Arrived { bits_per_s, all_ns };
        assert_eq!(arrived(None, 1).rate(1 << 18), Ok(None));
        assert_eq!(arrived(Some(80), 1).rate(1 << 18), Ok(None));
        assert_eq!(arrived(None, 3_000_000_000).rate(1 << 18), Ok(None));
        assert_eq!(arrived(Some(80), 3_000_000_000).rate(1 << 18), Ok(Some(BitRate(80))));
        assert_eq!(arrived(Some(80), 1).rate(MOST), Ok(Some(BitRate(80))));
        for absurd in [None, Some(0), Some(u64::MAX)] {
            arrived(absurd, 3_000_000_000).rate(MOST).expect_err("nothing to believe");
        }
    }

    #[test]
    fn bursts_of_a_window_are_averaged() {
        // 300 kB at once, and nothing for the rest of a round trip of 300 ms: the second half holds six and a half of them.
        let rate = rate_of(|i| if i % 300 == 0 { 300_000 } else { 0 });
        assert!((7_000_000..11_000_000).contains(&rate), "{rate}");
    }
}
