//! A change of the members that is asked for: planned, refused, there already, or begun.

use coracle::client::{Changed, Error};
use coracle::protocol::{MemberOperation, MemberRequest, MemberState, MembersReport, Tolerance};
use coracle::types::{Address, ChangeKind, LogIndex, NodeId};

use super::super::failure::Failure;
use super::super::json::Object;
use super::super::output::print;
use super::super::text::plural;
use super::progress::{Followed, follow, kind_of};
use super::session::Session;

/// Has the leader begin a change, and waits for its end if that is wanted.
///
/// # Errors
/// When it is refused or taken back, no leader answers, or it is not waited for any longer.
pub async fn run(
    request: MemberRequest,
    session: &mut Session,
    no_wait: bool,
) -> Result<(), Failure> {
    let operation = &request.operation;
    match session.change(&request).await {
        Ok(Changed::Already) => {
            let text = format!("already so: {}.\n", already_clause(operation, session).await);
            say(session, Object::new().text("outcome", "already"), &text)
        }
        Ok(Changed::Planned(plan)) => {
            let json = |tolerance: &Tolerance| {
                let can_lose = tolerance.can_lose.map_or("-1".into(), |number| number.to_string());
                Object::new()
                    .raw("voters", tolerance.voters)
                    .raw("needed", tolerance.needed)
                    .raw("here", tolerance.here)
                    .raw("can_lose", can_lose)
            };
            let text = format!(
                "now:         {}\nafterwards:  {}\nNothing was changed.\n",
                tolerance_clause(&plan.before),
                tolerance_clause(&plan.after)
            );
            let object = Object::new().text("outcome", "plan");
            let object = object.raw("before", json(&plan.before)).raw("after", json(&plan.after));
            say(session, object, &text)
        }
        Ok(Changed::Begun { number, .. })
            if matches!(operation, MemberOperation::Cancel { .. }) =>
        {
            let object = Object::new().text("outcome", "done").raw("change", number);
            say(session, object, &format!("change {number} is taken back.\n"))
        }
        Ok(Changed::Begun { number, id }) => {
            let what = Some(kind(operation, NodeId(id)));
            let followed = Followed { number: LogIndex(number), what, is_new: true };
            begun(followed, session, no_wait).await
        }
        Err(Error::Unknown { last }) => match under_way(operation, session).await {
            Some(followed) => begun(followed, session, no_wait).await,
            None => Err(unknown(&last)),
        },
        Err(error) => Err(error.into()),
    }
}

/// The change under way, if it is what was asked for: its entry waits for a quorum, so nobody has
/// been told its number yet.
async fn under_way(operation: &MemberOperation, session: &mut Session) -> Option<Followed> {
    let report = session.any().await.ok()?;
    let change = report.change.as_ref()?;
    let what = kind_of(&change.what)?;
    let (number, is_new) = (change.number, true);
    does(what, operation, &report).then_some(Followed { number, what: Some(what), is_new })
}

/// True when the change does what the operation asks for.
fn does(what: ChangeKind, operation: &MemberOperation, report: &MembersReport) -> bool {
    use MemberOperation as Operation;
    let is_at = |id: NodeId, wanted: &Option<NodeId>, address: &Address| {
        let member = report.members.iter().find(|member| member.id == id);
        wanted.is_none_or(|wanted| wanted == id)
            && member.is_some_and(|member| member.log_address.as_ref() == Some(address))
    };
    match (what, operation) {
        (ChangeKind::Add { id: new }, Operation::Add { id, member, is_learner: false }) => {
            is_at(new, id, &member.peer)
        }
        (ChangeKind::Replace { old, new }, Operation::Replace { old: leaver, id, member }) => {
            old == *leaver && is_at(new, id, &member.peer)
        }
        (ChangeKind::Remove { id }, Operation::Remove { id: wanted })
        | (ChangeKind::Promote { id }, Operation::Promote { id: wanted })
        | (ChangeKind::Demote { id }, Operation::Demote { id: wanted }) => id == *wanted,
        _ => false,
    }
}

/// The failure of a change whose answer was lost.
fn unknown(last: &str) -> Failure {
    Failure::Unavailable(format!(
        "no answer, and no change is known to have begun (last: {last}): `coracle member list` \
         shows it if there is one; the same command again does no harm"
    ))
}

/// Says that a change has begun, and what is to be done for it; and waits for its end.
async fn begun(change: Followed, session: &mut Session, no_wait: bool) -> Result<(), Failure> {
    let number = change.number;
    let report = session.leading().await;
    let newcomer = change.what.and_then(newcomer);
    let serve = newcomer.zip(report.as_ref()).and_then(|(id, report)| serve_line(id, report));
    let object = Object::new().text("outcome", "begun").raw("change", number);
    let object = object.optional("id", newcomer).optional_text("serve", serve.as_deref());
    let text = match (newcomer, serve) {
        (Some(id), Some(line)) => {
            format!("{id} is a learner (change {number}). On that machine:  {line}\n")
        }
        (Some(id), None) => format!("{id} is a learner (change {number}).\n"),
        (None, _) => match change.what {
            Some(what) => format!("change {number}: {what}\n"),
            None => format!("change {number}\n"),
        },
    };
    say(session, object, &text)?;
    if no_wait { Ok(()) } else { follow(&change, session).await }
}

fn say(session: &Session, object: Object, text: &str) -> Result<(), Failure> {
    print(if session.is_json { object.line() } else { text.to_owned() }.as_bytes())
}

/// The server that a change adds.
fn newcomer(what: ChangeKind) -> Option<NodeId> {
    match what {
        ChangeKind::Add { id } | ChangeKind::AddLearner { id } => Some(id),
        ChangeKind::Replace { new, .. } => Some(new),
        _ => None,
    }
}

/// The command that starts a new server on its machine.
fn serve_line(id: NodeId, report: &MembersReport) -> Option<String> {
    let leader = report.members.iter().find(|member| member.state == MemberState::Leader)?;
    let join = leader.log_address.as_ref()?;
    Some(format!("coracle serve --join {join} --id {id} --data-dir DIR"))
}

/// The change that an operation begins, about this member.
fn kind(operation: &MemberOperation, id: NodeId) -> ChangeKind {
    match operation {
        MemberOperation::Add { is_learner: false, .. } => ChangeKind::Add { id },
        MemberOperation::Add { is_learner: true, .. } => ChangeKind::AddLearner { id },
        MemberOperation::Remove { .. } | MemberOperation::Cancel { .. } => {
            ChangeKind::Remove { id }
        }
        MemberOperation::Replace { old, .. } => ChangeKind::Replace { old: *old, new: id },
        MemberOperation::Promote { .. } => ChangeKind::Promote { id },
        MemberOperation::Demote { .. } => ChangeKind::Demote { id },
        MemberOperation::Update { .. } => ChangeKind::Update { id },
    }
}

/// The clause that says how it is already.
async fn already_clause(operation: &MemberOperation, session: &mut Session) -> String {
    match operation {
        MemberOperation::Add { member, .. } | MemberOperation::Replace { member, .. } => {
            let report = session.leading().await;
            let members = report.iter().flat_map(|report| &report.members);
            let mut at = members.filter(|it| it.log_address.as_ref() == Some(&member.peer));
            match at.next() {
                Some(found) => format!("{} is a {} at {}", found.id, found.kind, member.peer),
                None => format!("{} is a member", member.peer),
            }
        }
        MemberOperation::Remove { id } => format!("{id} is no member"),
        MemberOperation::Promote { id } => format!("{id} is a voter"),
        MemberOperation::Demote { id } => format!("{id} is a learner"),
        MemberOperation::Update { id, .. } => format!("{id} has these addresses"),
        MemberOperation::Cancel { number } => format!("change {number} was taken back"),
    }
}

/// A clause on how many count, are needed and here, and can be lost.
fn tolerance_clause(tolerance: &Tolerance) -> String {
    let Tolerance { voters, needed, here, can_lose } = tolerance;
    let can_lose = match can_lose {
        Some(number) => format!("can lose {number}"),
        None => "too few: writes wait".into(),
    };
    let noun = plural("voter", *voters as u64);
    format!("{voters} {noun}, {needed} needed, {here} here: {can_lose}.")
}
