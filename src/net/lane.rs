//! One connection at work: a task that reads, a task that writes, and between them and the party's thread queues that hold
//! a bounded number of bytes.

use super::frame::{Frame, PIECE};
use super::tls::{Connection, printable};
use crate::link::{LinkError, Party};
use bytes::Bytes;
use futures_util::StreamExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Pieces below this are copied.
const SMALL: usize = 64 << 10;

/// What the smallest frame counts for in a queue.
const LEAST: usize = 64;

/// How long a failed party tries to tell the others why.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long to wait for other machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A peer of which nothing is heard for so long is gone.
    pub silence: Duration,
    /// What says that this party is alive is sent so often if nothing else is.
    pub heartbeat: Duration,
    /// No session takes longer.
    pub limit: Duration,
}

impl Patience {
    /// One's own settings and those of the client, which all parties of a session heed: nobody is given up earlier than
    /// the client would, and everybody is heard four times in the shorter of both times.
    pub fn new(silence: Duration, of_client: Duration, limit: Duration) -> Patience {
        Patience { silence: silence.max(of_client), heartbeat: silence.min(of_client) / 4, limit }
    }
}

/// The first failure of any of a party's connections: it stops all of them.
#[derive(Default)]
pub(super) struct Failure {
    pub token: CancellationToken,
    cause: OnceLock<LinkError>,
}

impl Failure {
    pub fn set(&self, cause: LinkError) {
        self.cause.get_or_init(|| cause);
        self.token.cancel();
    }

    /// # Panics
    /// If the token is not cancelled.
    pub fn cause(&self) -> LinkError {
        self.cause.get().expect("set before the token is cancelled").clone()
    }
}

/// What a lane's writer and the party tell each other.
#[derive(Default)]
struct Progress {
    /// Bytes of messages so far.
    written: AtomicU64,
    /// The party has failed.
    failed: AtomicBool,
}

/// What waits to be written.
enum Outgoing {
    Frame(Vec<u8>),
    Body { header: Vec<u8>, bytes: Vec<u8>, _room: OwnedSemaphorePermit },
    Padding(u64),
}

/// A frame that was read; its room in the queue is given back when it is dropped.
pub(super) struct Incoming {
    pub frame: Frame,
    _room: OwnedSemaphorePermit,
}

/// Room for a message.
pub(super) struct Room(OwnedSemaphorePermit);

/// A connection between two parties of a session.
pub(super) struct Lane {
    peer: Party,
    outbox: UnboundedSender<Outgoing>,
    outbox_room: Arc<Semaphore>,
    /// Taken by the party's thread only.
    inbox: Mutex<UnboundedReceiver<Incoming>>,
    inbox_room: Arc<Semaphore>,
    progress: Arc<Progress>,
    capacity: usize,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

/// What a lane needs to know.
#[derive(Clone, Copy)]
pub(super) struct LaneOptions {
    /// Bytes that each queue holds.
    pub capacity: usize,
    pub patience: Patience,
    /// Bytes of padding that the peer may send.
    pub padding: u64,
}

impl Lane {
    /// Starts the tasks.
    pub fn new(runtime: &Handle, connection: Connection, options: LaneOptions, failure: &Arc<Failure>) -> Lane {
        let LaneOptions { capacity, patience, padding } = options;
        // One piece must fit.
        let capacity = capacity.clamp(2 * PIECE, u32::MAX as usize);
        let Connection { peer, reader, writer } = connection;
        let (outbox, to_write) = unbounded_channel();
        let (read, inbox) = unbounded_channel();
        let room = Arc::new(Semaphore::new(capacity));
        let progress = Arc::new(Progress::default());
        // Whoever finds the queue closed must find the cause set.
        let open = read.clone();
        let reading = Reading { peer, silence: patience.silence, padding, room: room.clone(), read };
        let failure = failure.clone();
        Lane {
            peer,
            outbox,
            outbox_room: Arc::new(Semaphore::new(capacity)),
            inbox: Mutex::new(inbox),
            inbox_room: room,
            progress: progress.clone(),
            capacity,
            writer: runtime.spawn(write(
                BufWriter::new(writer),
                to_write,
                patience.heartbeat,
                peer,
                (failure.clone(), progress),
            )),
            reader: runtime.spawn(async move {
                if let Err(cause) = reading.run(reader).await {
                    failure.set(cause);
                }
                drop(open);
            }),
        }
    }

    pub fn peer(&self) -> Party {
        self.peer
    }

    /// Waits until the queue of what is to be written has room for a message of `bytes`.
    pub async fn room(&self, bytes: usize) -> Room {
        let weight = bytes.clamp(LEAST, self.capacity) as u32;
        Room(self.outbox_room.clone().acquire_many_owned(weight).await.expect("nobody closes it"))
    }

    /// Queues a message's header and bytes.
    pub fn send(&self, Room(room): Room, header: Vec<u8>, bytes: Vec<u8>) {
        self.put(Outgoing::Body { header, bytes, _room: room });
    }

    /// Whether more was read than the party has taken: the other side has to wait.
    pub fn is_full(&self) -> bool {
        self.inbox_room.available_permits() < PIECE
    }

    /// Queues a frame without a body.
    pub fn say(&self, frame: Vec<u8>) {
        self.put(Outgoing::Frame(frame));
    }

    /// Queues bytes that mean nothing.
    pub fn pad(&self, length: u64) {
        self.put(Outgoing::Padding(length));
    }

    /// A writer that has ended said why elsewhere.
    fn put(&self, outgoing: Outgoing) {
        let _ = self.outbox.send(outgoing);
    }

    /// Bytes of messages that were written so far.
    pub fn written(&self) -> u64 {
        self.progress.written.load(Ordering::Relaxed)
    }

    /// The next frame; `None` when nothing more will come.
    pub async fn next(&self) -> Option<Incoming> {
        std::future::poll_fn(|context| self.inbox.lock().expect("nobody panics while holding it").poll_recv(context))
            .await
    }

    /// Says good-bye, and waits until everything is written and the other side has nothing more to say.
    pub async fn finish(self, patience: Duration) {
        self.say(Frame::bye());
        let Lane { outbox, reader, writer, .. } = self;
        drop(outbox);
        let mut tasks = (writer, reader);
        let ended = tokio::time::timeout(patience, async { (&mut tasks.0).await.and((&mut tasks.1).await) }).await;
        if ended.is_err() {
            tasks.0.abort();
            tasks.1.abort();
        }
    }

    /// Tells the other side why this one stops, if it listens.
    pub async fn fail(self, cause: &str) {
        self.reader.abort();
        self.progress.failed.store(true, Ordering::Relaxed);
        self.say(Frame::failed(cause));
        let Lane { outbox, mut writer, .. } = self;
        drop(outbox);
        if tokio::time::timeout(LAST_WORDS, &mut writer).await.is_err() {
            writer.abort();
        }
    }
}

struct Reading {
    peer: Party,
    silence: Duration,
    padding: u64,
    room: Arc<Semaphore>,
    read: UnboundedSender<Incoming>,
}

impl Reading {
    async fn run<R: tokio::io::AsyncRead + Unpin>(
        mut self,
        mut reader: tokio_util::codec::FramedRead<R, super::Codec>,
    ) -> Result<(), LinkError> {
        let peer = self.peer;
        loop {
            let Ok(next) = tokio::time::timeout(self.silence, reader.next()).await else {
                return Err(LinkError::Silent { peer, seconds: self.silence.as_secs() });
            };
            let frame = match next {
                Some(Ok(frame)) => frame,
                Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(LinkError::Malformed { peer, what: error.to_string() });
                }
                Some(Err(error)) => return Err(LinkError::Connection { peer, cause: error.to_string() }),
                None => {
                    let cause = "it was closed without a word; the process there has ended".to_string();
                    return Err(LinkError::Connection { peer, cause });
                }
            };
            let frame = match frame {
                // A small part of what was read would keep all of it in memory.
                Frame::Piece(piece) if piece.len() < SMALL => Frame::Piece(Bytes::copy_from_slice(&piece)),
                Frame::Control(text) => Frame::Control(Bytes::copy_from_slice(&text)),
                frame => frame,
            };
            let weight = match &frame {
                Frame::Heartbeat => continue,
                Frame::Padding(length) => {
                    self.padding = self
                        .padding
                        .checked_sub(*length)
                        .ok_or(LinkError::Malformed { peer, what: "more padding than was agreed on".to_string() })?;
                    continue;
                }
                Frame::Failed(cause) => {
                    return Err(LinkError::PeerFailed { party: peer, cause: printable(cause) });
                }
                Frame::Bye => return Ok(()),
                Frame::Piece(piece) => piece.len(),
                Frame::Control(text) => text.len(),
                _ => 0,
            };
            let room = self.room.clone().acquire_many_owned(weight.max(LEAST) as u32).await.expect("nobody closes it");
            if self.read.send(Incoming { frame, _room: room }).is_err() {
                return Ok(());
            }
        }
    }
}

/// Writes what is queued, and a sign of life when there is nothing else.
async fn write<W: tokio::io::AsyncWrite + Unpin>(
    mut writer: BufWriter<W>,
    mut queue: UnboundedReceiver<Outgoing>,
    pause: Duration,
    peer: Party,
    (failure, progress): (Arc<Failure>, Arc<Progress>),
) {
    let mut work = async || -> std::io::Result<()> {
        loop {
            match tokio::time::timeout(pause, queue.recv()).await {
                Err(_) => writer.write_all(&Frame::heartbeat()).await?,
                Ok(None) => return writer.shutdown().await,
                Ok(Some(Outgoing::Frame(frame))) => writer.write_all(&frame).await?,
                // Nobody needs the rest; the reason is behind it.
                Ok(Some(Outgoing::Body { .. } | Outgoing::Padding(_))) if progress.failed.load(Ordering::Relaxed) => {}
                Ok(Some(Outgoing::Body { header, bytes, .. })) => {
                    writer.write_all(&header).await?;
                    for piece in bytes.chunks(PIECE / 4) {
                        writer.write_all(piece).await?;
                        progress.written.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    }
                }
                Ok(Some(Outgoing::Padding(length))) => pad(&mut writer, length).await?,
            }
            if queue.is_empty() {
                writer.flush().await?;
            }
        }
    };
    if let Err(error) = work().await {
        // Usually the reader knows better: let it speak first.
        tokio::time::sleep(Duration::from_millis(200)).await;
        failure.set(LinkError::Connection { peer, cause: error.to_string() });
    }
}

async fn pad<W: tokio::io::AsyncWrite + Unpin>(writer: &mut W, length: u64) -> std::io::Result<()> {
    writer.write_all(&Frame::padding(length)).await?;
    let zeros = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let here = left.min(PIECE as u64);
        writer.write_all(&zeros[..here as usize]).await?;
        left -= here;
    }
    Ok(())
}
