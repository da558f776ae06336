//! A watch whose views come from a store in the test.

use std::path::PathBuf;
use std::sync::OnceLock;

use actix::{Actor, Context, Handler};

use super::*;
use crate::actors::messages::clients::ClientReply;
use crate::actors::messages::door::{Ask, DoorError};
use crate::actors::messages::kv::StoreCorrupted;
use crate::clock::{Clock, SystemClock};
use crate::http::health::Health;
use crate::http::{ConsoleSettings, Door, HttpLimits, HttpServices};
use crate::metrics::{NodeMetrics, ProcessMetrics};
use crate::testing::store_model::{Log, set};
use crate::testing::{Inbox, probe, settle};

/// A door that no command may come to.
struct Shut;

impl Actor for Shut {
    type Context = Context<Self>;
}

impl Handler<Ask> for Shut {
    type Result = Result<ClientReply, DoorError>;

    fn handle(&mut self, ask: Ask, _ctx: &mut Context<Self>) -> Self::Result {
        panic!("a watch sends no command: {ask:?}")
    }
}

/// The interface of a node, and what it says of changed values.
fn api() -> (Arc<Api>, Inbox<StoreCorrupted>) {
    let (asks, (views, _), (corrupted, reported)) = (Shut.start().recipient(), probe(), probe());
    let door = OnceLock::new();
    assert!(door.set(Door { asks, views, corrupted }).is_ok());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let services = HttpServices {
        metrics: NodeMetrics::new(&clock),
        door: Arc::new(door),
        data_dir: PathBuf::new(),
        version: "0",
        own_address: None,
        console: ConsoleSettings {
            cluster: "test".to_owned(),
            key_bytes_max: 100,
            value_bytes_max: 100,
            request_timeout: Duration::from_secs(1),
            store_bytes_max: 0,
            history_bytes_max: 0,
        },
    };
    let limits = HttpLimits {
        connections_max: 8,
        disk_stall_max: Duration::from_secs(30),
        console_timeout: Duration::from_secs(5),
    };
    let health = Arc::new(Health::new(&services, limits));
    let process = ProcessMetrics::new("0", PathBuf::new());
    (Arc::new(Api::new(services, health, process, String::new(), 8)), reported)
}

/// A watch of the key `k`, from the first revision on.
fn watch_of_k(api: Arc<Api>) -> Watch {
    let permit = api.stream_permit().expect("nobody else has one");
    Watch {
        api,
        filter: WatchFilter::all(KeyRange::key(Bytes::from("k"))),
        cursor: WatchCursor::from(2),
        open: None,
        ready: VecDeque::new(),
        has_ended: false,
        _permit: permit,
    }
}

#[actix::test]
async fn a_change_that_is_not_what_was_written_ends_the_stream_and_the_node() {
    let (api, reported) = api();
    let mut watch = watch_of_k(api);
    let mut log = Log::with_history();
    let mut seen = HistoryMark { revision: 0, compacted: 0 };
    log.apply(&set("k", "sound"));
    watch.read(&log.store.history_view());
    let first = watch.next(&mut seen).await.expect("the sound change");
    assert!(first.starts_with(b"event: changes\n"), "{first:?}");
    log.apply(&set("k", "value"));
    assert!(log.store.flip_bit(0));
    watch.read(&log.store.history_view());
    assert_eq!(watch.next(&mut seen).await, None, "the stream ends without a word");
    settle().await;
    let what = "the record of key \"k\", version 3, does not match its hash".to_owned();
    assert_eq!(reported.drain(), [StoreCorrupted { what }]);
}
