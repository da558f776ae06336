//! Each command of a client has its way: some are answered by the session itself, others go into
//! the batch, and those between `begin` and `commit` are queued.

use bytes::Bytes;

use super::super::batch::ClientRequest;
use super::super::error_reply::ErrorReply;
use super::super::parser::Parsed;
use super::super::queue::TransactionQueue;
use super::super::reply::Reply;
use super::super::request::{Mode, Request, SnapshotQuery};
use super::{InputState, Session, Watching};
use crate::kv::{self, Operation, Query};

impl Session {
    /// Takes what the parser has found. `is_short`: there is no memory for it. `input_bytes`: the
    /// bytes that came behind it.
    pub(super) fn take(&mut self, parsed: Parsed, is_short: bool, input_bytes: usize) {
        match parsed {
            Parsed::Request(request) if is_short && needs_memory(&request) => {
                self.refuse_as_busy(&request);
            }
            Parsed::Request(request) => self.take_request(request, input_bytes),
            // In a transaction its reply is that it has no place there, if there is one at all.
            Parsed::Dropped if self.transaction.is_some() => self.refuse(ErrorReply::Busy),
            Parsed::Dropped => {}
            Parsed::Refused(error) => self.refuse(error),
            Parsed::Fatal(error) => self.end_with(error),
            Parsed::Foreign(protocol) => {
                let text = format!(
                    "this port speaks the text protocol of Coracle and not {protocol}; nothing of \
                     this was executed, and the connection is closed"
                );
                self.foreign = Some(protocol);
                self.end_with(ErrorReply::CmdErr(text.into()));
            }
        }
    }

    /// Answers a command with an error. A transaction in the making will not be executed then.
    fn refuse(&mut self, error: ErrorReply) {
        if let Some(transaction) = &mut self.transaction {
            transaction.spoil();
        }
        self.window.push_answered(Reply::Error(error));
    }

    fn refuse_as_busy(&mut self, request: &Request) {
        if let Request::Commit { .. } = request {
            self.transaction = None;
        }
        let wants_reply = !matches!(request, Request::Write { noreply: true, .. });
        if wants_reply || self.transaction.is_some() {
            self.refuse(ErrorReply::Busy);
        }
    }

    fn take_request(&mut self, request: Request, input_bytes: usize) {
        if self.transaction.is_some() {
            return self.take_in_transaction(request, input_bytes);
        }
        match request {
            Request::Write { operation, once, noreply } => {
                let command = self.encode(operation, once, input_bytes);
                let slot = self.window.open_write(command.len(), noreply);
                self.push_write(slot, command);
            }
            Request::Read(query) => {
                let slot = match &query {
                    Query::Get { .. } | Query::GetMeta { .. } => self.window.open_read(),
                    Query::Lease { id, .. } => self.window.open_lease(*id),
                    _ => self.window.open_scan(),
                };
                self.push_read(slot, query);
            }
            Request::Renew { id } => {
                let is_anywhere = self.mode != Mode::Leader;
                let request = ClientRequest::Renew { id, is_anywhere };
                self.batch.push(self.window.open_renewal(id), request);
            }
            Request::Begin => {
                self.transaction = Some(TransactionQueue::default());
                self.window.push_answered(Reply::Done);
            }
            Request::Check { .. } => {
                self.refuse(ErrorReply::CmdErr("check stands between begin and commit".into()));
            }
            Request::Commit { .. } | Request::Discard => {
                self.refuse(ErrorReply::CmdErr("there is no transaction; begin begins one".into()));
            }
            Request::Watch(watch) => {
                self.input_state = InputState::Watching(Watching::Waits(watch));
            }
            Request::SetMode(mode) => {
                self.mode = mode;
                self.window.push_answered(Reply::Done);
            }
            Request::Ping => self.window.push_answered(Reply::Pong),
            Request::Help => self.window.push_answered(Reply::Help),
            Request::Status => self.input_state = InputState::Barrier { is_sent: false },
            Request::Quit => self.input_state = InputState::Discarding,
            request => self.take_for_operators(request),
        }
    }

    /// Takes a command of operators: about snapshots, the format, members or the leadership.
    fn take_for_operators(&mut self, request: Request) {
        let (slot, request) = match request {
            Request::BeginSnapshot => (self.window.open_snapshot(0), ClientRequest::BeginSnapshot),
            Request::Snapshot(query) => {
                let piece_bytes = match query {
                    SnapshotQuery::Find { .. } => 0,
                    SnapshotQuery::Read { bytes_max, .. } => bytes_max,
                };
                (self.window.open_snapshot(piece_bytes), ClientRequest::Snapshot(query))
            }
            Request::SetHold { is_held } => {
                (self.window.open_line(), ClientRequest::SetHold { is_held })
            }
            Request::Raise => (self.window.open_line(), ClientRequest::Raise),
            Request::Digest { index } => (self.window.open_line(), ClientRequest::Digest { index }),
            Request::Member(request) => (self.window.open_line(), ClientRequest::Member(request)),
            Request::Members => (self.window.open_members(), ClientRequest::Members),
            Request::WaitForChange { number } => {
                (self.window.open_line(), ClientRequest::WaitForChange { number })
            }
            Request::Transfer(target) => (self.window.open_line(), ClientRequest::Transfer(target)),
            Request::SetDraining(is_draining) => {
                (self.window.open_line(), ClientRequest::SetDraining(is_draining))
            }
            request => unreachable!("every other command is taken elsewhere: {request:?}"),
        };
        self.batch.push(slot, request);
    }

    fn take_in_transaction(&mut self, request: Request, input_bytes: usize) {
        let Some(mut transaction) = self.transaction.take() else { return };
        match request {
            Request::Commit { once } => self.commit(transaction, once, input_bytes),
            Request::Discard => self.window.push_answered(Reply::Done),
            Request::Quit => self.input_state = InputState::Discarding,
            request => {
                let reply = match transaction.push(request, &self.settings.transaction) {
                    Ok(()) => Reply::Queued,
                    Err(error) => Reply::Error(error),
                };
                self.transaction = Some(transaction);
                self.window.push_answered(reply);
            }
        }
    }

    /// Sends a transaction. One that only reads is a read; with `once` it is a write all the same,
    /// because its number is to be remembered.
    fn commit(
        &mut self,
        transaction: TransactionQueue,
        once: Option<kv::Once>,
        input_bytes: usize,
    ) {
        let (transaction, commands) = match transaction.finish(&self.settings.transaction) {
            Ok(transaction) => transaction,
            Err(error) => return self.window.push_answered(Reply::Error(error)),
        };
        if once.is_none() && transaction.is_read_only() {
            let slot = self.window.open_transaction(0, commands);
            self.push_read(slot, Query::Transaction(transaction));
        } else {
            let command = self.encode(Operation::Transaction(transaction), once, input_bytes);
            let slot = self.window.open_transaction(command.len(), commands);
            self.push_write(slot, command);
        }
    }

    fn encode(
        &mut self,
        mut operation: Operation,
        once: Option<kv::Once>,
        input_bytes: usize,
    ) -> Bytes {
        if let Operation::Grant { leases_max, .. } = &mut operation {
            *leases_max = self.settings.leases_max;
        }
        let store_bytes_max = self.settings.store_bytes_max;
        let command = kv::Command { once, store_bytes_max, operation };
        self.batch.encode(&command, input_bytes)
    }

    fn push_write(&mut self, slot: u64, command: Bytes) {
        let request = match self.mode {
            Mode::Leader => ClientRequest::Write(command),
            Mode::Any | Mode::Stale => ClientRequest::WriteAnywhere(command),
        };
        self.batch.push(slot, request);
    }

    /// Sends a read. The past is the same on every server, so a read of it asks no other one.
    fn push_read(&mut self, slot: u64, query: Query) {
        let is_of_past = match &query {
            Query::Get { at, .. } | Query::GetMeta { at, .. } | Query::Scan { at, .. } => *at != 0,
            _ => false,
        };
        let request = match self.mode {
            _ if is_of_past => ClientRequest::ReadApplied(query),
            Mode::Leader => ClientRequest::Read(query),
            Mode::Any => ClientRequest::ReadAnywhere(query),
            Mode::Stale => ClientRequest::ReadApplied(query),
        };
        self.batch.push(slot, request);
    }
}

/// True for a command that is kept, or whose answer may be large.
fn needs_memory(request: &Request) -> bool {
    matches!(
        request,
        Request::Write { .. }
            | Request::Read(_)
            | Request::Check { .. }
            | Request::Commit { .. }
            | Request::Watch(_)
    )
}
