use std::cell::Cell;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use actix::{Addr, Handler, Message};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::actors::io::output::{COPIED_BYTES_MAX, UNCOPIED_BYTES_MIN};
use crate::net::Stream;
use crate::testing::peer_connection::run_paused;
use crate::testing::{settle, turn};

/// Reads, tells `Sink` of each read, and counts what the sink has not seen yet.
struct Reader {
    connection: Option<Connection>,
    sink: Addr<Sink>,
    waiting: Rc<Cell<usize>>,
    most_waiting: Rc<Cell<usize>>,
    ends: Rc<Cell<usize>>,
}

struct Sink {
    waiting: Rc<Cell<usize>>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Read;

#[derive(Message)]
#[rtype(result = "()")]
struct Drop;

/// Has the reader put a byte outside of a handler, after the pump had its turn.
#[derive(Message)]
#[rtype(result = "()")]
struct PutLater;

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<Read> for Sink {
    type Result = ();

    fn handle(&mut self, _: Read, _ctx: &mut Context<Self>) {
        self.waiting.set(self.waiting.get() - 1);
    }
}

impl Actor for Reader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        arm_read(self, ctx);
        arm_write(self, ctx);
    }
}

impl ConnectedActor for Reader {
    fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    fn on_read(&mut self, ctx: &mut Context<Self>) {
        if let Some(connection) = &mut self.connection {
            connection.input().clear();
        }
        self.waiting.set(self.waiting.get() + 1);
        self.most_waiting.set(self.most_waiting.get().max(self.waiting.get()));
        self.sink.do_send(Read);
        arm_read_after_others(self, ctx);
    }

    fn on_written(&mut self, _ctx: &mut Context<Self>) {}

    fn on_end(&mut self, _end: io::Result<()>, _ctx: &mut Context<Self>) {
        self.ends.set(self.ends.get() + 1);
    }
}

impl Handler<Drop> for Reader {
    type Result = ();

    fn handle(&mut self, _: Drop, _ctx: &mut Context<Self>) {
        self.connection = None;
    }
}

impl Handler<PutLater> for Reader {
    type Result = ();

    fn handle(&mut self, _: PutLater, ctx: &mut Context<Self>) {
        ctx.run_later(Duration::from_millis(1), |actor, ctx| {
            if let Some(connection) = &mut actor.connection {
                connection.output().put_slice(b"x");
            }
            arm_write(actor, ctx);
        });
    }
}

fn duplex(capacity: usize) -> (Connection, DuplexStream) {
    let (near, far) = tokio::io::duplex(capacity);
    let (reader, writer) = tokio::io::split(near);
    let stream = Stream { reader: Box::new(reader), writer: Box::new(writer) };
    (Connection::new(stream, 1), far)
}

fn reader(connection: Connection) -> Reader {
    let waiting = Rc::new(Cell::new(0));
    Reader {
        connection: Some(connection),
        sink: Sink { waiting: Rc::clone(&waiting) }.start(),
        waiting,
        most_waiting: Rc::default(),
        ends: Rc::default(),
    }
}

#[test]
fn output_keeps_the_order_in_which_it_was_put_and_counts_it() {
    run_paused(async {
        let (mut connection, mut far) = duplex(1 << 20);
        let large = Bytes::from(vec![b'l'; UNCOPIED_BYTES_MIN]);
        let output = connection.output();
        output.put_slice(b"a");
        output.put_with(|buffer| buffer.extend_from_slice(b"bc"));
        output.put_bytes(large.clone());
        output.put_bytes(Bytes::from_static(b"d"));
        output.put_with(|buffer| buffer.resize(buffer.len() + COPIED_BYTES_MAX, b'e'));
        output.put_slice(b"f");
        let expected = [b"abc", &large[..], b"d", &vec![b'e'; COPIED_BYTES_MAX][..], b"f"].concat();
        assert_eq!(connection.unsent_bytes(), expected.len());
        let actor = reader(connection).start();
        let mut received = vec![0; expected.len()];
        far.read_exact(&mut received).await.unwrap();
        assert_eq!(received, expected);
        drop(actor);
    });
}

#[test]
fn a_write_that_a_timer_arms_leaves_at_once() {
    run_paused(async {
        let (connection, mut far) = duplex(10);
        let actor = reader(connection).start();
        settle().await;
        actor.do_send(PutLater);
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        // Nothing else wakes the actor in the meantime.
        drop(actor);
    });
}

#[test]
fn output_is_refused_when_the_kernel_has_no_room_and_not_when_it_waits_for_its_turn() {
    run_paused(async {
        let (mut connection, mut far) = duplex(10);
        connection.output().put_slice(b"fifteen bytes..");
        let task = &mut task::Context::from_waker(Waker::noop());
        assert!(connection.poll_progress(&mut 0, task).is_pending());
        assert!(connection.poll_progress(&mut 5, task).is_pending());
        assert!(!connection.take_refusal(), "it took all that it was offered");
        assert!(connection.poll_progress(&mut 100, task).is_pending());
        assert!(connection.take_refusal());
        assert!(!connection.take_refusal(), "it was told");
        far.read_exact(&mut [0; 10]).await.unwrap();
        assert!(matches!(connection.poll_progress(&mut 100, task), Poll::Ready(Progress::Written)));
        assert!(!connection.take_refusal());
    });
}

#[test]
fn a_dropped_connection_gives_up_a_write_that_waits_and_closes() {
    run_paused(async {
        let (mut connection, mut far) = duplex(10);
        connection.output().put_bytes(Bytes::from(vec![0; 1 << 20]));
        let reader = reader(connection);
        let ends = Rc::clone(&reader.ends);
        let actor = reader.start();
        settle().await;
        actor.do_send(Drop);
        settle().await;
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 10);
        assert_eq!(ends.get(), 0, "its owner knows");
    });
}

#[test]
fn others_have_their_turn_between_two_reads_however_much_there_is_to_read() {
    run_paused(async {
        let (connection, mut far) = duplex(1 << 20);
        far.write_all(&vec![0; 1 << 20]).await.unwrap();
        let reader = reader(connection);
        let most_waiting = Rc::clone(&reader.most_waiting);
        let actor = reader.start();
        far.write_all(&vec![0; 1 << 20]).await.unwrap();
        settle().await;
        assert_eq!(most_waiting.get(), 1);
        drop(actor);
    });
}

#[test]
fn a_large_write_leaves_in_turns_with_others() {
    run_paused(async {
        let (mut connection, mut far) = duplex(1 << 20);
        connection.output().put_bytes(Bytes::from(vec![b'x'; 1 << 20]));
        let actor = reader(connection).start();
        let most = actix_rt::spawn(async move {
            let (mut received, mut most) = (0, 0);
            while received < 1 << 20 {
                turn().await;
                let mut moved = Vec::with_capacity(1 << 20);
                if let Some(read) = far.read_buf(&mut moved).now_or_never() {
                    received += read.unwrap();
                    most = most.max(moved.len());
                }
            }
            most
        });
        // The end of one turn and the beginning of the next.
        let most = most.await.unwrap();
        assert!((1..=2 * TURN_BYTES).contains(&most), "{most}");
        drop(actor);
    });
}
