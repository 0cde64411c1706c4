//! How the connections of one session come together at a party that listens.

use super::turns::Turns;
use crate::link::Party;
use crate::net::{Answer, Connection, Credentials, Handshaken, Hello, NetError, Offer, Purpose, Session, printable};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// How long a session waits for its other connections, and for an earlier session to end.
const GATHER: Duration = Duration::from_secs(10);

/// A session whose connections are all there.
pub(super) struct Ready {
    pub offer: Offer,
    /// Who asked, for the log.
    pub from: String,
    pub connections: Vec<Connection>,
    /// Given back when the session is over.
    pub slot: OwnedSemaphorePermit,
}

/// A connection for measuring.
pub(super) struct ProbeReady {
    pub connection: Connection,
    pub slot: OwnedSemaphorePermit,
}

/// What a listener needs to gather sessions.
pub(super) struct Gathering<C> {
    pub credentials: Credentials,
    /// Where the dealer is, at the server.
    pub dealer: Option<String>,
    /// Whether an offer is taken, or why not.
    pub check: C,
    /// Sessions go here.
    pub ready: mpsc::Sender<Ready>,
    pub probes: mpsc::Sender<ProbeReady>,
    /// Of handshakes that failed.
    pub refused: mpsc::Sender<String>,
    /// Sessions that wait for a connection of their client.
    waiting: Mutex<HashMap<Session, oneshot::Sender<Handshaken>>>,
    slots: Arc<Semaphore>,
}

impl<C: Fn(&Offer) -> Result<(), String> + Send + Sync + 'static> Gathering<C> {
    pub fn new(
        credentials: Credentials,
        dealer: Option<String>,
        check: C,
        ready: mpsc::Sender<Ready>,
        probes: mpsc::Sender<ProbeReady>,
        refused: mpsc::Sender<String>,
    ) -> Gathering<C> {
        let (waiting, slots) = (Mutex::default(), Arc::new(Semaphore::new(1)));
        Gathering { credentials, dealer, check, ready, probes, refused, waiting, slots }
    }

    /// Accepts connections for ever.
    pub async fn listen(self: Arc<Self>, listener: TcpListener) {
        let turns = Turns::new();
        loop {
            let place = turns.place().await;
            let Ok((tcp, address)) = listener.accept().await else {
                // Out of file descriptors, usually: wait for some to be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Some(turn) = turns.give(place, address.ip()) else {
                self.refuse(address, "too many connections of this address at once");
                continue;
            };
            let gathering = self.clone();
            tokio::spawn(async move {
                let accepted = gathering.credentials.accept(tcp).await;
                // Whoever is known waits in nobody's way.
                drop(turn);
                let ended = match accepted {
                    Ok(accepted) => gathering.connection(accepted, address.to_string()).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = ended {
                    gathering.refuse(address, &error.to_string());
                }
            });
        }
    }

    fn refuse(&self, address: SocketAddr, why: &str) {
        // Nobody may be reading the log.
        let _ = self.refused.try_send(format!("{address}: {}", printable(why)));
    }

    async fn connection(&self, accepted: Handshaken, from: String) -> Result<(), NetError> {
        let Handshaken { mut connection, hello } = accepted;
        let peer = connection.peer;
        let me = self.credentials.party();
        let refuse = async |mut connection: Connection, reason: String| {
            let _ = connection.answer(&Answer::Refused { reason: reason.clone() }).await;
            Err(NetError::Refused { peer: me, reason })
        };
        match (hello.purpose.clone(), me, peer) {
            (Purpose::Probe, Party::Server, Party::Client) => match self.slot().await {
                Some(slot) => {
                    let _ = connection.answer(&Answer::Accepted).await;
                    let _ = self.probes.send(ProbeReady { connection, slot }).await;
                    Ok(())
                }
                None => refuse(connection, busy()).await,
            },
            (Purpose::Query(offer), Party::Server, Party::Client)
            | (Purpose::Query(offer), Party::Dealer, Party::Server) => match (self.check)(&offer) {
                Ok(()) => match self.slot().await {
                    Some(slot) => self.begin(connection, (hello, offer), from, slot).await,
                    None => refuse(connection, busy()).await,
                },
                Err(reason) => refuse(connection, reason).await,
            },
            (Purpose::Query(_), Party::Dealer, Party::Client) | (Purpose::Online, Party::Server, Party::Client) => {
                let waiting = self.waiting.lock().expect("nobody panics while holding it").remove(&hello.session);
                match waiting {
                    Some(waiting) => {
                        let _ = waiting.send(Handshaken { connection, hello });
                        Ok(())
                    }
                    None => refuse(connection, "it knows of no such session; the server begins one".to_string()).await,
                }
            }
            _ => refuse(connection, format!("a {peer} has no business of this kind with a {me}")).await,
        }
    }

    /// The right to be the session under way.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let slot = tokio::time::timeout(GATHER, self.slots.clone().acquire_owned()).await.ok()?;
        Some(slot.expect("nobody closes it"))
    }

    /// Completes a session: the server with the dealer and perhaps a second connection, the dealer with the client.
    async fn begin(
        &self,
        mut connection: Connection,
        (hello, offer): (Hello, Offer),
        from: String,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), NetError> {
        let peer = connection.peer;
        let mut further = Vec::new();
        if let Some(dealer) = &self.dealer {
            match self.credentials.connect(dealer, Party::Dealer, &hello).await {
                Ok(dealer) => further.push(dealer),
                Err(error) => {
                    let _ = connection.answer(&Answer::Refused { reason: error.to_string() }).await;
                    return Err(error);
                }
            }
        }
        let is_dealer = self.dealer.is_none();
        let second = (is_dealer || offer.fresh).then(|| self.wait_for(hello.session));
        let gone = |error: std::io::Error| NetError::Nonsense { peer: peer.to_string(), cause: error.to_string() };
        if let Err(error) = connection.answer(&Answer::Accepted).await {
            self.waiting.lock().expect("nobody panics while holding it").remove(&hello.session);
            return Err(gone(error));
        }
        let mut connections = vec![connection];
        if let Some(second) = second {
            let waited = tokio::time::timeout(GATHER, second).await;
            self.waiting.lock().expect("nobody panics while holding it").remove(&hello.session);
            let Ok(Ok(Handshaken { connection: mut second, hello: theirs })) = waited else {
                return Err(NetError::Slow { peer: Party::Client.to_string(), seconds: GATHER.as_secs() });
            };
            if is_dealer && theirs.purpose != hello.purpose {
                let reason = "it was offered another execution by the server".to_string();
                let _ = second.answer(&Answer::Refused { reason: reason.clone() }).await;
                return Err(NetError::Refused { peer: Party::Dealer, reason });
            }
            second.answer(&Answer::Accepted).await.map_err(gone)?;
            connections.push(second);
        }
        connections.extend(further);
        let _ = self.ready.send(Ready { offer, from, connections, slot }).await;
        Ok(())
    }

    fn wait_for(&self, session: Session) -> oneshot::Receiver<Handshaken> {
        let (there, here) = oneshot::channel();
        self.waiting.lock().expect("nobody panics while holding it").insert(session, there);
        here
    }
}

fn busy() -> String {
    "it is busy with another session; try again later".to_string()
}
