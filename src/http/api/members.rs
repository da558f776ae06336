//! Changes of the members, and transfers of the leadership. A server that does not lead sends them
//! on to the leader over the leader's text port, as the command line does.

use serde_json::{Value, json};

use super::console::Api;
use super::error::ApiError;
use super::keys::other_answer;
use super::parameters::{self, NUMBER_MAX};
use crate::actors::messages::clients::ClientReply;
use crate::client::{Changed, Client, Error, Options, Transferred};
use crate::protocol::{ClientRequest, MembersReport, Plan, Refusal};
use crate::types::{
    Address, LogIndex, MemberOperation, MemberRequest, NodeId, Tolerance, TransferTarget,
};

/// `/members/transfer`.
pub(super) async fn transfer(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let id = member(api, body, "to").await?;
    let target = TransferTarget::To(id);
    match api.ask(ClientRequest::Transfer(target.clone())).await.map_err(ApiError::of_write)? {
        ClientReply::Refused(Refusal::NotLeader { leader: Some(leader) }) => {
            let mut client = connect(api, &leader).await?;
            Ok(match client.transfer(target).await {
                Ok(Transferred::To { id, term }) => json!({"leader": id, "term": term}),
                Ok(Transferred::Already) => json!({"already": true}),
                Err(error) => refused(error)?,
            })
        }
        ClientReply::Transferred { leader, term } => {
            Ok(json!({"leader": leader.0, "term": term.0}))
        }
        other => common(other),
    }
}

/// `/members/promote`.
pub(super) async fn promote(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let id = member(api, body, "id").await?;
    change(api, MemberOperation::Promote { id }, is_dry_run(body)?).await
}

/// `/members/remove`.
pub(super) async fn remove(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let id = member(api, body, "id").await?;
    change(api, MemberOperation::Remove { id }, is_dry_run(body)?).await
}

/// `/members/cancel`.
pub(super) async fn cancel(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let number = LogIndex(parameters::number(body, "change", 1..=NUMBER_MAX)?);
    let is_under_way = members(api).await?.change.is_some_and(|change| change.number == number);
    if !is_under_way {
        return Err(ApiError::not_found(format!("Change {number} is not under way.")));
    }
    change(api, MemberOperation::Cancel { number }, false).await
}

/// The members as this server knows them.
pub(super) async fn members(api: &Api) -> Result<MembersReport, ApiError> {
    match api.ask(ClientRequest::Members).await? {
        ClientReply::Members(report) => Ok(*report),
        ClientReply::Refused(refusal) => Err(refusal.into()),
        _ => Err(other_answer()),
    }
}

/// The member that a body names.
async fn member(api: &Api, body: &Value, name: &str) -> Result<NodeId, ApiError> {
    let id = NodeId(parameters::number(body, name, 1..=NUMBER_MAX)?);
    if members(api).await?.members.iter().any(|member| member.id == id) {
        return Ok(id);
    }
    Err(ApiError::not_found(format!("Server {id} is no member.")))
}

fn is_dry_run(body: &Value) -> Result<bool, ApiError> {
    match &body["dry_run"] {
        Value::Null => Ok(false),
        Value::Bool(is_dry_run) => Ok(*is_dry_run),
        _ => Err(ApiError::bad_request("dry_run has to be true or false.")),
    }
}

async fn change(
    api: &Api,
    operation: MemberOperation,
    is_dry_run: bool,
) -> Result<Value, ApiError> {
    let request = MemberRequest { operation, can_lose: None, is_dry_run };
    let reply = api.ask(ClientRequest::Member(request.clone())).await;
    match reply.map_err(ApiError::of_write)? {
        ClientReply::Refused(Refusal::NotLeader { leader: Some(leader) }) => {
            let mut client = connect(api, &leader).await?;
            Ok(match client.member(request).await {
                Ok(Changed::Begun { number, .. }) => json!({"change": number}),
                Ok(Changed::Already) => json!({"already": true}),
                Ok(Changed::Planned(Plan { before, after })) => plan(before, after),
                Err(error) => refused(error)?,
            })
        }
        ClientReply::Change { number, .. } => Ok(json!({"change": number.0})),
        ClientReply::Plan(planned) => Ok(plan(planned.before, planned.after)),
        other => common(other),
    }
}

/// The answers that all of these commands may get.
fn common(reply: ClientReply) -> Result<Value, ApiError> {
    match reply {
        ClientReply::Already => Ok(json!({"already": true})),
        ClientReply::RefusedBecause(sentence) => Ok(json!({"refused": sentence})),
        ClientReply::NotYet(sentence) => Err(ApiError::not_yet(sentence)),
        ClientReply::Refused(refusal) => Err(ApiError::from(refusal).of_write()),
        ClientReply::TimedOut => Err(ApiError::timeout().of_write()),
        _ => Err(other_answer().of_write()),
    }
}

fn plan(before: Tolerance, after: Tolerance) -> Value {
    let can_lose = |it: Tolerance| it.can_lose.map_or(json!(-1), |number| json!(number));
    json!({"plan": {
        "voters": [before.voters, after.voters], "needed": [before.needed, after.needed],
        "here": [before.here, after.here], "can_lose": [can_lose(before), can_lose(after)],
    }})
}

async fn connect(api: &Api, leader: &Address) -> Result<Client, ApiError> {
    let try_timeout = api.settings.request_timeout;
    let options = Options { deadline: try_timeout, try_timeout, ..Options::default() };
    let connected = Client::connect([leader.to_string()], options).await;
    connected.map_err(|_| ApiError::no_leader())
}

/// The answer to a command that the leader has refused.
fn refused(error: Error) -> Result<Value, ApiError> {
    match error {
        Error::NotSafe { sentence } => Ok(json!({"refused": sentence})),
        Error::NotYet { sentence } => Err(ApiError::not_yet(sentence)),
        Error::NotFound => Err(ApiError::not_found("The leader knows no such member or change.")),
        Error::Unavailable { .. } => Err(ApiError::no_leader()),
        _ => Err(ApiError::timeout().of_write()),
    }
}
