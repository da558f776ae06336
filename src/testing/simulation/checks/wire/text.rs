//! Frames as short lines, for a trace that people read.

use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, Envelope, Forward, Remembered, Rpc,
    StateCheckResponse,
};
use crate::wire::Frame;

/// A frame as one line: `n1 -> n3 AppendEntries term=4 prev=7@3 entries=8..9 commit=6 read=2`.
pub(super) fn line(frame: &Frame) -> String {
    match frame {
        Frame::Hello(hello) => {
            let facts = hello.introduction.as_ref().map_or_else(
                || " short".to_owned(),
                |facts| {
                    let id = facts.cluster_id.map(|id| format!(" cluster={id}"));
                    let held = if facts.is_held { " held" } else { "" };
                    format!(" formats={}{held}{}", facts.formats, id.unwrap_or_default())
                },
            );
            format!("n{} -> n{} Hello{facts}", hello.from, hello.to)
        }
        Frame::Refused { reason } => format!("Refused: {reason}"),
        Frame::Removed { at } => format!("Removed at={at}"),
        Frame::Probe => "Probe".to_owned(),
        Frame::ProbeAnswer => "ProbeAnswer".to_owned(),
        Frame::Join(request) => format!("n{} Join", request.id),
        Frame::Joined(answer) => format!("Joined members={:?}", answer.membership.ids()),
        Frame::Rpc(Envelope { from, to, term, rpc }) => {
            let (kind, rest) = describe(rpc);
            format!("n{from} -> n{to} {kind} term={term}{rest}")
        }
    }
}

fn describe(rpc: &Rpc) -> (&'static str, String) {
    match rpc {
        Rpc::AppendEntries(request) => ("AppendEntries", describe_request(request)),
        Rpc::AppendEntriesResponse(response) => {
            ("AppendEntriesResponse", describe_response(response))
        }
        Rpc::RequestVote(request) => ("RequestVote", format!(" last={}", request.last)),
        Rpc::RequestVoteResponse(response) => {
            ("RequestVoteResponse", format!(" granted={}", response.vote_granted))
        }
        Rpc::PreVote(request) => ("PreVote", format!(" last={}", request.last)),
        Rpc::PreVoteResponse(response) => {
            ("PreVoteResponse", format!(" granted={}", response.vote_granted))
        }
        Rpc::RejoinRequest => ("RejoinRequest", String::new()),
        Rpc::RejoinResponse(response) => ("RejoinResponse", format!(" last={}", response.last)),
        Rpc::Forgotten(word) => ("Forgotten", format!(" acknowledged={}", word.acknowledged)),
        Rpc::StateCheck(check) => {
            ("StateCheck", format!(" index={} digest={:016x}", check.index, check.digest))
        }
        Rpc::StateCheckResponse(response) => {
            let StateCheckResponse { index, digest } = response;
            ("StateCheckResponse", format!(" index={index} digest={digest:016x}"))
        }
        Rpc::StateDiverged(word) => {
            ("StateDiverged", format!(" index={} digest={:016x}", word.index, word.digest))
        }
        Rpc::Remembered(word) => {
            let Remembered { leader_term, acknowledged, .. } = word;
            ("Remembered", format!(" leader_term={leader_term} acknowledged={acknowledged}"))
        }
        Rpc::TimeoutNow(order) => ("TimeoutNow", format!(" last={}", order.last)),
        Rpc::TransferVote(request) => ("TransferVote", format!(" last={}", request.last)),
        Rpc::TransferRefused => ("TransferRefused", String::new()),
        Rpc::Admitted(word) => ("Admitted", format!(" membership={}", word.membership)),
        Rpc::ReadIndex(request) => ("ReadIndex", format!(" number={}", request.number)),
        Rpc::ReadIndexResponse(response) => {
            let index = response.index.map_or_else(|| "none".to_owned(), |index| index.to_string());
            ("ReadIndexResponse", format!(" number={} index={index}", response.number))
        }
        Rpc::Forward(Forward { number, command, .. }) => {
            ("Forward", format!(" number={number} bytes={}", command.len()))
        }
        Rpc::Forwarded(word) => {
            ("Forwarded", format!(" number={} outcome={:?}", word.number, word.outcome))
        }
        Rpc::InstallSnapshot(chunk) => {
            ("InstallSnapshot", format!(" last={} offset={}", chunk.snapshot.last, chunk.offset))
        }
        Rpc::InstallSnapshotResponse(response) => (
            "InstallSnapshotResponse",
            match response.refusal {
                None => format!(" last={} received={}", response.last, response.received),
                Some(refusal) => format!(" last={} refused={refusal}", response.last),
            },
        ),
    }
}

fn describe_request(request: &AppendEntries) -> String {
    let AppendEntries { request_seq, prev, leader_commit, read_seq, entries } = request;
    let entries = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => format!(" entries={}..{}", first.index, last.index),
        _ => String::new(),
    };
    format!(" seq={request_seq} prev={prev}{entries} commit={leader_commit} read={read_seq}")
}

fn describe_response(response: &AppendEntriesResponse) -> String {
    let AppendEntriesResponse { request_seq, read_seq, is_rejoining, result } = response;
    let result = match result {
        AppendResult::Success { match_index } => format!("match={match_index}"),
        AppendResult::Conflict { conflict_index, conflict_term } => {
            let term = conflict_term.map_or_else(|| "none".to_owned(), |term| term.to_string());
            format!("conflict={conflict_index}@{term}")
        }
    };
    let rejoining = if *is_rejoining { " rejoining" } else { "" };
    format!(" seq={request_seq} {result} read={read_seq}{rejoining}")
}
