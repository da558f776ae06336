//! The grammar of the commands about members and leadership (docs/adr/0026, docs/adr/0028).

use std::collections::BTreeSet;

use super::error_reply::ErrorReply;
use super::fields::{Fields, cmd_err, is};
use super::request::Request;
use crate::types::{
    Address, LogIndex, Member, MemberOperation, MemberRequest, NodeId, TransferTarget,
};

/// Parses the rest of a line that begins with `member`.
pub(super) fn member<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Request, ErrorReply> {
    let word = fields.field("a word is missing behind member; help lists them")?;
    if is(word, "list") {
        return Ok(Request::Members);
    }
    if is(word, "wait") {
        return Ok(Request::WaitForChange { number: change_number(fields)? });
    }
    let (operation, options) = if is(word, "add") {
        let member = addresses(fields)?;
        let options = Options::parse(fields, &["id", "learner", "can-lose", "dry-run"])?;
        let (id, is_learner) = (options.id, options.is_learner);
        (MemberOperation::Add { id, member, is_learner }, options)
    } else if is(word, "remove") {
        let id = id(fields)?;
        (MemberOperation::Remove { id }, Options::parse(fields, &["can-lose", "dry-run"])?)
    } else if is(word, "replace") {
        let (old, member) = (id(fields)?, addresses(fields)?);
        let options = Options::parse(fields, &["id", "can-lose", "dry-run"])?;
        (MemberOperation::Replace { old, id: options.id, member }, options)
    } else if is(word, "promote") {
        let id = id(fields)?;
        (MemberOperation::Promote { id }, Options::parse(fields, &["dry-run"])?)
    } else if is(word, "demote") {
        let id = id(fields)?;
        (MemberOperation::Demote { id }, Options::parse(fields, &["can-lose", "dry-run"])?)
    } else if is(word, "update") {
        let id = id(fields)?;
        let mut options = Options::parse(fields, &["log", "client"])?;
        let (peer, client) = (options.peer.take(), options.client.take());
        if peer.is_none() && client.is_none() {
            return cmd_err("behind update <id> stands log <address>, client <address> or both");
        }
        (MemberOperation::Update { id, peer, client }, options)
    } else if is(word, "cancel") {
        (MemberOperation::Cancel { number: change_number(fields)? }, Options::default())
    } else {
        return cmd_err(
            "behind member stands list, add, remove, replace, promote, demote, update, cancel or \
             wait",
        );
    };
    let Options { can_lose, is_dry_run, .. } = options;
    Ok(Request::Member(MemberRequest { operation, can_lose, is_dry_run }))
}

/// Parses the rest of a line that begins with `leader`.
pub(super) fn leader<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Request, ErrorReply> {
    if !is(fields.field("transfer is missing behind leader")?, "transfer") {
        return cmd_err("behind leader stands transfer");
    }
    let target = match fields.0.next() {
        None => TransferTarget::Avoid(BTreeSet::new()),
        Some(word) if is(word, "to") => TransferTarget::To(id(fields)?),
        Some(word) if is(word, "avoid") => {
            let mut ids: BTreeSet<NodeId> = [id(fields)?].into();
            while let Some(field) = fields.0.next() {
                if !is(field, "avoid") {
                    return cmd_err("there are too many fields");
                }
                ids.insert(id(fields)?);
            }
            TransferTarget::Avoid(ids)
        }
        Some(_) => return cmd_err("behind transfer stands nothing, or to <id>, or avoid <id>"),
    };
    Ok(Request::Transfer(target))
}

/// The options of a change.
#[derive(Default)]
struct Options {
    id: Option<NodeId>,
    is_learner: bool,
    can_lose: Option<u32>,
    is_dry_run: bool,
    peer: Option<Address>,
    client: Option<Address>,
}

impl Options {
    /// Takes the rest of the line: some of the `allowed` options, in any order, each once at most.
    fn parse<'a>(
        fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
        allowed: &[&'static str],
    ) -> Result<Options, ErrorReply> {
        let mut options = Options::default();
        let mut taken = BTreeSet::new();
        while let Some(word) = fields.0.next() {
            let option = allowed.iter().find(|option| is(word, option));
            match option.filter(|option| taken.insert(**option)) {
                Some(&"id") => options.id = Some(id(fields)?),
                Some(&"learner") => options.is_learner = true,
                Some(&"can-lose") => options.can_lose = Some(can_lose(fields)?),
                Some(&"dry-run") => options.is_dry_run = true,
                Some(&"log") => options.peer = Some(address(fields)?),
                Some(&"client") => options.client = Some(address(fields)?),
                _ => {
                    return cmd_err(
                        "a field is no option of this command, or is there twice; help lists them",
                    );
                }
            }
        }
        Ok(options)
    }
}

fn can_lose<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<u32, ErrorReply> {
    let fault = "<n> behind can-lose is not a number";
    u32::try_from(fields.number(fault)?).or_else(|_| cmd_err(fault))
}

fn id<'a>(fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>) -> Result<NodeId, ErrorReply> {
    match fields.number("<id> is not a number")? {
        0 => cmd_err("<id> begins at 1"),
        id => Ok(NodeId(id)),
    }
}

fn change_number<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<LogIndex, ErrorReply> {
    Ok(LogIndex(fields.number("<number> is not a number")?))
}

/// Takes the two addresses of a new server.
fn addresses<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Member, ErrorReply> {
    Ok(Member { peer: address(fields)?, client: address(fields)? })
}

fn address<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Address, ErrorReply> {
    let field = fields.field("an address is missing")?;
    let address = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
    address.ok_or(ErrorReply::CmdErr(
        "an address is HOST:PORT, such as 10.0.0.6:9001 or [::1]:9001".into(),
    ))
}
