//! A wrong value for every key, and the exact words a user reads about it.

use super::bad::report;

/// What to replace in the minimal scenario, by what, and the first line of the report.
type Case = (&'static str, &'static str, &'static str);

fn assert_reports(cases: &[Case]) {
    for (from, to, expected) in cases {
        let report = report(from, to);
        let first = report.lines().next().expect("a line");
        assert_eq!(first, format!("x.toml:{expected}"));
    }
}

#[test]
fn the_top_of_the_file_and_small_tables() {
    assert_reports(&[
        (
            "[[model]]",
            "repetitions = 0\n[[model]]",
            "2:15: key repetitions: 0 is out of range; write a whole number from 1 to 1000000",
        ),
        (
            "[[model]]",
            "warmup = -1\n[[model]]",
            "2:10: key warmup: -1 is out of range; write a whole number from 0 to 1000000",
        ),
        (
            "[[model]]",
            "warmup = 1.5\n[[model]]",
            "2:10: key warmup: expected an integer, found a float; write a whole number from 0 to 1000000",
        ),
        (
            "[[model]]",
            "frac_bits = 12\n[[model]]",
            r#"2:1: key frac_bits: there is no such key at the top of the file; "frac_bits" belongs in [fixed_point]; known: name, seed, repetitions, auto, warmup, clock, compute, compute_scale, stream, fixed_point, input, model, protocol, link, speedup, memory"#,
        ),
        (
            "[[model]]",
            "stream = \"no\"\n[[model]]",
            "2:10: key stream: expected true or false, found a string; write it without quotes",
        ),
        (
            "[[model]]",
            "compute_scale = nan\n[[model]]",
            "2:17: key compute_scale: NaN is not a finite number above 0; write for example 2.0 for a machine half as fast",
        ),
        (
            "[[model]]",
            "compute_scale = 2\ncompute = \"none\"\n[[model]]",
            r#"2:17: key compute_scale: only measured computing on the virtual clock can be scaled; remove it, or write clock = "virtual" and compute = "measured""#,
        ),
        (
            "[[model]]",
            "clock = \"wall\"\ncompute = \"none\"\n[[model]]",
            r#"3:11: key compute: on the wall clock computing takes the time it takes; write compute = "measured", or clock = "virtual""#,
        ),
        ("[[model]]", "clock = \"real\"\n[[model]]", r#"2:9: key clock: "real" is unknown; known: virtual, wall"#),
        (
            "[[model]]",
            "fixed_point.frac_bits = 32\n[[model]]",
            "2:25: key fixed_point.frac_bits: 32 is out of range; write a whole number from 8 to 20",
        ),
        (
            "[[model]]",
            "input.images = 0\n[[model]]",
            "2:16: key input.images: 0 is out of range; write a whole number from 1 to 1000000",
        ),
        (
            "[[model]]",
            "input = { dataset = \"cifar10\", images = 20000 }\n[[model]]",
            "2:41: key input.images: 20000 is out of range; write a whole number from 1 to 10000",
        ),
        (
            "[[model]]",
            "input = { dataset = \"cifar10\" }\n[[model]]",
            r#"2:21: key input.dataset: there is no directory "cifar-10-batches-bin" (searched beside the scenario (.), in --data (not set), in $LONGHAUL_DATA (not set)); unpack CIFAR-10 (binary version) there"#,
        ),
        (
            "[[model]]",
            "input = { path = \"x\" }\n[[model]]",
            r#"2:18: key input.path: has no meaning for random images; remove it, or add dataset = "cifar10""#,
        ),
        (
            "[[model]]",
            "input = { dataset = \"samples\", images = 11 }\n[[model]]",
            "2:41: key input.images: 11 is out of range; write a whole number from 1 to 10",
        ),
        (
            "[[model]]",
            "input = { dataset = \"samples\", split = \"test\" }\n[[model]]",
            r#"2:40: key input.split: has no meaning for the samples; remove it, or add dataset = "cifar10""#,
        ),
        (
            "[[model]]",
            "memory.material = \"0 B\"\n[[model]]",
            "2:19: key memory.material: a limit of 0 stops everything; write a size above 0",
        ),
    ]);
}

#[test]
fn models() {
    assert_reports(&[
        (
            r#""minionn""#,
            r#""miniONN""#,
            r#"3:8: key model[0].arch: "miniONN" is unknown; did you mean "minionn"? known: minionn, resnet20, resnet110, vgg16"#,
        ),
        (
            r#""minionn""#,
            "\"minionn\"\n[[model]]\narch = \"minionn\"",
            r#"5:8: key model[1].arch: the name "minionn" is taken since line 3; give each a name of its own, for example name = "minionn-2""#,
        ),
        (
            r#""minionn""#,
            "\"minionn\"\nweights = \"w.safetensors\"",
            r#"4:11: key model[0].weights: there is no file "w.safetensors" (searched beside the scenario (.), in --data (not set), in $LONGHAUL_DATA (not set)); put it there, or write weights = "random""#,
        ),
        (
            r#""minionn""#,
            "\"minionn\"\nweights = \"w.pt\"",
            r#"4:11: key model[0].weights: "w.pt" is neither "random" nor "trained" nor a .safetensors file; write weights = "random" or the path of a .safetensors file"#,
        ),
        (
            r#""minionn""#,
            "\"minionn\"\nweights = \"trained\"",
            r#"4:11: key model[0].weights: no trained weights for "minionn" come with longhaul; write "random" or a .safetensors file, or take one of: resnet20"#,
        ),
        (
            r#""minionn""#,
            "\"minionn\"\nnormalize = { mean = [0, 0, 0], std = [1, 0, 1] }",
            "4:43: key model[0].normalize.std[1]: 0 is out of range; write a number above 0",
        ),
        (
            r#""minionn""#,
            "\"minionn\"\nnormalize = { mean = [0, 0] , std = [1, 1, 1] }",
            "4:22: key model[0].normalize.mean: has 2 numbers; write three: red, green, blue",
        ),
        (
            r#""minionn""#,
            "\"minionn\"\nnormalize = \"imagnet\"",
            r#"4:13: key model[0].normalize: "imagnet" is unknown; did you mean "imagenet"? known: none, imagenet, cifar10"#,
        ),
    ]);
}

#[test]
fn protocols_and_speedup() {
    assert_reports(&[
        (
            "[[model]]",
            "speedup.subject = \"gc\"\n[[model]]",
            "2:1: key speedup: there is only one protocol, and nothing to compare it with; remove [speedup], or add a [[protocol]]",
        ),
        (
            r#""fused""#,
            "\"gc\"\npolynomial = \"relu-d4\"",
            r#"6:14: key protocol[0].polynomial: "gc" computes ReLU and takes no polynomial; remove it; polynomial protocols: fused, espn"#,
        ),
        (
            r#""fused""#,
            r#""fussed""#,
            r#"5:6: key protocol[0].id: "fussed" is unknown; did you mean "fused"? known: fused, espn, gc, gmw"#,
        ),
        (
            r#""fused""#,
            "\"fused\"\npolynomial = \"relu-d3\"",
            r#"6:14: key protocol[0].polynomial: "relu-d3" is unknown; did you mean "relu-d2"? known: relu-d2, relu-d4; or list the coefficients, constant first"#,
        ),
        (
            r#""fused""#,
            "\"fused\"\npolynomial = []",
            "6:14: key protocol[0].polynomial: the list of coefficients is empty; list the coefficients, constant first, for example [0.1992, 0.5002, 0.1997]",
        ),
        (
            r#""fused""#,
            "\"fused\"\npolynomial = [0, inf]",
            "6:14: key protocol[0].polynomial: the coefficient inf of x^1 is not a number within +-65536; list the coefficients, constant first, for example [0.1992, 0.5002, 0.1997]",
        ),
        (
            r#""fused""#,
            "\"fused\"\npolynomial = [0, \"1\"]",
            "6:18: key protocol[0].polynomial[1]: expected a number, found a string; write for example 1.0",
        ),
        (
            r#""fused""#,
            "\"fused\"\npolynomial = [0, 0.0000001]",
            "6:14: key protocol[0].polynomial: every coefficient above the constant is 0 at 16 fractional bits; list the coefficients, constant first, for example [0.1992, 0.5002, 0.1997]",
        ),
        (
            r#""fused""#,
            "\"fused\"\nprecision_bits = 12",
            r#"6:18: key protocol[0].precision_bits: the polynomial "relu-d4" has a fixed precision; remove it, or list the coefficients"#,
        ),
        (
            r#""fused""#,
            "\"fused\"\n[[protocol.slots]]\nat = []\nid = \"gc\"",
            "7:6: key protocol[0].slots[0].at: the list is empty; name slots, for example at = [0, 1], or remove the section",
        ),
        (
            r#"id = "fused""#,
            "",
            r#"4:1: key protocol[0].id: is missing in this [[protocol]]; add for example id = "fused""#,
        ),
        (
            r#""fused""#,
            "\"fused\"\n[[protocol]]\nid = \"gc\"\n[speedup]\nsubject = \"gcc\"",
            r#"9:11: key speedup.subject: "gcc" is unknown; did you mean "gc"? known: fused, gc"#,
        ),
        (
            r#""fused""#,
            "\"fused\"\n[[protocol]]\nid = \"gc\"\n[speedup]\nbaselines = [\"fused\"]",
            r#"9:14: key speedup.baselines[0]: "fused" is the subject; remove it: a protocol is not compared with itself"#,
        ),
    ]);
}

#[test]
fn links() {
    assert_reports(&[
        ("100 ms", "100", r#"8:7: key link[0].rtt: "100" has no unit; write for example "100 ms""#),
        (
            r#""100 ms""#,
            "100",
            r#"8:7: key link[0].rtt: expected a quantity in quotes, found an integer; write for example "100 ms""#,
        ),
        (
            r#""100 ms""#,
            "true",
            r#"8:7: key link[0].rtt: expected a quantity in quotes, found a boolean; write for example "100 ms""#,
        ),
        (
            "100 ms",
            "3 ns",
            r#"8:7: key link[0].rtt: 3 ns cannot be halved: each way takes half the round trip; write "2 ns" or "4 ns""#,
        ),
        ("unlimited", "100 Mbps", r#"9:13: key link[0].bandwidth: "Mbps" is not a unit of rate; write "100 Mbit/s""#),
        (
            "unlimited",
            "12.5 MB/s",
            r#"9:13: key link[0].bandwidth: "MB/s" counts bytes, but rates are in bits per second; write "100 Mbit/s""#,
        ),
        (
            "unlimited",
            "0 bit/s",
            r#"9:13: key link[0].bandwidth: nothing would ever arrive at this rate; write a rate above 0, or "unlimited""#,
        ),
        (
            r#""unlimited""#,
            "\"unlimited\"\nup = \"1 Mbit/s\"",
            "9:13: key link[0].bandwidth: stands beside up; write either bandwidth, for both directions, or up and down",
        ),
        (
            "bandwidth",
            "up",
            r#"6:1: key link[0].down: is missing in this [[link]]; add for example down = "100 Mbit/s""#,
        ),
        (
            r#"bandwidth = "unlimited""#,
            "",
            r#"6:1: key link[0].bandwidth: is missing in this [[link]]; add for example bandwidth = "100 Mbit/s" (or "unlimited"), or up and down"#,
        ),
        (
            "rtt =",
            "latency = \"1 ms\"\nrtt =",
            "8:11: key link[0].latency: stands beside rtt; write either rtt or latency: the latency is half the rtt",
        ),
        (
            "rtt =",
            "rrt =",
            r#"8:1: key link[0].rrt: there is no such key in [[link]]; did you mean "rtt"? known: name, preset, model, rtt, latency, bandwidth, up, down, packet_payload, packet_overhead, jitter, initial_window, max_window, queue, idle_restart, warm, loss"#,
        ),
        (
            "rtt =",
            "\tseed = 1\nrtt =",
            r#"8:2: key link[0].seed: there is no such key in [[link]]; "seed" belongs at the top of the file; known: name, preset, model, rtt, latency, bandwidth, up, down, packet_payload, packet_overhead, jitter, initial_window, max_window, queue, idle_restart, warm, loss"#,
        ),
        (
            "rtt =",
            "packet_overhead = \"1 B\"\nrtt =",
            r#"8:19: key link[0].packet_overhead: stands without packet_payload; add for example packet_payload = "1448 B""#,
        ),
        (
            "rtt =",
            "packet_payload = \"0 B\"\nrtt =",
            r#"8:18: key link[0].packet_payload: a packet must carry something; write for example "1448 B""#,
        ),
        (
            "rtt =",
            "model = \"idael\"\nrtt =",
            r#"8:9: key link[0].model: "idael" is unknown; did you mean "ideal"? known: ideal, tcp"#,
        ),
        (
            "rtt =",
            "loss = 0.1\nrtt =",
            r#"8:8: key link[0].loss: has no meaning for model "ideal"; remove it, or add model = "tcp""#,
        ),
        (
            "rtt =",
            "model = \"tcp\"\nloss = 0.6\nrtt =",
            "9:8: key link[0].loss: 0.6 is out of range; write a probability from 0 to 0.5: 0.001",
        ),
        (
            "rtt =",
            "model = \"tcp\"\nmax_window = \"0 B\"\nrtt =",
            r#"9:14: key link[0].max_window: no segment fits; write for example "6 MiB""#,
        ),
        (
            "rtt =",
            "preset = \"satelite\"\nrtt =",
            r#"8:10: key link[0].preset: "satelite" is unknown; did you mean "satellite"? known: lan, metro, continental, intercontinental, mobile-4g, satellite, paper-lan, paper-50ms, paper-100ms, cheetah-lan, cheetah-wan, coinn-lan, coinn-wan"#,
        ),
        (
            r#""wan""#,
            r#""../wan""#,
            r#"7:8: key link[0].name: "../wan" is not usable as a name; use up to 64 of A-Z a-z 0-9 - _ . + and begin with a letter or digit"#,
        ),
        (
            "[[link]]",
            "[link]",
            "6:1: key link: is a single table; write [[link]], in double brackets: there may be several",
        ),
    ]);
}
