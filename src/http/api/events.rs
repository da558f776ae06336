//! `/events`: the state of the cluster, pushed to one page.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::board::Pushes;
use super::console::Api;
use super::error::ApiError;
use super::{pushing, stream};

struct Events {
    hello: Option<Bytes>,
    pushes: Pushes,
    _permit: OwnedSemaphorePermit,
}

/// Begins a stream.
pub(super) async fn events(api: Arc<Api>) -> Result<Response, ApiError> {
    let permit = api.stream_permit()?;
    // A change that happens while the hello is made comes after it.
    let mut pushes = api.board.subscribe();
    pushes.state.mark_unchanged();
    let hello = Some(pushing::hello(&api).await?);
    let events = Events { hello, pushes, _permit: permit };
    Ok(stream::events(futures_util::stream::unfold(events, |mut events| async move {
        let next = events.next().await?;
        Some((Ok::<Bytes, Infallible>(next), events))
    })))
}

impl Events {
    /// The next event; `None` when the stream has ended: the page was too slow, or the server
    /// stops.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        tokio::select! {
            event = self.pushes.events.recv() => event.ok(),
            changed = self.pushes.state.changed() => {
                changed.ok()?;
                Some(self.pushes.state.borrow_and_update().clone())
            }
        }
    }
}
