//! A session between a scripted client and a scripted store, without actors.

mod transactions;
mod watches;

use super::super::batch::UNUSED_BYTES_MAX;
use super::super::outcome;
use super::*;

/// A connection whose client reads a given number of bytes, and a memory of a given size.
struct FakeIo {
    input: BytesMut,
    output: Vec<u8>,
    /// Number of bytes at the front of the output that the client has taken.
    sent_bytes: usize,
    memory_bytes: u64,
    /// The session's part of the memory.
    used_bytes: u64,
}

impl SessionIo for FakeIo {
    type Output = Vec<u8>;

    fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn unsent_bytes(&self) -> usize {
        self.output.len() - self.sent_bytes
    }

    fn held_bytes(&self) -> usize {
        self.input.len() + self.unsent_bytes()
    }

    fn set_memory(&mut self, bytes: u64) {
        self.used_bytes = bytes;
    }

    fn free_memory(&self) -> u64 {
        self.memory_bytes.saturating_sub(self.used_bytes)
    }
}

/// A session with its connection.
struct Fixture {
    session: Session,
    io: FakeIo,
}

const KIB: usize = 1024;

const SETTINGS: SessionSettings = SessionSettings {
    limits: Limits { line_bytes_max: 1024, key_bytes_max: 250, value_bytes_max: 1024 * KIB },
    store_bytes_max: 77,
    leases_max: 50,
    transaction: kv::TransactionLimits { ops_max: 8, bytes_max: 1024 * 1024 },
    inflight_commands_max: 100,
    inflight_bytes_max: 4096 * KIB,
    outbound_bytes_max: 1024 * KIB,
};

impl Fixture {
    fn new(settings: SessionSettings) -> Fixture {
        let io = FakeIo {
            input: BytesMut::new(),
            output: Vec::new(),
            sent_bytes: 0,
            memory_bytes: 64 * 1024 * 1024,
            used_bytes: 0,
        };
        Fixture { session: Session::new(settings, 4 * KIB), io }
    }

    /// Input comes, and the session takes one step.
    fn read(&mut self, text: &str) -> Step {
        self.io.input.extend_from_slice(text.as_bytes());
        self.session.on_read();
        self.step()
    }

    fn step(&mut self) -> Step {
        self.session.step(&mut self.io)
    }

    fn wants_input(&mut self) -> bool {
        self.session.wants_input(&mut self.io)
    }

    fn close(&mut self) -> Closing {
        self.session.close(&self.io)
    }

    /// The commands that leave now.
    fn requests(&mut self) -> Vec<(u64, ClientRequest)> {
        self.session.take_batch().map(|(requests, _)| requests).unwrap_or_default()
    }

    /// The slots of the commands that leave now.
    fn slots(&mut self) -> Vec<u64> {
        self.requests().into_iter().map(|(slot, _)| slot).collect()
    }

    fn answer(&mut self, slot: u64, reply: Reply) {
        assert!(self.session.answer(slot, reply), "a command waits in slot {slot}");
        self.step();
    }

    /// The client takes all unsent output.
    fn heard(&mut self) -> String {
        let heard = self.io.output[self.io.sent_bytes..].to_vec();
        self.io.sent_bytes = self.io.output.len();
        String::from_utf8(heard).expect("the replies here are text")
    }
}

fn value(text: &'static str) -> Reply {
    Reply::Value(text.into())
}

#[test]
fn replies_are_printed_in_the_order_of_the_commands() {
    let mut f = Fixture::new(SETTINGS);
    assert_eq!(f.read("set k 0 1\r\nx\r\nping\r\nget k\r\ndelete k\r\n"), Step::Done);
    let slots = f.slots();
    assert_eq!(slots.len(), 3, "all commands of one step leave together");
    f.answer(slots[2], Reply::Deleted);
    f.answer(slots[1], value("x"));
    assert_eq!(f.heard(), "");
    f.answer(slots[0], Reply::Stored { version: 7 });
    assert_eq!(f.heard(), "OK 7\r\nPONG\r\nVALUE 1\r\nx\r\nDELETED\r\n");
    assert!(!f.session.answer(slots[0], Reply::Pong), "no command waits any more");
}

#[test]
fn a_write_carries_the_size_limit_of_the_store() {
    let mut f = Fixture::new(SETTINGS);
    f.read("delete k\r\n");
    let command = kv::Command {
        once: None,
        store_bytes_max: 77,
        operation: kv::Operation::Delete { key: "k".into() },
    };
    let encoded = command.encode();
    let (requests, bytes) = f.session.take_batch().unwrap();
    assert_eq!(bytes, encoded.len());
    assert_eq!(requests, [(0, ClientRequest::Write(encoded))]);
    assert!(f.session.take_batch().is_none());
}

#[test]
fn many_commands_are_taken_in_steps() {
    let mut f = Fixture::new(SETTINGS);
    assert_eq!(f.read(&"ping\r\n".repeat(2 * STEP_COMMANDS)), Step::Yield);
    assert_eq!(f.heard().len(), "PONG\r\n".len() * STEP_COMMANDS);
    assert!(!f.wants_input(), "there is input left");
    assert_eq!(f.step(), Step::Yield);
    assert_eq!(f.step(), Step::Done);
    assert_eq!(f.heard().len(), "PONG\r\n".len() * STEP_COMMANDS);
    assert!(f.wants_input());
}

#[test]
fn status_waits_for_the_commands_before_it_and_holds_up_those_after_it() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get a\r\nstatus\r\nget b\r\n");
    assert!(!f.wants_input());
    let first = f.slots();
    assert_eq!(first.len(), 1);
    f.answer(first[0], value("1"));
    let requests = f.requests();
    assert!(matches!(requests[..], [(_, ClientRequest::Status)]), "{requests:?}");
    assert_eq!(f.step(), Step::Done);
    assert!(f.slots().is_empty());
    f.answer(requests[0].0, Reply::Status(Default::default()));
    let last = f.slots();
    assert_eq!(last.len(), 1);
    assert!(f.wants_input());
    f.answer(last[0], value("2"));
    assert_eq!(f.heard(), "VALUE 1\r\n1\r\nEND\r\nVALUE 1\r\n2\r\n");
}

#[test]
fn a_full_window_stops_the_input_until_a_reply_comes() {
    let mut f = Fixture::new(SessionSettings { inflight_commands_max: 2, ..SETTINGS });
    f.read("get a\r\nget b\r\nget c\r\n");
    let slots = f.slots();
    assert_eq!(slots.len(), 2);
    assert!(!f.wants_input());
    // The first reply waits for no other, and makes room for one command.
    f.answer(slots[0], value("1"));
    assert_eq!(f.slots().len(), 1);
}

#[test]
fn large_expected_replies_fill_the_window_too() {
    let bytes_max = 2 * SETTINGS.limits.value_bytes_max;
    let mut f = Fixture::new(SessionSettings { inflight_bytes_max: bytes_max, ..SETTINGS });
    f.read("get a\r\nget b\r\nget c\r\n");
    assert_eq!(f.slots().len(), 2, "each value may be as long as a value can be");
}

#[test]
fn unsent_output_stops_the_input_until_the_client_takes_it() {
    let mut f = Fixture::new(SessionSettings { outbound_bytes_max: 10, ..SETTINGS });
    f.read(&"ping\r\n".repeat(5));
    assert!(!f.wants_input());
    assert_eq!(f.heard(), "PONG\r\nPONG\r\n");
    f.step();
    assert_eq!(f.heard(), "PONG\r\nPONG\r\n");
}

#[test]
fn a_write_that_has_timed_out_is_answered_and_keeps_its_place_until_it_is_settled() {
    let mut f = Fixture::new(SessionSettings { inflight_commands_max: 1, ..SETTINGS });
    f.read("delete k\r\nget k\r\n");
    let requests = f.requests();
    let ClientRequest::Write(command) = &requests[0].1 else { panic!("delete is a write") };
    assert!(f.session.time_out(requests[0].0, outcome::timed_out()));
    f.step();
    assert_eq!(f.heard(), "ERR_TIMEOUT\r\n");
    assert!(f.slots().is_empty() && !f.wants_input() && f.session.holds_commands());
    assert!(f.session.settle(command.len()));
    assert!(!f.session.settle(command.len()), "settled twice");
    f.step();
    assert_eq!(f.slots().len(), 1);
}

#[test]
fn a_session_that_holds_nothing_is_busy_when_there_is_no_memory() {
    let mut f = Fixture::new(SETTINGS);
    f.io.memory_bytes = 0;
    f.read("set k 0 1\r\n1\r\nset k 0 1 noreply\r\n1\r\nget k\r\nping\r\n");
    assert_eq!(f.heard(), "ERR_BUSY\r\n");
    // Each further command waits until the reply before it is sent.
    f.step();
    assert_eq!(f.heard(), "ERR_BUSY\r\n");
    f.step();
    assert_eq!(f.heard(), "PONG\r\n");
    assert!(f.slots().is_empty());
    f.io.memory_bytes = 64 * 1024;
    f.read("get k\r\n");
    assert_eq!(f.slots().len(), 1);
}

#[test]
fn a_session_that_waits_for_an_answer_is_slowed_when_there_is_no_memory() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get a\r\n");
    let slots = f.slots();
    f.io.memory_bytes = 0;
    f.read("get b\r\n");
    assert!(f.slots().is_empty() && !f.wants_input());
    assert_eq!(f.heard(), "");
    f.io.memory_bytes = 64 * 1024 * 1024;
    f.answer(slots[0], value("1"));
    assert_eq!(f.slots().len(), 1);
}

#[test]
fn a_value_that_has_come_in_part_is_given_up_when_there_is_no_memory() {
    for (noreply, expected) in [("", "ERR_BUSY\r\nPONG\r\n"), (" noreply", "PONG\r\n")] {
        let mut f = Fixture::new(SETTINGS);
        f.read(&format!("set k 0 100000{noreply}\r\n{}", "v".repeat(50_000)));
        assert!(f.wants_input());
        f.io.memory_bytes = 0;
        assert!(f.wants_input(), "the rest is read and thrown away");
        assert!(f.io.input.is_empty());
        f.io.memory_bytes = 64 * 1024 * 1024;
        f.read(&format!("{}\r\nping\r\n", "v".repeat(50_000)));
        assert_eq!(f.heard(), expected);
    }
}

#[test]
fn the_memory_of_a_session_is_that_of_its_commands_replies_and_bytes() {
    let mut f = Fixture::new(SETTINGS);
    f.session.update_memory(&mut f.io);
    assert_eq!(f.io.used_bytes, 0);
    f.read(&format!("set k 0 1000\r\n{}\r\nset l 0 9", "v".repeat(1000)));
    f.session.update_memory(&mut f.io);
    let with_batch = f.io.used_bytes;
    assert!(with_batch > 1000, "{with_batch}");
    let slots = f.slots();
    f.session.update_memory(&mut f.io);
    assert!(f.io.used_bytes + 1000 <= with_batch, "RaftActor counts the write from now on");
    f.answer(slots[0], Reply::Stored { version: 1 });
    f.session.update_memory(&mut f.io);
    let held = "set l 0 9".len() + "OK 1\r\n".len();
    assert_eq!(f.io.used_bytes as usize, held, "a line that is not all there, and a reply");
}

#[test]
fn a_client_that_ends_its_input_gets_all_replies_before_the_connection_is_closed() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get a\r\nget b");
    f.session.on_input_end();
    f.step();
    let slots = f.slots();
    assert_eq!((slots.len(), f.close()), (1, Closing::No));
    assert!(!f.wants_input());
    f.answer(slots[0], value("1"));
    assert_eq!(f.close(), Closing::No, "the reply is unsent");
    assert_eq!(f.heard(), "VALUE 1\r\n1\r\n");
    assert_eq!(f.close(), Closing::Stop);
}

#[test]
fn after_quit_the_input_is_thrown_away_until_the_client_hangs_up() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get a\r\nquit\r\nget b\r\n");
    let slots = f.slots();
    assert_eq!(slots.len(), 1);
    assert!(f.wants_input() && f.io.input.is_empty());
    assert_eq!(f.close(), Closing::No);
    f.answer(slots[0], value("1"));
    assert_eq!(f.heard(), "VALUE 1\r\n1\r\n");
    assert_eq!(f.close(), Closing::Linger);
    assert_eq!(f.close(), Closing::No, "the output has ended");
    f.read("get c\r\n");
    assert!(f.slots().is_empty() && f.io.input.is_empty());
    f.session.end();
    f.session.on_input_end();
    assert_eq!(f.close(), Closing::Stop);
}

#[test]
fn a_fatal_error_is_the_last_reply() {
    let mut f = Fixture::new(SETTINGS);
    f.read(&format!("ping\r\n{}\r\nping\r\n", "x".repeat(2000)));
    let heard = f.heard();
    assert!(heard.starts_with("PONG\r\nERR_TOO_LARGE "), "{heard}");
    assert_eq!(heard.matches("\r\n").count(), 2);
    assert_eq!(f.close(), Closing::Linger);
}

#[test]
fn nothing_is_executed_of_another_protocol_and_one_error_is_the_last_reply() {
    let write = "set pwned 0 5\r\nhello\r\n";
    for foreign in [
        "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        "post / http/1.1\r\n\r\n",
        "Host: x\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "\x16\x03\x01\n",
        "*3\r\n",
    ] {
        let mut f = Fixture::new(SETTINGS);
        f.read(&format!("{foreign}{write}ping\r\n"));
        assert!(f.requests().is_empty(), "{foreign:?}");
        let heard = f.heard();
        assert!(heard.starts_with("ERR_CMD_ERR this port speaks "), "{heard}");
        assert_eq!(heard.matches("\r\n").count(), 1, "{foreign:?} {heard}");
        assert_eq!(f.close(), Closing::Linger);
        assert!(f.session.take_foreign().is_some());
        f.read(write);
        assert!(f.requests().is_empty() && f.session.take_foreign().is_none());
    }
}

#[test]
fn a_line_of_http_after_commands_ends_the_session_behind_their_replies() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get k\r\nset k 0 17\r\n\r\nPOST / HTTP/1.1\r\nbogus\r\nPOST / HTTP/1.1\r\nget k\r\n");
    let slots = f.slots();
    assert_eq!(slots.len(), 2, "a data block may hold anything");
    f.answer(slots[1], Reply::Stored { version: 7 });
    f.answer(slots[0], value("1"));
    let heard = f.heard();
    assert!(heard.starts_with("VALUE 1\r\n1\r\nOK 7\r\nERR_CMD_ERR unknown"), "{heard}");
    assert!(heard.ends_with(" the connection is closed\r\n"), "{heard}");
    assert_eq!(f.session.take_foreign(), Some(ForeignProtocol::Http));
}

#[test]
fn a_session_without_answers_tells_every_waiting_command_and_ends() {
    let mut f = Fixture::new(SETTINGS);
    f.read("get a\r\nset k 0 1 noreply\r\n1\r\nping\r\n");
    f.session.end_without_answers(&mut f.io);
    assert_eq!(f.heard(), "ERR_INTERNAL the server is stopping\r\nPONG\r\n");
    assert_eq!(f.close(), Closing::Linger);
}

/// A write that is followed by much else does not keep room for it.
#[test]
fn a_batch_keeps_no_more_room_than_its_commands_need() {
    for reads in [0, 12] {
        let mut f = Fixture::new(SETTINGS);
        let reads = format!("get {}\r\n", "k".repeat(200)).repeat(reads);
        f.read(&format!("set a 0 2\r\nab\r\nset b 0 2\r\nab\r\n{reads}"));
        let writes: Vec<_> = f
            .requests()
            .into_iter()
            .filter_map(|(_, request)| match request {
                ClientRequest::Write(command) => Some(command),
                _ => None,
            })
            .collect();
        assert_eq!(writes.len(), 2);
        for command in writes {
            let bytes = command.len();
            // A write that shares its allocation cannot be taken out of it.
            if let Ok(own) = command.try_into_mut() {
                let capacity = own.capacity();
                assert!(capacity <= bytes + UNUSED_BYTES_MAX, "{capacity} for {bytes}");
            } else {
                assert!(reads.is_empty(), "each write has an allocation of its own");
            }
        }
    }
}
