//! Watchers: each follows the changes of some keys, at any server. A watcher leaves its server now
//! and then, reads slowly at times, and goes on at another one after what it has seen. At the end
//! it waits until it has seen all.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep, timeout};

use super::lines::Lines;
use crate::protocol::{ErrorReply, ReplyLine, WatchParser, WatchPart};
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::history::{WatchStream, WatchWish};
use crate::testing::simulation::network::SimHost;
use crate::testing::simulation::world::{World, host};

/// The longest time that a connection and the first reply may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time after which a watcher looks whether the run is at its end.
const STEP: Duration = Duration::from_millis(100);
/// The longest time for which a watcher stays at a server, in milliseconds.
const STAY_MS_MAX: u64 = 6_000;
/// The time in which a silent watch has to tell how far it has come: its interval, and a second.
const LAST_STAY: Duration = Duration::from_secs(6);
/// The longest time in which a server has to take a watch at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// A watcher.
struct Watcher {
    world: Rc<World>,
    number: u64,
    rng: StdRng,
    from: SimHost,
    calm: SimHost,
    wants: WatchWish,
    /// The revision from which it goes on; `None` before the first stream has begun.
    next: Option<u64>,
}

/// Watches until all nodes are equal at the end, and all changes have been seen.
pub(super) async fn watch(world: Rc<World>, number: u64, mut rng: StdRng) {
    let calm = world.network.calm_host(&format!("w{number}"));
    let from = match rng.random_bool(0.5) {
        true => calm.clone(),
        false => world.network.host(&format!("v{number}")),
    };
    let (key, is_prefix) =
        [("", true), ("k", true), ("t", true), ("h", true), ("k0", false)][rng.random_range(0..5)];
    let key = Bytes::from_static(key.as_bytes());
    let wants = WatchWish { key, is_prefix, wants_previous: rng.random_bool(0.5) };
    let mut watcher = Watcher { world, number, rng, from, calm, wants, next: None };
    while watcher.world.seen.agreed_index.get() == 0 {
        let stay = Duration::from_millis(watcher.rng.random_range(0..=STAY_MS_MAX));
        let from = watcher.from.clone();
        watcher.follow(&from, stay, false).await;
        sleep(Duration::from_millis(watcher.rng.random_range(0..=200))).await;
    }
    let end = Instant::now() + LAST_PATIENCE;
    while Instant::now() < end {
        let from = watcher.calm.clone();
        if watcher.follow(&from, LAST_STAY, true).await {
            return;
        }
        sleep(STEP).await;
    }
    let what = format!("no server takes watcher {number} on at the end");
    watcher.world.violate(Check::Watches, what);
}

impl Watcher {
    /// Watches at one server. Returns true when it stayed there for all the time.
    async fn follow(&mut self, from: &SimHost, stay: Duration, is_last: bool) -> bool {
        // A server that was removed takes no watch.
        let ids = if is_last { self.world.members() } else { self.world.serving() };
        let id = ids[self.rng.random_range(0..ids.len())];
        let node = host(id);
        let begun = timeout(PATIENCE, self.begin(from, &node)).await;
        let server = self.world.server(id);
        let Ok(Some((mut lines, begun))) = begun else { return false };
        let mut stream = WatchStream {
            watcher: self.number,
            server,
            wants: self.wants.clone(),
            from: self.next,
            begun: begun.as_ref().ok().copied(),
            parts: begun.err().map(WatchPart::Ended).into_iter().collect(),
            is_last,
        };
        let has_stayed = match stream.begun {
            Some(begun) => {
                self.next = self.next.or(Some(begun));
                self.read(&mut lines, &mut stream, stay).await
            }
            None => false,
        };
        for part in &stream.parts {
            match part {
                WatchPart::End { revision } => self.next = Some(revision + 1),
                // One who has lost changes goes on behind them.
                WatchPart::Ended(ErrorReply::Compacted { revision }) => {
                    self.next = Some(revision + 1);
                }
                _ => {}
            }
        }
        stream.is_last = is_last && has_stayed;
        let counts = (stream.begun, stream.parts.len(), stream.parts.last());
        self.world.trace.say(&format_args!("w{} at {node}: {counts:?}", self.number));
        self.world.seen.streams.borrow_mut().push(stream);
        has_stayed
    }

    /// Asks for a watch. The result is the revision with which it begins, or the error with which
    /// the server says that it is compacted; `None` when the server cannot serve now.
    async fn begin(
        &mut self,
        from: &SimHost,
        node: &str,
    ) -> Option<(Lines, Result<u64, ErrorReply>)> {
        let mut lines = Lines::connect(from, node).await.ok()?;
        let WatchWish { key, is_prefix, wants_previous } = &self.wants;
        let kind = if *is_prefix { "prefix" } else { "key" };
        let key = if key.is_empty() { "*".into() } else { String::from_utf8_lossy(key) };
        let next = self.next.map_or(String::new(), |next| format!(" from {next}"));
        let previous = if *wants_previous { " prev" } else { "" };
        let command = format!("watch {kind} {key}{next}{previous}\r\n");
        lines.send(command.as_bytes()).await.ok()?;
        let line = lines.line().await.ok()?;
        let revision = line.strip_prefix("WATCHING ").and_then(|text| text.parse().ok());
        if let Some(revision) = revision {
            return Some((lines, Ok(revision)));
        }
        let error = match ReplyLine::parse(line.as_bytes()) {
            Some(ReplyLine::Error(error)) => error.reply(),
            _ => None,
        };
        match error {
            Some(error @ ErrorReply::Compacted { .. }) => Some((lines, Err(error))),
            Some(ErrorReply::NotYet { .. } | ErrorReply::Busy | ErrorReply::NoLeader) => None,
            _ => {
                let what = format!("{node}: an unexpected reply to {command:?}: {line:?}");
                self.world.violate(Check::Protocol, what);
                None
            }
        }
    }

    /// Reads a stream for some time. Returns true when it did not end by itself.
    async fn read(&mut self, lines: &mut Lines, stream: &mut WatchStream, stay: Duration) -> bool {
        let end = Instant::now() + stay;
        let (mut parser, mut input) = (WatchParser::new(), BytesMut::new());
        let is_at_end = self.world.seen.agreed_index.get() > 0;
        while Instant::now() < end {
            if !is_at_end && self.world.seen.agreed_index.get() > 0 {
                return false;
            }
            if !is_at_end && self.rng.random_bool(0.002) {
                sleep(Duration::from_millis(self.rng.random_range(0..=3_000))).await;
            }
            let part = match timeout(STEP, lines.reader.part(&mut parser, &mut input)).await {
                Ok(Ok(Some(part))) => part,
                Ok(Ok(None)) => {
                    let what = format!("{:?}: no stream of a watch: {input:?}", stream.server);
                    self.world.violate(Check::Protocol, what);
                    return false;
                }
                Ok(Err(_)) => return false,
                Err(_) => continue,
            };
            let has_ended = matches!(part, WatchPart::Ended(_));
            stream.parts.push(part);
            if has_ended {
                return false;
            }
        }
        true
    }
}
