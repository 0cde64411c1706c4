//! Mutual TLS 1.3: both sides show certificates of one authority, and the names in them say their roles.

use super::NetError;
use super::frame::{Codec, Frame};
use super::hello::{Answer, Hello};
use super::keys::{Keys, role_name};
use crate::link::Party;
use futures_util::StreamExt;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::codec::FramedRead;

/// A refusal may be lost with the connection.
const HUNG_UP: &str =
    "it is stopping or too busy, or does not accept this certificate: both must come from one run of `longhaul keys`";

/// What is read at once.
const READ_BUFFER: usize = 256 << 10;

/// How long a connection may take to say who it is and what it wants.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long nobody need answer at an address.
const CONNECT: Duration = Duration::from_secs(10);

/// A party's certificate and whom it believes.
#[derive(Clone)]
pub struct Credentials {
    party: Party,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// An authenticated connection.
pub(crate) struct Connection {
    /// The other side, by its certificate.
    pub peer: Party,
    pub reader: FramedRead<ReadHalf<TlsStream<TcpStream>>, Codec>,
    pub writer: WriteHalf<TlsStream<TcpStream>>,
}

/// A connection and what it is for.
pub(crate) struct Handshaken {
    pub connection: Connection,
    pub hello: Hello,
}

impl Credentials {
    /// Those of `party`, from the files of `longhaul keys`.
    ///
    /// # Errors
    /// [`NetError::Keys`].
    pub fn load(keys: &Keys, party: Party) -> Result<Credentials, NetError> {
        let wrong = |path: PathBuf| move |cause: String| NetError::Keys { path, cause };
        let certificates = |path: PathBuf| {
            let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = read.map_err(|error| wrong(path.clone())(plain(&error, &path)))?;
            if found.is_empty() { Err(wrong(path)("there is no certificate in it".into())) } else { Ok(found) }
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(keys.authority())? {
            roots.add(certificate).map_err(|error| wrong(keys.authority())(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let own = certificates(keys.certificate(party))?;
        let key_path = keys.private_key(party);
        let key = PrivateKeyDer::from_pem_file(&key_path)
            .map_err(|error| wrong(key_path.clone())(plain(&error, &key_path)))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| wrong(keys.authority())(error.to_string()))?;
        let versions = &[&rustls::version::TLS13];
        let unfit = |error: rustls::Error| wrong(key_path.clone())(format!("it does not fit {party}.pem: {error}"));
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("the provider has TLS 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(own.clone(), key.clone_key())
            .map_err(unfit)?;
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider has TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(own, key)
            .map_err(unfit)?;
        Ok(Credentials { party, client: Arc::new(client), server: Arc::new(server) })
    }

    /// Whose they are.
    pub fn party(&self) -> Party {
        self.party
    }

    /// Connects to `peer` at `address`, says `hello` and reads the answer.
    ///
    /// # Errors
    /// Whatever keeps the session from being made, within the time-outs.
    pub(crate) async fn connect(&self, address: &str, peer: Party, hello: &Hello) -> Result<Connection, NetError> {
        let unreachable = |cause: String| NetError::Unreachable { peer, address: address.to_owned(), cause };
        let tcp = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Err(_) => return Err(unreachable(format!("no answer within {} s", CONNECT.as_secs()))),
            Ok(connected) => connected.map_err(|error| unreachable(error.to_string()))?,
        };
        let handshake = async {
            let refused = |cause: String| NetError::Tls { peer: peer.to_string(), cause };
            tcp.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
            let name = ServerName::try_from(role_name(peer)).expect("roles are good names");
            let connector = TlsConnector::from(self.client.clone());
            let tls = connector.connect(name, tcp).await.map_err(|error| refused(error.to_string()))?;
            let mut connection = Connection::new(peer, TlsStream::Client(tls));
            let greeting = connection.say(&hello.encode()).await;
            // Where our certificate is refused, the reason comes with the first thing that is read.
            let answer = match connection.reader.next().await {
                Some(Ok(Frame::Control(text))) => Answer::decode(peer, &text)?,
                Some(Ok(_)) => return Err(nonsense(peer, "its answer is none")),
                Some(Err(error)) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                    return Err(refused(error.to_string()));
                }
                hung_up => {
                    let error = hung_up.and_then(Result::err).or(greeting.err());
                    let cause = error.map_or("it hung up".to_string(), |error| format!("it hung up ({error})"));
                    return Err(nonsense(peer, format!("{cause}; {HUNG_UP}")));
                }
            };
            match answer {
                Answer::Accepted => Ok(connection),
                Answer::Refused { reason } => Err(NetError::Refused { peer, reason: printable(&reason) }),
            }
        };
        // The server waits for the dealer and for further connections before it answers.
        in_time(peer.to_string(), 3 * HANDSHAKE, handshake).await
    }

    /// Takes part in the handshake of a connection that somebody made, and reads what it is for.
    ///
    /// # Errors
    /// Whatever keeps the session from being made, within the time-out.
    pub(crate) async fn accept(&self, tcp: TcpStream) -> Result<Handshaken, NetError> {
        let from = tcp.peer_addr().map_or_else(|_| "somebody".to_string(), |address| address.to_string());
        let handshake = async {
            let refused = |cause: String| NetError::Tls { peer: from.clone(), cause };
            tcp.set_nodelay(true).map_err(|error| refused(error.to_string()))?;
            let acceptor = TlsAcceptor::from(self.server.clone());
            let tls = acceptor.accept(tcp).await.map_err(|error| refused(error.to_string()))?;
            let peer = role_of(tls.get_ref().1.peer_certificates())
                .ok_or_else(|| refused("its certificate names no role".to_string()))?;
            let mut connection = Connection::new(peer, TlsStream::Server(tls));
            let hello = match connection.reader.next().await {
                Some(Ok(Frame::Control(text))) => Hello::decode(&text),
                Some(Err(error)) => return Err(nonsense(&from, error)),
                _ => return Err(nonsense(&from, "it does not say what it wants")),
            };
            match hello {
                Ok(hello) => Ok(Handshaken { connection, hello }),
                Err(reason) => {
                    // It can still be told, in words that every version understands.
                    let _ = connection.answer(&Answer::Refused { reason: reason.clone() }).await;
                    Err(nonsense(&from, reason))
                }
            }
        };
        in_time(from.clone(), HANDSHAKE, handshake).await
    }
}

impl Connection {
    fn new(peer: Party, tls: TlsStream<TcpStream>) -> Connection {
        let (reader, writer) = split(tls);
        Connection { peer, reader: FramedRead::with_capacity(reader, Codec::default(), READ_BUFFER), writer }
    }

    /// Writes a frame at once.
    pub async fn say(&mut self, frame: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(frame).await?;
        self.writer.flush().await
    }

    /// Answers the hello.
    pub async fn answer(&mut self, answer: &Answer) -> std::io::Result<()> {
        self.say(&answer.encode()).await?;
        match answer {
            Answer::Accepted => Ok(()),
            Answer::Refused { .. } => self.writer.shutdown().await,
        }
    }
}

async fn in_time<T>(
    peer: String,
    limit: Duration,
    work: impl Future<Output = Result<T, NetError>>,
) -> Result<T, NetError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(NetError::Slow { peer, seconds: limit.as_secs() }),
    }
}

fn nonsense(peer: impl ToString, cause: impl ToString) -> NetError {
    NetError::Nonsense { peer: peer.to_string(), cause: printable(&cause.to_string()) }
}

/// What a peer said, fit to be printed on a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

fn role_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<Party> {
    let certificate = ParsedCertificate::try_from(certificates?.first()?).ok()?;
    let has = |party: &Party| {
        let name = ServerName::try_from(role_name(*party)).expect("roles are good names");
        verify_server_name(&certificate, &name).is_ok()
    };
    Party::ALL.into_iter().find(has)
}

/// The library's words for a file that is not there name neither the file nor the reason.
fn plain(error: &rustls::pki_types::pem::Error, path: &Path) -> String {
    match std::fs::read(path) {
        Err(error) => format!("cannot be read: {error}"),
        Ok(_) => format!("is no PEM file of the right kind: {error}"),
    }
}
