//! A client that reads what a server has applied, whatever the leader knows (`mode stale`).

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};

use super::lines::{Lines, Try};
use super::mix::{HotKey, Mix, WorkloadState};
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::history::StaleRead;
use crate::testing::simulation::world::{World, host};

/// The longest time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest pause between two reads, in milliseconds.
const PAUSE_MS_MAX: u64 = 150;
/// Maximum number of reads of one connection.
const READS_MAX: u64 = 100;

/// Reads until the phase is over.
pub(super) async fn read_stale(world: Rc<World>, number: u64, mut rng: StdRng) {
    let from = world.network.host(&format!("s{number}"));
    let mut state = WorkloadState::new(&world.plan, number, Mix::Reads);
    while !world.phase.is_over.get() {
        sleep(Duration::from_millis(rng.random_range(0..=PAUSE_MS_MAX))).await;
        let ids = world.serving();
        let id = ids[rng.random_range(0..ids.len())];
        let node = host(id);
        let dialled = Lines::connect_in_mode(&from, &node, Some("stale"));
        let Ok(Ok(mut lines)) = timeout(PATIENCE, dialled).await else { continue };
        let (connection, server) = (world.next_time(), world.server(id));
        for _ in 0..rng.random_range(1..=READS_MAX) {
            let (key, action) = state.draw(&HotKey::default(), &mut rng);
            let command = state.command(key, &action);
            if action.parts().is_empty() {
                let asked = async {
                    lines.send(&command).await?;
                    let line = lines.line().await?;
                    lines.reader.reply(line, &state.key_name(key), &action).await
                };
                match timeout(PATIENCE, asked).await {
                    Ok(Ok(Ok(Try::Answer(answer)))) => {
                        state.learn(key, &action, &answer);
                        let key = state.subject(key, &action);
                        let latest_clock_ms = world.latest_clock_ms();
                        world.trace.say(&format_args!("s{number} {node} {key:?}: {answer:?}"));
                        world.seen.stale_reads.borrow_mut().push(StaleRead {
                            connection,
                            server,
                            key,
                            action,
                            answer,
                            latest_clock_ms,
                        });
                    }
                    Ok(Ok(Err(line))) => {
                        let what = format!("{node}: an unexpected reply to {action:?}: {line:?}");
                        world.violate(Check::Protocol, what);
                        break;
                    }
                    Ok(Ok(Ok(_)) | Err(_)) | Err(_) => break,
                }
            }
            sleep(Duration::from_millis(rng.random_range(0..=PAUSE_MS_MAX))).await;
            if world.phase.is_over.get() {
                break;
            }
        }
    }
}
