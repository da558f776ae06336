//! The other end of a connection between nodes, for the tests of the peer actors.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Recipient, System};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_util::codec::Framed;

use crate::actors::messages::peers::{EndConnection, PeerEvent, SendRpc};
use crate::net::{Listener, Network, Stream};
use crate::raft::{
    Announcement, AppendEntries, AppendEntriesResponse, AppendResult, Envelope, Introduction,
    RequestVote, RequestVoteResponse, Rpc,
};
use crate::testing::introduction;
use crate::testing::{Inbox, KindInbox};
use crate::types::{
    Address, Entry, Format, FormatInForce, LogIndex, LogPosition, Membership, NodeId, Payload, Term,
};
use crate::wire::{FRAME_BYTES_MAX, Frame, FrameCodec, Hello, LocalNode};

/// Runs a test on a clock that jumps to the next timer when no task can run.
pub(crate) fn run_paused(test: impl Future<Output = ()>) {
    run(true, Duration::from_secs(24 * 3600), test);
}

/// Runs a test on the real clock, for real sockets.
pub(crate) fn run_real(test: impl Future<Output = ()>) {
    run(false, Duration::from_secs(60), test);
}

/// Runs a test that fails after `patience`, so that it does not hang.
fn run(start_paused: bool, patience: Duration, test: impl Future<Output = ()>) {
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(start_paused)
            .build()
            .unwrap()
    });
    let in_time = system.block_on(async { tokio::time::timeout(patience, test).await });
    in_time.expect("what the test waits for never came");
}

/// The end of a connection that the test holds.
pub(crate) struct FarEnd {
    framed: Framed<DuplexStream, FrameCodec>,
}

/// A connection that holds `capacity` bytes in each direction.
pub(crate) fn connection(capacity: usize) -> (Stream, FarEnd) {
    let (near, far) = tokio::io::duplex(capacity);
    let (reader, writer) = tokio::io::split(near);
    let stream = Stream { reader: Box::new(reader), writer: Box::new(writer) };
    (stream, FarEnd { framed: Framed::new(far, FrameCodec::new(FRAME_BYTES_MAX)) })
}

impl FarEnd {
    /// The next frame; `None` when the actor has closed the connection.
    pub async fn receive(&mut self) -> Option<Frame> {
        self.framed.next().await.map(|frame| frame.expect("actors send good frames"))
    }

    pub async fn send(&mut self, frame: &Frame) {
        self.framed.send(frame).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.framed.get_mut().write_all(bytes).await.unwrap();
    }

    /// Reads this number of bytes of a frame.
    pub async fn read_bytes(&mut self, bytes: usize) {
        self.framed.get_mut().read_exact(&mut vec![0; bytes]).await.unwrap();
    }

    /// All further bytes until the actor closes the connection.
    pub async fn rest(mut self) -> Vec<u8> {
        let mut rest = self.framed.read_buffer().to_vec();
        self.framed.get_mut().read_to_end(&mut rest).await.unwrap();
        rest
    }

    /// True if the actor has closed the connection.
    pub async fn is_closed(&mut self) -> bool {
        crate::testing::settle().await;
        tokio::select! {
            biased;
            read = self.framed.get_mut().read_u8() => read.is_err(),
            () = std::future::ready(()) => false,
        }
    }
}

/// The result of a dial.
pub(crate) enum Dial {
    Connected(Stream),
    Refused,
    Never,
}

/// A network whose dials have given results, in order. It records the dials.
#[derive(Clone, Default)]
pub(crate) struct FakeNetwork {
    dials: Rc<RefCell<VecDeque<Dial>>>,
    dialled: Rc<RefCell<Vec<(Instant, Address)>>>,
}

impl FakeNetwork {
    /// Adds the result of a further dial. Dials beyond the last result never end.
    pub fn expect(&self, dial: Dial) {
        self.dials.borrow_mut().push_back(dial);
    }

    /// Adds a further dial that succeeds.
    pub fn expect_connection(&self, capacity: usize) -> FarEnd {
        let (stream, far) = connection(capacity);
        self.expect(Dial::Connected(stream));
        far
    }

    /// The time at which each dial began.
    pub fn times(&self) -> Vec<Instant> {
        self.dialled.borrow().iter().map(|(time, _)| *time).collect()
    }

    /// The ports that were dialled since the last call.
    pub fn take_ports(&self) -> Vec<u16> {
        self.dialled.borrow_mut().drain(..).map(|(_, address)| address.port).collect()
    }

    /// The number of those who use the network.
    pub fn users(&self) -> usize {
        Rc::strong_count(&self.dialled)
    }
}

impl Network for FakeNetwork {
    fn connect(&self, host: &str, port: u16) -> LocalBoxFuture<'static, io::Result<Stream>> {
        let address = Address { host: host.into(), port };
        self.dialled.borrow_mut().push((Instant::now(), address));
        let dial = self.dials.borrow_mut().pop_front().unwrap_or(Dial::Never);
        Box::pin(async move {
            match dial {
                Dial::Connected(stream) => Ok(stream),
                Dial::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
                Dial::Never => pending().await,
            }
        })
    }

    fn listen(&self, _: &str, _: u16) -> LocalBoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// A listener that accepts given connections, and counts its calls.
#[derive(Clone, Default)]
pub(crate) struct FakeListener {
    accepts: Rc<RefCell<VecDeque<io::Result<Stream>>>>,
    asked: Rc<RefCell<usize>>,
    wake: Rc<tokio::sync::Notify>,
}

impl FakeListener {
    /// Adds a connection to accept; returns its other end.
    pub fn dial(&self, capacity: usize) -> FarEnd {
        let (stream, far) = connection(capacity);
        self.push(Ok(stream));
        far
    }

    /// Adds the result of a further accept.
    pub fn push(&self, accepted: io::Result<Stream>) {
        self.accepts.borrow_mut().push_back(accepted);
        self.wake.notify_one();
    }

    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// True if the listener is closed.
    pub fn is_closed(&self) -> bool {
        Rc::strong_count(&self.asked) == 1
    }
}

impl Listener for FakeListener {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<(Stream, String)>> {
        *self.asked.borrow_mut() += 1;
        Box::pin(async {
            loop {
                let accepted = self.accepts.borrow_mut().pop_front();
                match accepted {
                    Some(accepted) => return accepted.map(|stream| (stream, "far:1".into())),
                    None => self.wake.notified().await,
                }
            }
        })
    }

    fn port(&self) -> u16 {
        1
    }
}

pub(crate) fn hello(from: u64, to: u64) -> Hello {
    Hello {
        cluster: "coracle".into(),
        from: NodeId(from),
        to: NodeId(to),
        restore_id: None,
        promise: None,
        introduction: None,
    }
}

/// The hello of a server that introduces itself.
pub(crate) fn long_hello(from: u64, to: u64) -> Hello {
    Hello { introduction: Some(introduction()), ..hello(from, to) }
}

/// The facts of a cluster of the nodes 1 to 3 in which this format is in force.
pub(crate) fn announcement(format: u32) -> Announcement {
    let format = FormatInForce::read(Format(format), &format!("0.{format}.0"));
    Announcement { format, membership: three_voters(), ..Announcement::default() }
}

fn three_voters() -> Arc<Membership> {
    Arc::new(Membership::seed([1, 2, 3].map(NodeId)))
}

pub(crate) fn envelope(from: u64, to: u64, rpc: Rpc) -> Envelope {
    Envelope { from: NodeId(from), to: NodeId(to), term: Term(3), rpc }
}

/// A request that carries one value.
pub(crate) fn append(from: u64, to: u64, value_bytes: usize) -> Envelope {
    let entry = Entry {
        index: LogIndex(1),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Command(Bytes::from(vec![7; value_bytes])),
    };
    let append = AppendEntries {
        request_seq: 1,
        prev: LogPosition::default(),
        leader_commit: LogIndex(0),
        read_seq: 0,
        entries: vec![entry],
    };
    envelope(from, to, Rpc::AppendEntries(append))
}

pub(crate) fn append_response(from: u64, to: u64, request_seq: u64) -> Envelope {
    let result = AppendResult::Success { match_index: LogIndex(1) };
    let response = AppendEntriesResponse { request_seq, read_seq: 0, is_rejoining: false, result };
    envelope(from, to, Rpc::AppendEntriesResponse(response))
}

pub(crate) fn request_vote(from: u64, to: u64) -> Envelope {
    envelope(from, to, Rpc::RequestVote(RequestVote { last: LogPosition::default() }))
}

pub(crate) fn vote(from: u64, to: u64) -> Envelope {
    envelope(from, to, Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: true }))
}

/// Node 1 of a cluster whose other nodes are 2 and 3.
pub(crate) fn local_node() -> LocalNode {
    LocalNode {
        cluster: "coracle".into(),
        id: NodeId(1),
        membership: three_voters(),
        membership_at: LogIndex(0),
        committed: None,
        departing: None,
        seeds: BTreeSet::new(),
        restore_id: None,
        promise: None,
        format: FormatInForce::default(),
        introduction: introduction(),
    }
}

/// A connection of a peer that was announced to RaftActor.
pub(crate) struct AttachedPeer {
    pub(crate) peer: NodeId,
    pub(crate) connection: u64,
    pub(crate) port: Recipient<SendRpc>,
    pub(crate) end: Recipient<EndConnection>,
    pub(crate) introduction: Option<Introduction>,
}

/// The events of connections that were sent to RaftActor, by kind.
pub(crate) struct PeerEvents {
    pub(crate) messages: KindInbox<PeerEvent, Envelope>,
    pub(crate) attached: KindInbox<PeerEvent, AttachedPeer>,
    /// The peer, and the number of its connection.
    pub(crate) detached: KindInbox<PeerEvent, (NodeId, u64)>,
    pub(crate) refused: KindInbox<PeerEvent, NodeId>,
    /// The peer, and the entry that it says has removed this node.
    pub(crate) removed: KindInbox<PeerEvent, (NodeId, LogIndex)>,
}

impl PeerEvents {
    pub(crate) fn of(inbox: &Inbox<PeerEvent>) -> PeerEvents {
        PeerEvents {
            messages: inbox.of_kind(|event| match event {
                PeerEvent::Message(envelope) => Some(envelope.clone()),
                _ => None,
            }),
            attached: inbox.of_kind(|event| match event {
                PeerEvent::Attached { peer, connection, port, end, introduction } => {
                    Some(AttachedPeer {
                        peer: *peer,
                        connection: *connection,
                        port: port.clone(),
                        end: end.clone(),
                        introduction: introduction.clone(),
                    })
                }
                _ => None,
            }),
            detached: inbox.of_kind(|event| match event {
                PeerEvent::Detached { peer, connection } => Some((*peer, *connection)),
                _ => None,
            }),
            refused: inbox.of_kind(|event| match event {
                PeerEvent::Refused { peer } => Some(*peer),
                _ => None,
            }),
            removed: inbox.of_kind(|event| match event {
                PeerEvent::Removed { peer, at } => Some((*peer, *at)),
                _ => None,
            }),
        }
    }
}
