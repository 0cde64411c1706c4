//! Parties over real sockets and TLS on this machine, honest and hostile.

use super::*;
use crate::link::{Expected, LinkError, Message, Party, Phase, Transport};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const SERVER: Party = Party::Server;
const CLIENT: Party = Party::Client;

struct Place {
    folder: TempDir,
    runtime: Runtime,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        make_keys(folder.path(), 1).expect("keys");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Place { folder, runtime: runtime.expect("a runtime") }
    }

    fn credentials(&self, party: Party) -> Credentials {
        Credentials::load(&Keys::new(self.folder.path()), party).expect("credentials")
    }

    /// A client with `client`'s credentials and a server with `server`'s, after both have tried to meet.
    fn meet_with(
        &self,
        client: &Credentials,
        server: &Credentials,
        hello: &Hello,
    ) -> (Result<Connection, NetError>, Result<Connection, NetError>) {
        self.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let address = listener.local_addr().expect("an address").to_string();
            let accept = async {
                let (tcp, _) = listener.accept().await.expect("accepted");
                let Handshaken { mut connection, hello } = server.accept(tcp).await?;
                assert_eq!(hello.purpose, Purpose::Probe);
                connection.answer(&Answer::Accepted).await.expect("answered");
                Ok(connection)
            };
            tokio::join!(client.connect(&address, SERVER, hello), accept)
        })
    }

    fn meet(
        &self,
        client: &Credentials,
        server: &Credentials,
    ) -> (Result<Connection, NetError>, Result<Connection, NetError>) {
        self.meet_with(client, server, &Hello::new(Session::random(), Purpose::Probe))
    }

    /// An authenticated pair: the client's end, the server's end.
    fn pair(&self) -> (Connection, Connection) {
        let (client, server) = self.meet(&self.credentials(CLIENT), &self.credentials(SERVER));
        (client.expect("connected"), server.expect("accepted"))
    }

    fn options(&self, me: Party) -> WireOptions {
        let (silence, limit) = (Duration::from_secs(20), Duration::from_secs(60));
        let patience = Patience::new(silence, silence, limit);
        WireOptions { me, capacity: 0, patience, warm_up: 0, cancel: CancellationToken::new() }
    }

    /// Gives a peer up after a second of silence.
    fn impatient(&self, me: Party) -> WireOptions {
        let (silence, limit) = (Duration::from_secs(1), Duration::from_secs(60));
        WireOptions { patience: Patience::new(silence, silence, limit), ..self.options(me) }
    }

    fn wire(&self, connection: Connection, options: WireOptions) -> Wire {
        Wire::new(self.runtime.handle(), options, vec![connection])
    }

    /// The server's wire, and a client that says what it likes.
    fn hostile(&self, change: impl FnOnce(&mut WireOptions)) -> (Wire, Connection) {
        let (client, server) = self.pair();
        let mut options = self.options(SERVER);
        change(&mut options);
        (self.wire(server, options), client)
    }

    /// What the server gets, waiting for `bytes` in the online phase, when the client says `said`.
    fn received(&self, said: &[u8], bytes: usize) -> Result<Message, LinkError> {
        let (wire, mut client) = self.hostile(|_| {});
        self.runtime.block_on(client.say(said)).expect("sent");
        let received = wire.recv(SERVER, CLIENT, expected(bytes));
        wire.end(Some("a test".into()));
        received
    }
}

fn expected(bytes: usize) -> Expected {
    Expected { phase: Phase::Online, layer: 3, bytes }
}

fn message(bytes: Vec<u8>) -> Message {
    let (arrives_at, floor_arrives_at) = Default::default();
    Message { bytes, phase: Phase::Online, depth: 5, arrives_at, path: Arc::default(), floor_arrives_at }
}

fn error<T>(result: Result<T, LinkError>) -> LinkError {
    result.err().expect("an error")
}

#[test]
fn messages_cross_in_order_and_whole() {
    let place = Place::new();
    let (client, server) = place.pair();
    let client = place.wire(client, place.options(CLIENT));
    let server = place.wire(server, place.options(SERVER));
    let lengths = [0, 1, 5_000_000, 17, 3_000_000];
    let body = |length: usize| -> Vec<u8> { (0..length).map(|i| (i * 7 % 251) as u8).collect() };
    std::thread::scope(|scope| {
        // Both ways at once, each more than a connection holds.
        for (me, peer, wire) in [(CLIENT, SERVER, &client), (SERVER, CLIENT, &server)] {
            scope.spawn(move || {
                wire.barrier(me, Phase::Online).expect("both are there");
                for length in lengths {
                    wire.send(me, peer, message(body(length))).expect("sent");
                    let got = wire.recv(me, peer, expected(length)).expect("received");
                    assert_eq!((got.bytes, got.depth, got.phase), (body(length), 5, Phase::Online));
                }
            });
        }
    });
    let ended = std::thread::spawn(move || server.end(None));
    client.end(None);
    ended.join().expect("both say good-bye");
}

#[test]
fn padding_is_dropped_before_the_online_phase() {
    let place = Place::new();
    let (client, server) = place.pair();
    let warm = |me| WireOptions { warm_up: 5 << 20, ..place.options(me) };
    let (client, server) = (place.wire(client, warm(CLIENT)), place.wire(server, warm(SERVER)));
    std::thread::scope(|scope| {
        scope.spawn(|| client.barrier(CLIENT, Phase::Online).expect("both are there"));
        server.barrier(SERVER, Phase::Online).expect("both are there");
    });
    client.send(CLIENT, SERVER, message(vec![1, 2])).expect("sent");
    assert_eq!(server.recv(SERVER, CLIENT, expected(2)).expect("received").bytes, [1, 2]);
}

#[test]
fn certificates_of_another_authority_are_refused_by_both_sides() {
    let (here, elsewhere) = (Place::new(), Place::new());
    let (client, server) = here.meet(&elsewhere.credentials(CLIENT), &here.credentials(SERVER));
    for failed in [client.err().expect("refused"), server.err().expect("refused")] {
        assert!(failed.to_string().contains("must come from one run of `longhaul keys`"), "{failed}");
    }
}

#[test]
fn a_party_cannot_play_another_role() {
    let place = Place::new();
    // A client that answers in the server's place.
    let (client, _) = place.meet(&place.credentials(CLIENT), &place.credentials(CLIENT));
    let said = client.err().expect("refused").to_string();
    assert!(said.contains("no TLS with the server"), "{said}");
    // A dealer that asks in the client's: it is known for what it is.
    let (_, server) = place.meet(&place.credentials(Party::Dealer), &place.credentials(SERVER));
    assert_eq!(server.expect("a connection").peer, Party::Dealer);
}

#[test]
fn nobody_comes_in_without_a_certificate_or_without_tls() {
    let place = Place::new();
    let server = place.credentials(SERVER);
    let roots = {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(place.folder.path().join("ca.pem")).expect("PEM")).expect("a root");
        roots
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    place.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let nameless = async {
            let tcp = TcpStream::connect(address).await.expect("connected");
            let name = rustls::pki_types::ServerName::try_from("server.longhaul").expect("a name");
            let mut tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("so far");
            let mut byte = [0];
            let refused = tokio::io::AsyncReadExt::read(&mut tls, &mut byte).await.expect_err("refused");
            assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
        };
        let accept = async {
            let (tcp, _) = listener.accept().await.expect("accepted");
            server.accept(tcp).await.err().expect("refused").to_string()
        };
        let ((), said) = tokio::join!(nameless, accept);
        assert!(said.contains("peer sent no certificates"), "{said}");
        let browser = async {
            let mut tcp = TcpStream::connect(address).await.expect("connected");
            tokio::io::AsyncWriteExt::write_all(&mut tcp, b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
            tcp
        };
        let accept = async {
            let (tcp, _) = listener.accept().await.expect("accepted");
            server.accept(tcp).await.err().expect("refused").to_string()
        };
        let (_browser, said) = tokio::join!(browser, accept);
        assert!(said.contains("no TLS with the 127.0.0.1"), "{said}");
    });
}

#[test]
fn wrong_messages_are_refused_before_there_is_memory_for_them() {
    let place = Place::new();
    let started = Instant::now();
    // A terabyte is announced: its length is enough to refuse it.
    match error(place.received(&Frame::message(Phase::Online, 1, 1 << 40), 16)) {
        LinkError::WrongLength { from: CLIENT, layer: 3, expected: 16, actual, .. } => assert_eq!(actual, 1 << 40),
        other => panic!("{other}"),
    }
    let malformed = |said: &[u8], what: &str| match error(place.received(said, 16)) {
        LinkError::Malformed { peer: CLIENT, what: found } => assert!(found.contains(what), "{found}"),
        other => panic!("{other}"),
    };
    malformed(&Frame::message(Phase::Offline, 1, 16), "a message of 16 bytes in the offline phase, where a message");
    malformed(&Frame::barrier(Phase::Online), "the start of the online phase, where a message of 16 bytes");
    malformed(&[77], "no frame of kind 77");
    malformed(&Frame::control(b"{}"), "a handshake, where");
    malformed(&Frame::ledger(4), "a ledger of 4 bytes, where");
    malformed(&[&Frame::padding(5)[..], &[0; 5]].concat(), "more padding than was agreed on");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_flood_is_held_back() {
    let place = Place::new();
    let (wire, mut client) = place.hostile(|_| {});
    // Nobody reads the messages: what the client gets rid of is what the bounded queue and the sockets hold.
    let flooded = place.runtime.block_on(async {
        let mut sent = 0u64;
        let frame = [&Frame::message(Phase::Online, 1, 1 << 20)[..], &vec![0; 1 << 20]].concat();
        while tokio::time::timeout(Duration::from_millis(500), client.say(&frame)).await.is_ok() {
            sent += 1;
        }
        sent
    });
    assert!((1..64).contains(&flooded), "{flooded} MiB were taken");
    // And what is waited for is still the first of them.
    match error(wire.recv(SERVER, CLIENT, expected(16))) {
        LinkError::WrongLength { actual, .. } => assert_eq!(actual, 1 << 20),
        other => panic!("{other}"),
    }
}

#[test]
fn silence_death_delay_and_stop_end_a_session() {
    let place = Place::new();
    let wait = |wire: &Wire| error(wire.recv(SERVER, CLIENT, expected(16)));
    let second = Duration::from_secs(1);
    // Connected, and then not a word, not even a heartbeat.
    let (wire, client) = place.hostile(|options| options.patience.silence = second);
    assert_eq!(wait(&wire), LinkError::Silent { peer: CLIENT, seconds: 1 });
    drop(client);
    let (wire, client) = place.hostile(|_| {});
    drop(client);
    match wait(&wire) {
        LinkError::Connection { peer: CLIENT, .. } => {}
        other => panic!("{other}"),
    }
    // In the middle of a message.
    let (wire, mut client) = place.hostile(|_| {});
    let half = [&Frame::message(Phase::Online, 1, 16)[..], &[0; 8]].concat();
    place.runtime.block_on(client.say(&half)).expect("sent");
    drop(client);
    match wait(&wire) {
        LinkError::Connection { peer: CLIENT, .. } => {}
        other => panic!("{other}"),
    }
    // Alive, and no more than that.
    let (wire, mut client) = place.hostile(|options| options.patience.limit = second);
    place.runtime.block_on(client.say(&Frame::heartbeat())).expect("sent");
    assert_eq!(wait(&wire), LinkError::TooLong { seconds: 1 });
    let (wire, _client) = place.hostile(|options| options.cancel.cancel());
    assert_eq!(wait(&wire), LinkError::Cancelled);
    // Its last words are printed without what a terminal would obey.
    let (wire, mut client) = place.hostile(|_| {});
    place.runtime.block_on(client.say(&Frame::failed("no\u{1b}[2Jmemory"))).expect("sent");
    assert_eq!(wait(&wire), LinkError::PeerFailed { party: CLIENT, cause: "no [2Jmemory".into() });
    let (wire, mut client) = place.hostile(|_| {});
    place.runtime.block_on(client.say(&Frame::bye())).expect("sent");
    assert_eq!(wait(&wire), LinkError::Closed { me: SERVER, peer: CLIENT, phase: Phase::Online });
}

#[test]
fn a_peer_that_only_thinks_is_not_gone() {
    let place = Place::new();
    let (client, server) = place.pair();
    let (client, server) = (place.wire(client, place.impatient(CLIENT)), place.wire(server, place.impatient(SERVER)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(2500));
            client.send(CLIENT, SERVER, message(vec![9])).expect("sent");
        });
        assert_eq!(server.recv(SERVER, CLIENT, expected(1)).expect("received").bytes, [9]);
    });
}

#[test]
fn two_that_only_send_are_told_so() {
    let place = Place::new();
    let (client, server) = place.pair();
    let (client, server) = (place.wire(client, place.impatient(CLIENT)), place.wire(server, place.impatient(SERVER)));
    // Far more than queues (2 MiB each) and sockets hold, both ways, and nobody receives.
    let flood = |wire: &Wire, me, peer| (0..200).find_map(|_| wire.send(me, peer, message(vec![0; 1 << 20])).err());
    let said = std::thread::scope(|scope| {
        let other = scope.spawn(|| flood(&client, CLIENT, SERVER));
        [flood(&server, SERVER, CLIENT), other.join().expect("ended")]
    });
    for error in said {
        let said = error.expect("it cannot all be sent").to_string();
        assert!(said.contains("both send more than [memory] in_flight holds"), "{said}");
    }
}

#[test]
fn whoever_fails_says_why() {
    let place = Place::new();
    let (client, server) = place.pair();
    let (client, server) = (place.wire(client, place.options(CLIENT)), place.wire(server, place.options(SERVER)));
    server.end(Some("its disk is full".into()));
    let said = error(client.recv(CLIENT, SERVER, expected(1)));
    assert_eq!(said, LinkError::PeerFailed { party: SERVER, cause: "its disk is full".into() });
    client.end(Some(said.to_string()));
}

#[test]
fn another_version_is_told_so() {
    let place = Place::new();
    let hello = Hello { longhaul: "9.9.9".into(), ..Hello::new(Session::random(), Purpose::Probe) };
    let (client, server) = place.meet_with(&place.credentials(CLIENT), &place.credentials(SERVER), &hello);
    let said = client.err().expect("refused").to_string();
    assert!(said.contains("the server refuses: version 9.9.9, wire 2, does not fit"), "{said}");
    assert!(server.err().expect("refused").to_string().contains("run the same version on all machines"));
}

#[test]
fn a_connection_that_says_nothing_is_dropped() {
    let place = Place::new();
    let server = place.credentials(SERVER);
    let started = Instant::now();
    let said = place.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let _silent = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (tcp, _) = listener.accept().await.expect("accepted");
        server.accept(tcp).await.err().expect("dropped").to_string()
    });
    assert!(said.contains("did not finish the handshake within 10 s"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn keys_are_private_and_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = make_keys(folder.path(), 1).expect("keys");
    #[cfg(unix)]
    for party in Party::ALL {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(keys.private_key(party)).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{party}");
    }
    let again = make_keys(folder.path(), 1).expect_err("refused").to_string();
    assert!(again.contains("keys in use are not replaced"), "{again}");
    std::fs::remove_file(keys.private_key(SERVER)).expect("removed");
    let missing = Credentials::load(&keys, SERVER).err().expect("no key").to_string();
    assert!(missing.contains("server.key: cannot be read") && missing.contains("`longhaul keys` makes"), "{missing}");
    std::fs::copy(keys.private_key(CLIENT), keys.private_key(SERVER)).expect("copied");
    let other = Credentials::load(&keys, SERVER).err().expect("another key").to_string();
    assert!(other.contains("does not fit server.pem"), "{other}");
    std::fs::write(keys.authority(), "nonsense").expect("written");
    let empty = Credentials::load(&keys, SERVER).err().expect("no certificate").to_string();
    assert!(empty.contains("there is no certificate in it"), "{empty}");
}
