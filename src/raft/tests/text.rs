//! The notation of the scripts: `index@term` for a position in a log, `n1@7` for a node in
//! its term.

use super::node::Node;
use crate::raft::{
    AppendResult, ChangeRefusal, Envelope, ForwardOutcome, MemberOutcome, PersistSeq,
    ProgressState, ReadIndexResponse, Remembered, Role, Rpc,
};
use crate::types::{Change, Entry, HardState, LogIndex, LogPosition, NodeId, Payload, Term};

/// A message: `n1@1 -> n2 AppendEntries prev=1@1 [2@1] commit=1`. A pre-vote is about a term
/// that no node has yet: its label has no term.
pub(super) fn envelope(envelope: &Envelope) -> String {
    let Envelope { from, to, term, rpc } = envelope;
    let verdict = |granted: bool| if granted { "granted" } else { "refused" };
    let line = match rpc {
        Rpc::PreVote(request) => {
            return format!("n{from} -> n{to} PreVote term={term} last={}", request.last);
        }
        Rpc::PreVoteResponse(response) if response.vote_granted => {
            return format!("n{from} -> n{to} PreVoteResponse term={term} granted");
        }
        Rpc::PreVoteResponse(_) => "PreVoteResponse refused".to_string(),
        Rpc::TimeoutNow(order) => format!("TimeoutNow last={}", order.last),
        Rpc::TransferVote(request) => format!("TransferVote last={}", request.last),
        Rpc::TransferRefused => "TransferRefused".to_string(),
        Rpc::Admitted(word) => format!("Admitted membership={}", word.membership),
        Rpc::ReadIndex(request) => format!("ReadIndex number={}", request.number),
        Rpc::ReadIndexResponse(ReadIndexResponse { number, index, .. }) => match index {
            Some(index) => format!("ReadIndexResponse number={number} index={index}"),
            None => format!("ReadIndexResponse number={number} does not lead"),
        },
        Rpc::Forward(forward) => {
            let command = String::from_utf8_lossy(&forward.command);
            format!("Forward number={} {command}", forward.number)
        }
        Rpc::Forwarded(word) => format!("Forwarded number={} {}", word.number, end(word.outcome)),
        Rpc::RejoinRequest => "RejoinRequest".to_string(),
        Rpc::RejoinResponse(response) => format!("RejoinResponse last={}", response.last),
        Rpc::Forgotten(word) => format!("Forgotten acknowledged={}", word.acknowledged),
        Rpc::StateCheck(check) => {
            format!("StateCheck index={} digest={:x}", check.index, check.digest)
        }
        Rpc::StateCheckResponse(response) => {
            format!("StateCheckResponse index={} digest={:x}", response.index, response.digest)
        }
        Rpc::StateDiverged(word) => {
            format!("StateDiverged index={} digest={:x}", word.index, word.digest)
        }
        Rpc::Remembered(word) => {
            let Remembered { leader_term, acknowledged, .. } = word;
            format!("Remembered leader_term={leader_term} acknowledged={acknowledged}")
        }
        Rpc::InstallSnapshot(piece) => format!(
            "InstallSnapshot last={} offset={} bytes={} of={}",
            piece.snapshot.last,
            piece.offset,
            piece.bytes.len(),
            piece.snapshot.bytes
        ),
        Rpc::InstallSnapshotResponse(response) if response.is_installed => {
            format!("InstallSnapshotResponse last={} installed", response.last)
        }
        Rpc::InstallSnapshotResponse(response) => {
            format!("InstallSnapshotResponse last={} received={}", response.last, response.received)
        }
        Rpc::RequestVote(request) => format!("RequestVote last={}", request.last),
        Rpc::RequestVoteResponse(response) => {
            format!("RequestVoteResponse {}", verdict(response.vote_granted))
        }
        Rpc::AppendEntries(request) => format!(
            "AppendEntries prev={} {} commit={}{}",
            request.prev,
            positions(&request.entries),
            request.leader_commit,
            round(request.read_seq),
        ),
        Rpc::AppendEntriesResponse(response) => {
            let (result, round) = (append_result(response.result), round(response.read_seq));
            let rejoining = if response.is_rejoining { " rejoining" } else { "" };
            format!("AppendEntriesResponse {result}{round}{rejoining}")
        }
    };
    format!("n{from}@{term} -> n{to} {line}")
}

/// The outcome of a forwarded command.
pub(super) fn end(outcome: ForwardOutcome) -> String {
    match outcome {
        ForwardOutcome::Appended(index) => format!("index={index}"),
        ForwardOutcome::NotLeader => "does not lead".to_string(),
        ForwardOutcome::Busy => "busy".to_string(),
        ForwardOutcome::NotYet => "not yet".to_string(),
    }
}

fn append_result(result: AppendResult) -> String {
    match result {
        AppendResult::Success { match_index } => format!("match={match_index}"),
        AppendResult::Conflict { conflict_index, conflict_term: None } => {
            format!("conflict={conflict_index}")
        }
        AppendResult::Conflict { conflict_index, conflict_term: Some(term) } => {
            format!("conflict={conflict_index}@{term}")
        }
    }
}

fn round(read_seq: u64) -> String {
    if read_seq == 0 { String::new() } else { format!(" read_seq={read_seq}") }
}

/// The positions of entries: `[2@1 3@1]`, or `[2@1 .. 9@1]`.
fn positions(entries: &[Entry]) -> String {
    match entries {
        [first, _, .., last] if entries.len() > 3 => {
            format!("[{} .. {}]", first.position(), last.position())
        }
        _ => {
            let all: Vec<String> = entries.iter().map(|e| e.position().to_string()).collect();
            format!("[{}]", all.join(" "))
        }
    }
}

/// Entries with their content: `3@1=a 4@1=noop`.
pub(super) fn entries(entries: &[Entry]) -> String {
    let entry = |entry: &Entry| {
        let payload = match &entry.payload {
            Payload::Noop => "noop".to_string(),
            Payload::Command(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Payload::Membership(_) => "members".to_string(),
            Payload::Format(format) => format!("format:{}", format.format),
            Payload::ClusterId(_) => "cluster_id".to_string(),
        };
        format!("{}={payload}", entry.position())
    };
    entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}

/// The newest membership of a node:
/// `n1 voters=2,3,4 outgoing=1,2,3 learners=5 change=9 (replace 1 by 4) since=10@1 not committed`.
pub(super) fn members(node: &Node) -> String {
    let Some(raft) = &node.raft else { return format!("n{} down", node.id) };
    let status = raft.members_status();
    let membership = &status.membership;
    let ids = |name: &str, ids: Vec<NodeId>| {
        let listed: Vec<String> = ids.iter().map(NodeId::to_string).collect();
        if listed.is_empty() { String::new() } else { format!(" {name}={}", listed.join(",")) }
    };
    let learners = membership.ids().into_iter().filter(|id| membership.is_learner(*id));
    let mut line = format!("n{}", node.id);
    line += &ids("voters", membership.voters.iter().copied().collect());
    line += &ids("outgoing", membership.outgoing.iter().copied().collect());
    line += &ids("learners", learners.collect());
    if let Some(Change { number, what }) = &membership.change {
        line += &format!(" change={number} ({what})");
    }
    let since = raft.term_at(status.index).unwrap_or(Term(0));
    line += &format!(" since={}@{since}", status.index);
    line + if status.is_committed { "" } else { " not committed" }
}

/// The answer to an operator: `n1 begins change 9 (add 4 as a voter)`.
pub(super) fn change(id: NodeId, answer: &Result<MemberOutcome, ChangeRefusal>) -> String {
    match answer {
        Ok(MemberOutcome::Begun { number, index, what }) if number == index => {
            format!("n{id} begins change {number} ({what})")
        }
        Ok(MemberOutcome::Begun { number, index, what }) => {
            format!("n{id} change {number} ({what}), by entry {index}")
        }
        Ok(outcome) => format!("n{id} {outcome:?}"),
        Err(refusal) => format!("n{id} refuses: {refusal}"),
    }
}

/// A write to the disk: `n2 writes 3: term=2 voted_for=1 [4@2]`.
pub(super) fn write(
    id: NodeId,
    seq: PersistSeq,
    hard_state: Option<HardState>,
    entries: &[Entry],
) -> String {
    let hard_state = hard_state.map_or(String::new(), |state| {
        let voted_for = state.voted_for.map_or("none".to_string(), |id| id.to_string());
        format!(" term={} voted_for={voted_for}", state.current_term)
    });
    let entries =
        if entries.is_empty() { String::new() } else { format!(" {}", positions(entries)) };
    format!("n{id} writes {seq}:{hard_state}{entries}")
}

/// The status of a node:
/// `n1@7 leader last=42@7 commit=40@7 applied=40 progress={2:42->43}`.
pub(super) fn status(node: &Node) -> String {
    let Some(raft) = &node.raft else {
        let end = node.disk.log().end();
        return format!(
            "n{}@{} down last={end}",
            node.id,
            node.disk.durable().hard_state.current_term
        );
    };
    let at = |index: LogIndex| LogPosition { index, term: raft.term_at(index).unwrap_or(Term(0)) };
    let mut line = format!(
        "n{}@{} {} last={} commit={} applied={}",
        node.id,
        raft.term(),
        raft.role(),
        raft.last_log(),
        at(raft.commit_index()),
        node.applied.len(),
    );
    if raft.snapshot_index() > LogIndex(0) {
        line += &format!(" base={} snapshot={}", raft.log_base(), raft.snapshot_index());
    }
    if raft.persisted_index() < raft.last_log().index {
        line += &format!(" persisted={}", at(raft.persisted_index()));
    }
    if raft.role() == Role::Leader {
        let peers: Vec<String> = node
            .progress
            .iter()
            .map(|(peer, p)| {
                let is_sent = if p.state() == ProgressState::Snapshot { "(snapshot)" } else { "" };
                format!("{peer}:{}->{}{is_sent}", p.match_index(), p.next_index())
            })
            .collect();
        line += &format!(" progress={{{}}}", peers.join(" "));
    } else if let Some(leader_id) = raft.leader_id() {
        line += &format!(" leader={leader_id}");
    }
    line
}
