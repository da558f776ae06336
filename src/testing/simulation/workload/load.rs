//! Load for faults that need some: writes to a node that come whatever happens, and reads behind
//! them. The answers are not looked at.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::lines::Lines;
use crate::testing::simulation::world::{World, host};

/// The time between two writes.
const INTERVAL: Duration = Duration::from_millis(10);
/// The length of a value.
const VALUE_BYTES: usize = 400;
/// Maximum number of commands without a reply: a few such sessions do not fill the server's queue
/// of proposals, even in seeds with a small one.
const OUTSTANDING_MAX: usize = 12;

/// Load that ends when it is dropped.
pub(crate) struct BackgroundLoad(JoinHandle<()>);

impl Drop for BackgroundLoad {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes to a node, one write every few milliseconds. With `are_read` a read of the same session
/// follows each.
pub(crate) fn write_steadily(world: &Rc<World>, id: u64, are_read: bool) -> BackgroundLoad {
    BackgroundLoad(actix::spawn(run(Rc::clone(world), id, are_read)))
}

async fn run(world: Rc<World>, id: u64, are_read: bool) {
    let from = world.network.calm_host("load");
    loop {
        if let Ok(lines) = Lines::connect(&from, &host(id)).await {
            write_to(&world, lines, are_read).await;
        }
        sleep(INTERVAL).await;
    }
}

/// Writes until the connection ends.
async fn write_to(world: &World, mut lines: Lines, are_read: bool) {
    let mut outstanding = 0;
    loop {
        if outstanding < OUTSTANDING_MAX {
            let mut value = format!("load-{}", world.next_time());
            value.extend(std::iter::repeat_n('.', VALUE_BYTES));
            world.record_unanswered_write("load", value.clone().into());
            let read = if are_read { "get absent\r\n" } else { "" };
            let command = format!("set load 0 {}\r\n{value}\r\n{read}", value.len());
            if lines.send(command.as_bytes()).await.is_err() {
                return;
            }
            outstanding += 1 + usize::from(are_read);
        }
        let mut wait = INTERVAL;
        while outstanding > 0 {
            match timeout(wait, lines.line()).await {
                Ok(Ok(_)) => outstanding -= 1,
                Ok(Err(_)) => return,
                Err(_) => break,
            }
            wait = Duration::from_millis(1);
        }
        sleep(Duration::from_millis(1)).await;
    }
}
