//! Whole files: defaults, every key, digests; bad files are in `tests/`.

mod bad;
mod bad_values;

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::protocol::activation::Setting;
use crate::units::{BitRate, Bytes, Nanos};

pub(super) fn catalogue() -> Catalogue {
    Catalogue {
        protocols: vec![
            KnownProtocol { id: "fused", family: Family::Polynomial, settings: &[Setting::WireBits] },
            KnownProtocol { id: "espn", family: Family::Polynomial, settings: &[] },
            KnownProtocol { id: "gc", family: Family::Relu, settings: &[Setting::Width, Setting::Ot] },
            KnownProtocol { id: "gmw", family: Family::Relu, settings: &[] },
        ],
        archs: [
            ("minionn", &[][..], &[][..], false),
            ("resnet20", &[], &Shortcut::ALL, true),
            ("resnet110", &[], &[], false),
            ("vgg16", &Pool::ALL, &[], false),
        ]
        .map(|(id, pools, shortcuts, trained)| KnownArch { id, pools, shortcuts, trained })
        .to_vec(),
        link_models: vec![
            KnownLinkModel { id: "ideal", transport: false },
            KnownLinkModel { id: "tcp", transport: true },
        ],
    }
}

/// What the parser makes of `text`.
pub(super) fn parsed(text: &str) -> Result<Scenario, ScenarioError> {
    parse(text, Path::new("x.toml"), &SearchPath::default(), &catalogue())
}

/// The same; the schema must accept whatever the parser does.
fn read(text: &str) -> Result<Scenario, ScenarioError> {
    let result = parsed(text);
    if let (Ok(_), Some(refusals)) = (&result, schema::tests::refusals(text)) {
        assert!(refusals.is_empty(), "{text}\n{refusals:?}");
    }
    result
}

fn good(text: &str) -> Scenario {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A data directory with the files that scenarios name, all empty.
fn data() -> (TempDir, SearchPath) {
    let root = tempfile::tempdir().expect("a directory");
    for file in [
        "models/delphi_minionn_7_approx_cifar10.safetensors",
        "models/aka_resnet20_cifar10.safetensors",
        "cifar-10-batches-bin/test_batch.bin",
        "cifar-10-batches-bin/data_batch_1.bin",
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        fs::write(path, "").expect("written");
    }
    let search = SearchPath { data: Some(root.path().to_owned()), environment: None, others: false };
    (root, search)
}

const MINIMAL: &str = r#"
name = "minimal"
[[model]]
arch = "minionn"
[[protocol]]
id = "fused"
[[link]]
name = "wan"
rtt = "100 ms"
bandwidth = "unlimited"
"#;

#[test]
fn every_default() {
    let expected = Scenario {
        name: "minimal".to_owned(),
        seed: 1,
        repetitions: Repetitions::Fixed(5),
        warmup: 1,
        clock: Clock::Virtual,
        compute: Compute::Measured,
        compute_scale: 1.0,
        stream: true,
        frac_bits: 16,
        input: Input { source: ImageSource::Random, images: 1 },
        models: vec![Model {
            name: "minionn".to_owned(),
            network: Network::Arch {
                arch: "minionn".to_owned(),
                weights: Weights::Random,
                classes: None,
                pool: None,
                shortcut: None,
            },
            protocols: None,
            normalize: Normalize::None,
        }],
        protocols: vec![Protocol {
            name: "fused".to_owned(),
            choice: Choice {
                id: "fused".to_owned(),
                polynomial: crate::protocol::Polynomial::named("relu-d4"),
                replaces: false,
                settings: Default::default(),
            },
            slots: Vec::new(),
        }],
        links: vec![Link {
            name: "wan".to_owned(),
            model: "ideal".to_owned(),
            latency: Nanos(50_000_000),
            up: BitRate::UNLIMITED,
            down: BitRate::UNLIMITED,
            packet_payload: None,
            packet_overhead: Bytes(0),
            jitter: Nanos(0),
            transport: None,
        }],
        speedup: None,
        memory: MemoryBudget { in_flight: Bytes(64 << 20), material: Bytes(1 << 30) },
    };
    assert_eq!(good(MINIMAL), expected);
}

#[test]
fn every_key() {
    let (root, search) = data();
    let text = r#"
name = "all"
seed = 0xffff_ffff_ffff_ffff
repetitions = 1_000
warmup = 0
clock = "virtual"
compute = "measured"
compute_scale = 2
stream = false
[fixed_point]
frac_bits = 20
[input]
dataset = "cifar10"
split = "train"
images = 10000
[[model]]
name = "a"
arch = "resnet20"
weights = "models/aka_resnet20_cifar10.safetensors"
normalize = { mean = [0, 0.5, 1], std = [0.25, 0.5, 1] }
[[protocol]]
name = "p"
id = "espn"
polynomial = [0.0, 0.5, 0.25, 0]
precision_bits = 2
[[protocol]]
id = "gc"
[[protocol]]
id = "gmw"
[[link]]
name = "adsl"
model = "tcp"
latency = "7 ns"
up = "1 Mbit/s"
down = "16 Mbit/s"
packet_payload = "1448 B"
packet_overhead = "78 B"
jitter = "2 ms"
initial_window = 3
max_window = "1 MiB"
queue = "64 KB"
idle_restart = false
warm = true
loss = 0.25
[speedup]
subject = "gc"
baselines = ["p"]
[memory]
in_flight = "1 MiB"
material = "2 GB"
"#;
    let scenario = parse(text, Path::new("x.toml"), &search, &catalogue());
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((scenario.seed, scenario.repetitions), (u64::MAX, Repetitions::Fixed(1_000)));
    assert_eq!((scenario.warmup, scenario.compute_scale, scenario.stream), (0, 2.0, false));
    assert_eq!(scenario.frac_bits, 20);
    let ImageSource::Cifar10 { path, split } = &scenario.input.source else {
        panic!("{:?}", scenario.input);
    };
    assert_eq!(**path, *root.path().join("cifar-10-batches-bin"));
    assert_eq!((*split, scenario.input.images), (Split::Train, 10_000));
    let model = &scenario.models[0];
    assert_eq!(model.name, "a");
    assert!(matches!(&model.network, Network::Arch { arch, shortcut: Some(Shortcut::A), .. } if arch == "resnet20"));
    let constants = ([0.0, 0.5, 1.0], [0.25, 0.5, 1.0]);
    assert_eq!(model.normalize.mean_and_std(), constants);
    let polynomial = scenario.protocols[0].choice.polynomial.as_ref();
    let polynomial = polynomial.expect("of the polynomial family");
    assert_eq!(polynomial.coefficients, [0, 2, 1]);
    assert_eq!(polynomial.precision_bits, 2);
    assert_eq!(scenario.protocols[1].choice.polynomial, None);
    let link = &scenario.links[0];
    assert_eq!(link.model, "tcp");
    assert_eq!(link.latency, Nanos(7), "one way as written");
    assert_eq!(link.up, BitRate(1_000_000));
    assert_eq!(link.down, BitRate(16_000_000));
    assert_eq!(link.jitter, Nanos(2_000_000));
    let transport = Transport {
        initial_window: 3,
        max_window: Bytes(1 << 20),
        queue: Some(Bytes(64_000)),
        idle_restart: false,
        warm: true,
        loss: 0.25,
    };
    assert_eq!(link.transport, Some(transport));
    assert_eq!(link.packet_payload, Some(Bytes(1_448)));
    assert_eq!(link.packet_overhead, Bytes(78));
    let speedup = scenario.speedup.expect("stated");
    assert_eq!((speedup.subject.as_str(), speedup.baselines), ("gc", vec!["p".to_owned()]));
    assert_eq!(scenario.memory.in_flight, Bytes(1 << 20));
    assert_eq!(scenario.memory.material, Bytes(2_000_000_000));
}

#[test]
fn the_digest_sees_meaning_and_nothing_else() {
    let digest = good(MINIMAL).digest();
    assert_eq!(digest.len(), 64);
    let spelled_out = format!("# a comment\nwarmup = 1\nseed = 0x1{MINIMAL}");
    assert_eq!(good(&spelled_out).digest(), digest);
    for (from, to) in [("\"wan\"", "\"lan\""), ("100 ms", "200 ms"), ("name", "seed = 2\nname")] {
        let changed = MINIMAL.replacen(from, to, 1);
        assert_ne!(good(&changed).digest(), digest, "{to}");
    }
}

#[test]
fn the_manifest_form_is_readable() {
    let json = serde_json::to_string_pretty(&good(MINIMAL)).expect("serialises");
    insta::assert_snapshot!(json, @r#"
    {
      "name": "minimal",
      "seed": 1,
      "repetitions": 5,
      "warmup": 1,
      "clock": "virtual",
      "compute": "measured",
      "compute_scale": 1.0,
      "stream": true,
      "frac_bits": 16,
      "input": {
        "source": "random",
        "images": 1
      },
      "models": [
        {
          "name": "minionn",
          "arch": "minionn",
          "weights": "random",
          "normalize": "none"
        }
      ],
      "protocols": [
        {
          "name": "fused",
          "id": "fused",
          "polynomial": {
            "coefficients": [
              322,
              512,
              160,
              0,
              -3
            ],
            "precision_bits": 10
          }
        }
      ],
      "links": [
        {
          "name": "wan",
          "model": "ideal",
          "latency": "50 ms",
          "up": "unlimited",
          "down": "unlimited",
          "packet_payload": null,
          "packet_overhead": "0 B"
        }
      ],
      "speedup": null,
      "memory": {
        "in_flight": "64 MiB",
        "material": "1 GiB"
      }
    }
    "#);
}

#[test]
fn trained_weights_bring_their_normalisation() {
    let text = MINIMAL.replace("\"minionn\"", "\"resnet20\"\nweights = \"trained\"");
    let normalize = |text: &str| read(text).unwrap_or_else(|error| panic!("{error}")).models[0].normalize;
    assert_eq!(normalize(&text), Normalize::Cifar10);
    assert_eq!(normalize(&text.replace("\"trained\"", "\"trained\"\nnormalize = \"none\"")), Normalize::None);
    let scenario = read(&format!("{text}\n[input]\ndataset = \"samples\"\nimages = 10\n"));
    assert_eq!(
        scenario.unwrap_or_else(|error| panic!("{error}")).input,
        Input { source: ImageSource::Samples, images: 10 }
    );
}

#[test]
fn data_beside_the_scenario_is_found() {
    let (root, _) = data();
    let file = root.path().join("x.toml");
    let text = MINIMAL.replace("\"minionn\"", "\"minionn\"\nweights = \"models/aka_resnet20_cifar10.safetensors\"");
    fs::write(&file, text).expect("written");
    let scenario = load(&file, &SearchPath::default(), &catalogue());
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    let network = &scenario.models[0].network;
    assert!(matches!(network, Network::Arch { weights: Weights::File(path), .. } if path.is_file()));
}

#[test]
fn a_preset_gives_what_is_not_written() {
    let link = |keys: &str| {
        let text = format!(
            "name = \"x\"\nmodel = [{{ arch = \"minionn\" }}]\nprotocol = [{{ id = \"gc\" }}]\nlink = [{{ name = \"l\", {keys} }}]"
        );
        good(&text).links[0].clone()
    };
    for preset in LINK_PRESETS {
        let read = link(&format!("preset = \"{}\"", preset.id));
        let Link { latency, up, down, jitter, .. } = read;
        assert_eq!(
            (latency, up, down, jitter),
            (preset.latency, preset.up, preset.down, preset.jitter),
            "{}",
            preset.id
        );
        assert_eq!((read.model.as_str(), read.transport), ("ideal", None));
    }
    let read = link(r#"preset = "mobile-4g", model = "tcp", rtt = "80 ms", up = "1 Mbit/s""#);
    assert_eq!((read.latency, read.up, read.down), (Nanos(40_000_000), BitRate(1_000_000), BitRate(40_000_000)));
    assert_eq!(read.transport.map(|transport| transport.loss), Some(0.001));
    let read = link(r#"preset = "satellite", bandwidth = "2 Mbit/s", jitter = "0 ms""#);
    assert_eq!((read.up, read.down, read.jitter), (BitRate(2_000_000), BitRate(2_000_000), Nanos(0)));
}
