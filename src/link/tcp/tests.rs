use super::flow::SEGMENT;
use super::*;
use crate::units::BitRate;

fn link(latency_ms: u64, mbit: u64, tcp: TcpParameters) -> Tcp {
    Tcp::new(
        Congestion::Cubic,
        &LinkParameters { tcp, ..LinkParameters::new(Nanos(latency_ms * 1_000_000), BitRate(mbit * 1_000_000)) },
    )
}

fn ms(arrival: Nanos) -> f64 {
    arrival.0 as f64 / 1e6
}

/// The time of `bytes` on a fresh connection over 100 ms there and back, ms.
fn cold(mbit: u64, bytes: u64) -> f64 {
    ms(link(50, mbit, TcpParameters::default()).arrival(Nanos(0), bytes))
}

const FAST: u64 = 1_000_000;

#[test]
fn slow_start_doubles_the_window_every_round_trip() {
    // 10 segments in the first flight, then 20, 40: each flight one round trip after the one before. For the fourth, of 80, the receiver has room for
    // 62 only; it says later that it has more (as measured of Linux).
    for (segments, flights) in
        [(1, 1), (10, 1), (11, 2), (30, 2), (31, 3), (70, 3), (71, 4), (132, 4), (133, 5), (256, 5)]
    {
        let expected = 50.0 + 100.0 * (flights - 1) as f64;
        let actual = cold(FAST, segments * SEGMENT.0);
        assert!((actual - expected).abs() < 0.01, "{segments} segments: {actual} ms, not {expected}");
    }
}

#[test]
fn a_receiver_makes_room_for_large_segments_too() {
    let jumbo = LinkParameters {
        packet_payload: Some(Bytes(8948)),
        tcp: TcpParameters { max_window: Bytes(64 << 20), ..Default::default() },
        ..LinkParameters::new(Nanos(50_000_000), BitRate(100_000_000_000))
    };
    // 10 segments are all that there is room for at first; then 20, 40, and so on: 16 MB in 9 flights, not 190.
    let actual = ms(Tcp::new(Congestion::Cubic, &jumbo).arrival(Nanos(0), 16_000_000));
    assert!((750.0..1100.0).contains(&actual), "{actual} ms");
}

#[test]
fn a_segment_pays_its_headers() {
    // 10 segments of 1500 B at 10 Mbit/s: 12 ms, of which the headers are 0.416.
    assert_eq!(cold(10, 10 * SEGMENT.0), 62.0);
    assert_eq!(cold(10, 0), 50.0 + 52.0 * 8.0 / 10_000.0);
}

#[test]
fn what_was_measured_over_a_kernel() {
    // 512 KiB over 100 ms and 100 Mbit/s: 0.68 s with the handshake (0.1 s), where latency and rate say 0.09.
    let actual = cold(100, 512 << 10);
    assert!((actual - 580.0).abs() < 30.0, "{actual} ms");
    // Warm it took 0.17 to 0.19 s there and back: 0.05 + 0.045 s one way, and an answer's 0.05.
    let warm = ms(link(50, 100, TcpParameters { warm: true, ..Default::default() }).arrival(Nanos(0), 512 << 10));
    assert!((warm - 93.5).abs() < 3.0, "{warm} ms");
}

#[test]
fn a_full_pipe_runs_at_the_link_s_rate() {
    // 200 MB at 100 Mbit/s with headers: 16.57 s and one slow start.
    let actual = cold(100, 200_000_000);
    let wire = 200e6 * 1500.0 / 1448.0 * 8.0 / 100e6 * 1e3;
    assert!(actual > wire && actual < 1.05 * wire, "{actual} ms, not {wire}");
}

#[test]
fn buffers_limit_the_rate_to_a_window_a_round_trip() {
    let tcp = TcpParameters { max_window: Bytes(1 << 20), ..Default::default() };
    let actual = ms(link(50, 10_000, tcp).arrival(Nanos(0), 50 << 20));
    assert!((actual / 5000.0 - 1.0).abs() < 0.15, "{actual} ms for 50 windows of a round trip");
}

#[test]
fn idleness_closes_the_window_unless_switched_off() {
    let second = |idle_restart: bool, warm: bool, pause_ms: u64| {
        let mut link = link(50, FAST, TcpParameters { idle_restart, warm, ..Default::default() });
        let first = link.arrival(Nanos(0), 150 * SEGMENT.0);
        let sent_at = Nanos(first.0 + 50_000_000 + pause_ms * 1_000_000);
        ms(Nanos(link.arrival(sent_at, 150 * SEGMENT.0).0 - sent_at.0)).round()
    };
    // The first message left a window of 160; its acknowledgements are in when the pause begins.
    assert_eq!(second(true, false, 10), 50.0);
    assert_eq!(second(false, false, 10_000), 50.0);
    assert!(second(true, false, 10_000) >= 250.0);
    // Only a little idle, half the window: two flights.
    assert_eq!(second(true, false, 250), 150.0);
    assert_eq!(second(true, true, 10), 50.0);
    assert!(second(true, true, 60_000) >= 250.0);
}

#[test]
fn a_short_queue_loses_segments_and_rate() {
    // A queue of a tenth of the pipe: CUBIC's 0.7 of 1.1 pipes does not fill it.
    let rate = |queue: Option<u64>| {
        let tcp = TcpParameters { queue: queue.map(Bytes), max_window: Bytes(64 << 20), ..Default::default() };
        ms(link(50, 100, tcp).arrival(Nanos(0), 100_000_000))
    };
    let [none, short, long] = [None, Some(125_000), Some(2_500_000)].map(rate);
    assert!(short > 1.02 * none, "{short} ms with a short queue, {none} without a limit");
    assert!(long < 1.03 * none, "{long} ms with a long queue, {none} without a limit");
}

#[test]
fn losses_cost_time_and_follow_the_seed() {
    let take = |loss: f64, seed: u64| {
        let tcp = TcpParameters { loss, ..Default::default() };
        let parameters = LinkParameters { tcp, seed, ..LinkParameters::new(Nanos(50_000_000), BitRate(100_000_000)) };
        Tcp::new(Congestion::Cubic, &parameters).arrival(Nanos(0), 10_000_000)
    };
    assert_eq!(take(0.01, 1), take(0.01, 1));
    assert_ne!(take(0.01, 1), take(0.01, 2));
    // Mathis et al. 1997: at 1 % loss standard TCP's rate is 1.22 segments / (0.1 s sqrt(0.01)), 177 kB/s, CUBIC's a little more.
    let seconds = ms(take(0.01, 1)) / 1e3;
    assert!((20.0..80.0).contains(&seconds), "{seconds} s");
    // About one in a hundred segments.
    let mut losses = Losses::new(0.01, 3);
    let hits = (0..100_000).filter(|_| losses.hit(1)).count();
    assert!((900..1100).contains(&hits), "{hits}");
}

#[test]
fn bbr_opens_until_the_path_is_full_and_stays_open() {
    let link = |tcp| {
        let parameters = LinkParameters { tcp, ..LinkParameters::new(Nanos(50_000_000), BitRate(20_000_000)) };
        Tcp::new(Congestion::Bbr, &parameters)
    };
    // 1 MB is 690 segments; 10, 20, ... 320 in six flights fill a path of 167, and then the rate decides.
    let cold = ms(link(TcpParameters::default()).arrival(Nanos(0), 1_000_000));
    let wire = 691.0 * 1500.0 * 8.0 / 20e3;
    assert!(cold > wire + 50.0 && cold < wire + 50.0 + 400.0, "{cold} ms, {wire} on the wire");
    // Idleness of a minute and losses change nothing.
    let mut lossy = link(TcpParameters { warm: true, loss: 0.01, ..TcpParameters::default() });
    let after = ms(lossy.arrival(Nanos(60_000_000_000), 1_000_000)) - 60_000.0;
    assert!(after < wire + 50.0 + 310.0, "{after} ms");
}
