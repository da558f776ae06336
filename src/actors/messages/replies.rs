//! Replies gathered by session, so that each session gets one message.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Recipient;

use crate::actors::messages::clients::{ClientReplies, ClientReply, ReplyHandle, SessionId};

/// Replies for any number of sessions, in the order of each session's first reply.
#[derive(Default)]
pub struct Replies {
    by_session: Vec<(Arc<Recipient<ClientReplies>>, ClientReplies)>,
    /// The index of each session in `by_session`.
    places: BTreeMap<SessionId, usize>,
}

impl Replies {
    /// Adds the reply to one command.
    pub fn add(&mut self, reply_handle: ReplyHandle, reply: ClientReply) {
        let ReplyHandle { session, slot, reply_to, .. } = reply_handle;
        let place = *self.places.entry(session).or_insert(self.by_session.len());
        if place == self.by_session.len() {
            self.by_session.push((reply_to, ClientReplies { replies: Vec::new() }));
        }
        self.by_session[place].1.replies.push((slot, reply));
    }

    /// Sends one message to each session.
    pub fn send(self) {
        for (reply_to, replies) in self.by_session {
            // The session's window bounds the number of replies under way. A session whose
            // client has left is gone, and its replies with it.
            reply_to.do_send(replies);
        }
    }
}

/// Sends one reply to one session.
pub fn reply(reply_handle: ReplyHandle, reply: ClientReply) {
    let mut replies = Replies::default();
    replies.add(reply_handle, reply);
    replies.send();
}
