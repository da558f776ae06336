//! A client that comes under a new name with each command, as a program does that connects
//! anew for each of its writes. Each command writes a key that expires, so that hundreds of keys
//! and of names fall due together.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tokio::time::timeout;

use super::lines::{Lines, Try};
use crate::testing::simulation::history::{Action, Answer, Operation};
use crate::testing::simulation::plan::Fault;
use crate::testing::simulation::world::{World, host};

/// The client number in the history.
const NUMBER: u64 = 300;
/// Maximum number of bursts in a run: the store is compared with the reference at each entry.
const BURSTS_MAX: u64 = 4;
/// Maximum number of commands in one write.
const BURST_MAX: u64 = 300;
/// The longest time that a node may take for the next reply.
const PATIENCE: Duration = Duration::from_secs(9);
/// Maximum number of nodes to which a burst is sent before one executes it.
const TRIES: usize = 4;

/// A command that was sent, with its key and value.
struct Sent {
    key: Bytes,
    action: Action,
    invoked: u64,
}

/// Sends a burst of commands, each under a new name, to the node that leads. Returns false when
/// there were enough of them.
pub(crate) fn leave_names(world: &Rc<World>) -> bool {
    if world.faults.borrow().get(&Fault::ManyNames).is_some_and(|times| *times >= BURSTS_MAX) {
        return false;
    }
    let world = Rc::clone(world);
    actix::spawn(async move {
        let burst = world.random(|rng| rng.random_range(20..=BURST_MAX));
        let exptime = world.random(|rng| rng.random_range(1..=4));
        let mut target = host(world.random(|rng| rng.random_range(1..=world.plan.nodes)));
        for _ in 0..TRIES {
            match send_burst(&world, &target, burst, exptime).await {
                Some(leader) => target = leader,
                None => break,
            }
        }
    });
    true
}

/// Returns the node to which the first command is redirected, if it is.
async fn send_burst(world: &World, target: &str, burst: u64, exptime: u64) -> Option<String> {
    let from = world.network.calm_host("names");
    let dialled = timeout(Duration::from_secs(1), Lines::connect(&from, target)).await;
    let mut lines = dialled.ok()?.ok()?;
    let (mut bytes, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..burst {
        let number = world.next_time();
        let (key, value) = (format!("x{number}"), format!("name-{number}"));
        let command = format!("once n{number} 1 set {key} {exptime} {}\r\n", value.len());
        bytes.extend_from_slice(format!("{command}{value}\r\n").as_bytes());
        let action = Action::SetFor(exptime, value.into());
        sent.push(Sent { key: key.into(), action, invoked: number });
    }
    let clock_ms = world.clock_ms(target);
    let mut redirected = None;
    let mut is_open = lines.send(&bytes).await.is_ok();
    for Sent { key, action, invoked } in sent {
        let reply = match is_open {
            true => reply(&mut lines, &key, &action).await,
            false => None,
        };
        is_open = reply.is_some();
        let answer = match reply {
            Some(Try::Answer(answer)) => answer,
            Some(Try::Elsewhere(to)) => {
                redirected = redirected.or(to);
                Answer::Refused
            }
            Some(Try::Lost) | None => Answer::Unknown,
        };
        world.record(Operation {
            client: NUMBER,
            key,
            action,
            invoked,
            returned: world.next_time(),
            answer,
            clock_ms,
            latest_clock_ms: world.latest_clock_ms(),
        });
    }
    redirected.filter(|leader| leader != target)
}

async fn reply(lines: &mut Lines, key: &Bytes, action: &Action) -> Option<Try> {
    let line = timeout(PATIENCE, lines.line()).await.ok()?.ok()?;
    lines.reader.reply(line, key, action).await.ok()?.ok()
}
