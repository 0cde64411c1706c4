//! Exact values, exact messages, and the round trip through text.

use proptest::prelude::*;

use super::*;

fn message<Q: Quantity + fmt::Debug>(text: &str) -> String {
    text.parse::<Q>().expect_err(text).to_string()
}

#[test]
fn times_are_exact() {
    for (text, ns) in [
        ("100 ms", 100_000_000),
        ("0.25 ms", 250_000),
        ("125 us", 125_000),
        ("125 \u{b5}s", 125_000),
        ("125\u{3bc}s", 125_000),
        ("2 s", 2_000_000_000),
        ("500 ns", 500),
        ("  0.000000001 s ", 1),
        ("0 ms", 0),
        ("0.10 s", 100_000_000),
        ("18446744073.709551615 s", u64::MAX),
    ] {
        assert_eq!(text.parse(), Ok(Nanos(ns)), "{text}");
    }
}

#[test]
fn rates_are_exact() {
    for (text, bits) in [
        ("100 Mbit/s", 100_000_000),
        ("10 Gbit/s", 10_000_000_000),
        ("3 kbit/s", 3_000),
        ("155.52 Mbit/s", 155_520_000),
        ("9600 bit/s", 9_600),
        ("unlimited", u64::MAX),
    ] {
        assert_eq!(text.parse(), Ok(BitRate(bits)), "{text}");
    }
}

#[test]
fn sizes_are_exact() {
    for (text, bytes) in [
        ("64 MiB", 64 << 20),
        ("1 GiB", 1 << 30),
        ("1500 B", 1_500),
        ("1 KB", 1_000),
        ("1.5 KiB", 1_536),
        ("2 TB", 2_000_000_000_000),
    ] {
        assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
    }
}

#[test]
fn wrong_times_say_what_is_right() {
    for (text, expected) in [
        ("100", r#""100" has no unit; write for example "100 ms""#),
        ("100 msec", r#""msec" is not a unit of time; write "100 ms""#),
        ("3 MS", r#""MS" is not a unit of time; write "3 ms""#),
        ("1 h", r#""h" is not a unit of time; the units are s, ms, us, ns"#),
        ("0.5 ns", r#""0.5 ns" is not a whole number of nanoseconds; round it to a multiple of one nanosecond"#),
        ("-5 ms", r#""-5 ms" is negative; write a time that is zero or more"#),
        ("1,5 ms", r#""1,5 ms" is not a number and a unit of time; write for example "100 ms""#),
        ("18446744073.709551616 s", r#""18446744073.709551616 s" is too large; write for example "100 ms""#),
    ] {
        assert_eq!(message::<Nanos>(text), expected);
    }
    for text in ["", "ms", ".5 ms", "5. ms", "1.2.3 ms", "- ms"] {
        let expected = "is not a number and a unit of time; write for example \"100 ms\"";
        assert_eq!(message::<Nanos>(text), format!("\"{text}\" {expected}"));
    }
}

#[test]
fn wrong_rates_say_what_is_right() {
    for (text, expected) in [
        ("100 Mbps", r#""Mbps" is not a unit of rate; write "100 Mbit/s""#),
        ("7 Gb/s", r#""Gb/s" is not a unit of rate; write "7 Gbit/s""#),
        ("12.5 MB/s", r#""MB/s" counts bytes, but rates are in bits per second; write "100 Mbit/s""#),
        ("1 MiB/s", r#""MiB/s" counts bytes, but rates are in bits per second; write "8.388608 Mbit/s""#),
        ("10", r#""10" has no unit; write for example "10 Mbit/s""#),
        (
            "0.5 bit/s",
            r#""0.5 bit/s" is not a whole number of bits per second; round it to a multiple of one bit per second"#,
        ),
        ("18446744073709551615 bit/s", r#""18446744073709551615 bit/s" is too large; write for example "100 Mbit/s""#),
    ] {
        assert_eq!(message::<BitRate>(text), expected);
    }
}

#[test]
fn wrong_sizes_say_what_is_right() {
    for (text, expected) in [
        ("64", r#""64" has no unit; write for example "64 MiB""#),
        ("64 M", r#""M" is not a unit of size; write "64 MiB""#),
        ("64 mib", r#""mib" is not a unit of size; write "64 MiB""#),
        ("1 kB", r#""kB" is not a unit of size; write "1 KB""#),
        ("1 Mbit", r#""Mbit" is not a unit of size; the units are TiB, GiB, MiB, KiB, TB, GB, MB, KB, B"#),
    ] {
        assert_eq!(message::<Bytes>(text), expected);
    }
}

#[test]
fn printing_chooses_a_readable_unit() {
    assert_eq!(Nanos(250_000).to_string(), "250 us");
    assert_eq!(Nanos(1_234_567_891).to_string(), "1.234567891 s");
    assert_eq!(Nanos(0).to_string(), "0 ns");
    assert_eq!(BitRate(155_520_000).to_string(), "155.52 Mbit/s");
    assert_eq!(BitRate::UNLIMITED.to_string(), "unlimited");
    assert_eq!(Bytes(1_500).to_string(), "1500 B");
    assert_eq!(Bytes(1_000).to_string(), "1 KB");
    assert_eq!(Bytes(64 << 20).to_string(), "64 MiB");
    assert_eq!(Bytes(0).to_string(), "0 B");
    assert_eq!(format!("[{:>7}]", Bytes(1_000)), "[   1 KB]");
}

#[test]
fn serde_uses_the_text() {
    let json = serde_json::to_string(&(Nanos(250_000), BitRate::UNLIMITED, Bytes(1_000)));
    let json = json.expect("serialises");
    assert_eq!(json, r#"["250 us","unlimited","1 KB"]"#);
    let back: (Nanos, BitRate, Bytes) = serde_json::from_str(&json).expect("parses");
    assert_eq!(back, (Nanos(250_000), BitRate::UNLIMITED, Bytes(1_000)));
    assert!(serde_json::from_str::<Nanos>(r#""5""#).is_err());
}

proptest! {
    #[test]
    fn text_round_trips(value: u64, shift in 0u32..64) {
        let value = value >> shift;
        prop_assert_eq!(Nanos(value).to_string().parse(), Ok(Nanos(value)));
        prop_assert_eq!(BitRate(value).to_string().parse(), Ok(BitRate(value)));
        prop_assert_eq!(Bytes(value).to_string().parse(), Ok(Bytes(value)));
    }

    #[test]
    fn no_text_panics(text in "[-0-9. ,a-zA-Z/µ]{0,12}") {
        let _ = (text.parse::<Nanos>(), text.parse::<BitRate>(), text.parse::<Bytes>());
    }
}
