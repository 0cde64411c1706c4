//! Server, client and dealer as processes of their own: `keys`, `serve`, `dealer`, `query`, `probe`.

use super::*;
use longhaul::report::{LayerRecord, RunRecord, read_records};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One protocol of each kind on a small network.
const PAIR: &str = r#"name = "pair"
repetitions = 1
warmup = 0
[[model]]
arch = "minionn"
[[protocol]]
id = "fused"
[[protocol]]
id = "gmw"
[[protocol]]
id = "gc"
[[link]]
name = "lan"
rtt = "1 ms"
bandwidth = "1 Gbit/s"
"#;

/// A process that runs beside the test, and what it has printed.
struct Service {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    /// Returns once it listens.
    fn start(place: &Place, arguments: &[&str]) -> Service {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_longhaul"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(place.folder.path())
            .env_remove("LONGHAUL_DATA")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("UTF-8");
        let (_, address) = first.split_once(" listens at ").expect("an address");
        let (address, log) = (address.to_string(), Arc::new(Mutex::new(String::new())));
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *writer.lock().expect("no panics") += &format!("{line}\n");
            }
        });
        Service { child, address, log }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is alive");
    }

    /// Until its log says so.
    fn says(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.log.lock().expect("no panics").contains(what) {
            assert!(Instant::now() < deadline, "{what} not in {}", self.log.lock().expect("no panics"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Three parties on one machine.
struct Parties {
    place: Place,
    dealer: Service,
    server: Service,
}

impl Parties {
    fn new(scenario: &str, options: &[&str]) -> Parties {
        let place = Place::new(scenario);
        place.command(&["keys"]).expect(0);
        let dealer = Service::start(&place, &[&["dealer", "x.toml"], options].concat());
        let server = Service::start(&place, &[&["serve", "x.toml", "--dealer", &dealer.address], options].concat());
        Parties { place, dealer, server }
    }

    fn query(&self, options: &[&str]) -> Ended {
        let Parties { place, dealer, server } = self;
        place.command(&[&["query", &server.address, "--dealer", &dealer.address], options].concat())
    }

    fn rows(&self, folder: &str) -> Vec<RunRecord> {
        read_records(self.place.path(folder).join("runs.csv")).expect("rows")
    }
}

#[test]
fn three_processes_send_the_bytes_of_one() {
    let parties = Parties::new(PAIR, &["--insecure-seed"]);
    let asked = parties.query(&["x.toml", "--insecure-seed", "--trace"]).expect(0);
    assert!(asked.stdout.contains("pair: minionn over lan"), "{}", asked.stdout);
    parties.place.command(&["run", "x.toml"]).expect(0);
    let (real, emulated) = (parties.rows("results/pair-real"), parties.rows("results/pair"));
    assert_eq!((real.len(), emulated.len()), (3, 3));
    for (real, emulated) in real.iter().zip(&emulated) {
        // Everything but times.
        assert_eq!(real.transcript_blake3, emulated.transcript_blake3, "{}", real.protocol);
        assert_eq!(real.online_rounds, emulated.online_rounds);
        assert_eq!(
            (real.online_bytes_up, real.online_bytes_down),
            (emulated.online_bytes_up, emulated.online_bytes_down)
        );
        assert_eq!(real.dealer_bytes_client, emulated.dealer_bytes_client);
        assert_eq!(real.online_messages_up, emulated.online_messages_up);
        assert_eq!(real.prediction, emulated.prediction);
        assert_eq!(real.prediction, real.reference_prediction);
        assert_eq!(real.max_abs_error, emulated.max_abs_error);
        // The floor is the scenario's link's, and the same; the time is this machine's.
        assert_eq!(real.online_floor_s, emulated.online_floor_s);
        assert!(real.online_s.0 > 0 && real.offline_s.0 > 0 && real.setup_s.0 > 0);
    }
    let manifest = json(&parties.place.read("results/pair-real/manifest.json"));
    assert_eq!(manifest["scenario"]["clock"], "real");
    // The parts of the online time add up to it here, too.
    let layers: Vec<LayerRecord> = read_records(parties.place.path("results/pair-real/layers.csv")).expect("rows");
    for run in &real {
        let mine = layers.iter().filter(|layer| layer.protocol == run.protocol);
        let parts = |layer: &LayerRecord| {
            layer.online_path_client_s.0
                + layer.online_path_server_s.0
                + layer.online_path_latency_s.0
                + layer.online_path_bandwidth_s.0
        };
        assert_eq!(mine.map(parts).sum::<u64>(), run.online_s.0);
    }
    let traces =
        ["fused", "gmw", "gc"].map(|protocol| format!("results/pair-real/traces/minionn.{protocol}.lan.trace"));
    let [fused, gmw, gc] = &traces;
    parties.place.command(&["replay", fused, gmw, gc, "--link", "metro"]).expect(0);
    parties.server.says("minionn / gc / lan, for 127.0.0.1:");
    parties.place.command(&["report", "results/pair-real"]).expect(0);
}

#[test]
fn sessions_have_randomness_of_their_own() {
    let scenario = PAIR.replace("repetitions = 1", "repetitions = 2").replace("[[protocol]]\nid = \"gc\"\n", "");
    let parties = Parties::new(&scenario, &[]);
    parties.query(&["x.toml", "--out", "kept"]).expect(0);
    parties.query(&["x.toml", "--out", "fresh", "--fresh"]).expect(0);
    parties.query(&["x.toml", "--out", "warm", "--warm-up", "3 MB"]).expect(0);
    let address = parties.server.address.clone();
    parties.query(&["x.toml", "--out", "both", "--online", &address, "--warm-up", "3 MB"]).expect(0);
    let rows: Vec<RunRecord> =
        ["kept", "fresh", "warm", "both"].iter().flat_map(|folder| parties.rows(folder)).collect();
    let transcripts: std::collections::HashSet<_> = rows.iter().map(|row| row.transcript_blake3).collect();
    assert_eq!((rows.len(), transcripts.len()), (16, 16));
    assert!(rows.iter().all(|row| row.prediction == row.reference_prediction));
    let first = |protocol: &str| {
        rows.iter().filter(|row| row.protocol == protocol).map(|row| row.online_bytes_up).collect::<Vec<_>>()
    };
    for protocol in ["fused", "gmw"] {
        // Padding is no part of the protocol.
        assert!(first(protocol).windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn a_client_needs_no_weights_and_a_server_no_images() {
    let scenario = format!(
        "{}[input]\ndataset = \"cifar10\"\npath = \"client-only\"\n",
        PAIR.replace("arch = \"minionn\"", "arch = \"minionn\"\nweights = \"server-only.safetensors\"")
            .replace("[[protocol]]\nid = \"gmw\"\n[[protocol]]\nid = \"gc\"\n", "")
    );
    let (server_place, client_place) = (Place::new(&scenario), Place::new(&scenario));
    server_place.command(&["keys"]).expect(0);
    for file in ["ca.pem", "client.pem", "client.key"] {
        std::fs::create_dir_all(client_place.path("keys")).expect("a folder");
        std::fs::copy(server_place.path("keys").join(file), client_place.path("keys").join(file)).expect("copied");
    }
    weights::write_weights(&server_place.path("server-only.safetensors"), 5);
    std::fs::create_dir(client_place.path("client-only")).expect("a folder");
    let image: Vec<u8> = std::iter::once(3).chain((0..3072).map(|i| (i % 255) as u8)).collect();
    std::fs::write(client_place.path("client-only/test_batch.bin"), image).expect("written");
    let dealer = Service::start(&server_place, &["dealer", "x.toml"]);
    let server = Service::start(&server_place, &["serve", "x.toml", "--dealer", &dealer.address]);
    let asked = client_place.command(&["query", &server.address, "x.toml", "--dealer", &dealer.address]).expect(0);
    assert!(asked.stderr.contains("its weights are not here"), "{}", asked.stderr);
    let rows: Vec<RunRecord> = read_records(client_place.path("results/pair-real/runs.csv")).expect("rows");
    assert_eq!((rows[0].label, rows[0].reference_prediction), (Some(3), None));
    assert!(rows[0].max_abs_error.is_nan());
    // What the server's weights say of that image.
    std::fs::create_dir(server_place.path("client-only")).expect("a folder");
    std::fs::copy(client_place.path("client-only/test_batch.bin"), server_place.path("client-only/test_batch.bin"))
        .expect("copied");
    server_place.command(&["run", "x.toml"]).expect(0);
    let emulated: Vec<RunRecord> = read_records(server_place.path("results/pair/runs.csv")).expect("rows");
    assert_eq!(rows[0].prediction, emulated[0].prediction);
}

#[test]
fn who_does_not_fit_is_refused() {
    let parties = Parties::new(PAIR, &[]);
    let Parties { place, dealer, server } = &parties;
    let refused = |options: &[&str], said: &str| {
        let ended = parties.query(options).expect(1);
        assert!(ended.stderr.contains(said), "{said} not in {}", ended.stderr);
        assert!(ended.stderr.contains("nothing was measured"), "{}", ended.stderr);
    };
    std::fs::write(place.path("y.toml"), PAIR.replace("1 ms", "2 ms")).expect("written");
    refused(&["y.toml"], "this is another scenario than \"pair\"");
    server.says("this is another scenario");
    refused(&["x.toml", "--insecure-seed"], "it takes --insecure-seed here, too");
    place.command(&["keys", "--out", "others"]).expect(0);
    refused(&["x.toml", "--keys", "others"], "certificates must come from one run of `longhaul keys`");
    // Another party's certificate in the place of the client's.
    std::fs::create_dir(place.path("mixed")).expect("a folder");
    for (from, to) in [("ca.pem", "ca.pem"), ("dealer.pem", "client.pem"), ("dealer.key", "client.key")] {
        std::fs::copy(place.path("keys").join(from), place.path("mixed").join(to)).expect("copied");
    }
    refused(&["x.toml", "--keys", "mixed"], "a dealer has no business of this kind with a server");
    let missing = parties.query(&["x.toml", "--keys", "nowhere"]).expect(2).stderr;
    assert!(missing.contains("nowhere/ca.pem: cannot be read"), "{missing}");
    // The dealer in the server's place, and nobody at all.
    let ended = place.command(&["query", &dealer.address, "x.toml", "--dealer", &server.address]).expect(1);
    assert!(ended.stderr.contains("no TLS with the server"), "{}", ended.stderr);
    let ended = place.command(&["query", "127.0.0.1:1", "x.toml", "--dealer", &dealer.address]).expect(1);
    assert!(ended.stderr.contains("cannot reach the server at 127.0.0.1:1"), "{}", ended.stderr);
    // After all that they still serve.
    parties.query(&["x.toml", "--filter", "fused"]).expect(0);
}

#[test]
fn a_server_without_its_dealer_says_so() {
    let parties = Parties::new(PAIR, &[]);
    let Parties { place, dealer, .. } = &parties;
    let alone = Service::start(place, &["serve", "x.toml", "--dealer", "127.0.0.1:1"]);
    let ended = place.command(&["query", &alone.address, "x.toml", "--dealer", &dealer.address]).expect(1);
    assert!(ended.stderr.contains("the server refuses: cannot reach the dealer at 127.0.0.1:1"), "{}", ended.stderr);
}

#[test]
fn a_dead_a_stopped_and_an_interrupted_server_end_the_query() {
    let endless = PAIR.replace("repetitions = 1", "repetitions = 100000");
    for (signal, said) in [
        (Signal::KILL, "the connection to the server failed"),
        (Signal::STOP, "nothing was heard from the server for 2 s"),
        (Signal::INT, "stopped because the server failed: it was stopped by its user"),
        (Signal::TERM, "stopped because the server failed: it was stopped by its user"),
    ] {
        let mut parties = Parties::new(&endless, &[]);
        let ended = std::thread::scope(|scope| {
            // Garbled circuits: a session of some seconds.
            let asking = scope.spawn(|| parties.query(&["x.toml", "--filter", "gc", "--timeout", "2 s"]));
            parties.server.says("gc / lan");
            std::thread::sleep(Duration::from_millis(300));
            parties.server.signal(signal);
            asking.join().expect("ended")
        });
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        // Between two sessions there is nobody; last words are given two seconds, which may be too few on a busy machine.
        let or = ["cannot reach the server", "the connection to the server failed"];
        assert!([said].iter().chain(&or).any(|said| ended.stderr.contains(said)), "{}", ended.stderr);
        // The dealer goes on.
        assert!(parties.dealer.child.try_wait().expect("a child").is_none());
        assert!(!parties.rows("results/pair-real").is_empty());
    }
}

#[test]
fn the_dealer_waits_for_a_long_online_phase() {
    // It is done after some milliseconds; the others compute and talk for longer than anybody is patient with the silent.
    let only_gc = PAIR.replace("[[protocol]]\nid = \"fused\"\n[[protocol]]\nid = \"gmw\"\n", "");
    let larger = only_gc.replace("minionn", "resnet32");
    let parties = Parties::new(&larger, &["--timeout", "1 s"]);
    parties.query(&["x.toml", "--timeout", "1 s"]).expect(0);
    assert_eq!(parties.rows("results/pair-real").len(), 1);
    // And a client that is told to be patient is not given up by the others.
    parties.query(&["x.toml", "--timeout", "60 s", "--out", "patient"]).expect(0);
}

#[test]
fn connections_that_say_nothing_are_in_nobodys_way() {
    let parties = Parties::new(PAIR, &[]);
    let server = parties.server.address.parse().expect("an address");
    // More than there are places for, all of one address.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let silent = runtime.block_on(async {
        let mut silent = Vec::new();
        for _ in 0..100 {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
            silent.push(socket.connect(server).await.expect("connected"));
        }
        silent
    });
    parties.server.says("too many connections of this address at once");
    parties.query(&["x.toml", "--filter", "fused"]).expect(0);
    drop(silent);
}

#[test]
fn a_probed_link_is_a_scenarios() {
    let parties = Parties::new(PAIR, &[]);
    let block = parties.place.command(&["probe", &parties.server.address, "--name", "here"]).expect(0).stdout;
    let (before, _) = PAIR.split_once("[[link]]").expect("a link");
    std::fs::write(parties.place.path("probed.toml"), format!("{before}{block}")).expect("written");
    parties.place.command(&["run", "probed.toml", "--filter", "fused"]).expect(0);
    let row = &parties.rows("results/pair")[0];
    assert_eq!(row.link, "here");
}

#[test]
fn one_network_is_one_link() {
    let two = format!("{PAIR}[[link]]\nname = \"wan\"\nrtt = \"100 ms\"\nbandwidth = \"1 Gbit/s\"\n");
    let place = Place::new(&two);
    place.command(&["keys"]).expect(0);
    let refused = place.command(&["query", "127.0.0.1:1", "x.toml", "--dealer", "127.0.0.1:2"]).expect(2).stderr;
    assert!(refused.contains("several links (lan, wan)") && refused.contains("--filter '*/*/lan'"), "{refused}");
    let refused = place.command(&["serve", "x.toml", "--dealer", "x:1", "--listen", "nowhere"]).expect(1).stderr;
    assert!(refused.contains("cannot listen at nowhere"), "{refused}");
    let refused = place.command(&["serve", "x.toml", "--dealer", "x:1", "--timeout", "5"]).expect(2).stderr;
    assert!(refused.contains("--timeout"), "{refused}");
}
