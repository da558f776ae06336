//! Sends commands to every node over lines that are always good, and checks only that each is
//! answered in time. Other clients give up a command after a while, so that they do not notice one
//! that the server has forgotten.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{sleep, timeout};

use super::status_poller;
use super::violation::Check;
use crate::testing::simulation::workload::lines::Lines;
use crate::testing::simulation::world::{World, host};

/// The longest pause between two commands to a node, in milliseconds.
const PAUSE_MS_MAX: u64 = 500;
/// The longest time that a node that was just started may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// The precision with which the time that a process runs is measured.
const STEP: Duration = Duration::from_millis(20);
/// The time that an answer may take beyond `request_timeout_ms`.
const SLACK: Duration = Duration::from_millis(500);

/// Sends commands to node `id` until the phase is over.
pub(crate) async fn watch(world: Rc<World>, id: u64) {
    let from = world.network.calm_host("witness");
    let mut writes = 0;
    while !world.phase.is_over.get() {
        let pause_ms = world.random(|rng| rng.random_range(1..=PAUSE_MS_MAX));
        sleep(Duration::from_millis(pause_ms)).await;
        let life = world.machines[&id].lives.get();
        // A node that answers with its status has begun to serve.
        let asked = status_poller::ask(&world, &from, id, None);
        if let Ok(Ok((_, lines))) = timeout(PATIENCE, asked).await {
            let command = match world.random(|rng| rng.random_bool(0.5)) {
                true => "getm witness\r\n".to_owned(),
                false => {
                    writes += 1;
                    let value = format!("witness-{id}-{writes}");
                    world.record_unanswered_write("witness", value.clone().into());
                    format!("set witness 0 {}\r\n{value}\r\n", value.len())
                }
            };
            expect_answer(&world, id, life, lines, command.as_bytes()).await;
        }
    }
}

/// Checks that a command is answered in time. Only the time counts in which the process runs. The
/// check ends when the life of the node ends.
async fn expect_answer(world: &World, id: u64, life: u64, mut lines: Lines, command: &[u8]) {
    let machine = &world.machines[&id];
    let limits = &world.plan.settings.limits;
    let limit = Duration::from_millis(limits.request_timeout_ms) + SLACK;
    let mut waited = Duration::ZERO;
    let mut answer = pin!(async {
        lines.send(command).await?;
        lines.line().await
    });
    while timeout(STEP, answer.as_mut()).await.is_err() {
        if !machine.is_up() || machine.lives.get() != life {
            return;
        }
        if !machine.is_paused() {
            waited += STEP;
        }
        if waited > limit {
            let command = String::from_utf8_lossy(command);
            let what = format!("{} gave no answer to {command:?} in {waited:?}", host(id));
            return world.violate(Check::Answers, what);
        }
    }
}
