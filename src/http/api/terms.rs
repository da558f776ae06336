//! The terms that this server has seen, and why each began.

use serde_json::{Value, json};

use super::board::lock;
use super::console::Api;
use crate::metrics::{TERMS_MAX, TermCause, TermRecord};

/// Notes why a term began, as another server says it.
pub(super) fn note_cause(api: &Api, began: &Value) {
    let Some(term) = began["term"].as_u64() else { return };
    let mut causes = lock(&api.board.causes);
    causes.insert(term, (began["cause"].clone(), began["cause_text"].clone()));
    if causes.len() > TERMS_MAX {
        causes.pop_first();
    }
}

/// The terms, the newest first. Only the server that began a term knows why, so what it says
/// takes the place of an unknown cause.
pub(super) fn all(api: &Api) -> Vec<Value> {
    let causes = lock(&api.board.causes);
    let terms = api.services.metrics.raft.terms().newest_first();
    let of = |term: &TermRecord| {
        let mut answer = of_term(term);
        if term.cause == TermCause::Unknown
            && let Some((cause, text)) = causes.get(&term.term.0)
        {
            answer["cause"] = cause.clone();
            answer["cause_text"] = text.clone();
        }
        answer
    };
    terms.iter().map(of).collect()
}

/// The newest term of whose beginning this server knows the cause by itself.
pub(super) fn began(api: &Api) -> Value {
    let terms = api.services.metrics.raft.terms().newest_first();
    let is_known =
        |term: &&TermRecord| !matches!(term.cause, TermCause::Unknown | TermCause::Start);
    terms.iter().find(is_known).map_or(Value::Null, of_term)
}

fn of_term(term: &TermRecord) -> Value {
    json!({
        "term": term.term.0, "leader": term.leader.map(|id| id.0),
        "began_at_ms": term.began_at_ms, "elected_at_ms": term.elected_at_ms,
        "ended_at_ms": term.ended_at_ms, "cause": term.cause.name(),
        "cause_text": term.cause_text,
    })
}
