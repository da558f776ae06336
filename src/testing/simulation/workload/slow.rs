//! Clients that behave badly: one requests more than it reads, one sends commands that it does not
//! complete. A node stays within its bounds with both (docs/bugs.md B76), and all other clients get
//! their answers.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::client::SimClient;
use super::lines::{Lines, Try};
use super::mix::{HotKey, Mix, WorkloadState};
use crate::node::SESSION_OUTBOUND_BYTES_MAX;
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::history::{Action, Answer, Operation};
use crate::testing::simulation::network::PIPE_BYTES_MAX;
use crate::testing::simulation::world::{World, host};

/// Maximum number of bytes of commands that are sent without reading their replies.
const FLOOD_BYTES_MAX: usize = 1_500_000;
/// The padding of a command, so that few commands fill the buffers that a node reads into.
const PADDING_BYTES: usize = 900;
/// The bytes that a session reads before it parses them: two reads of 64 KiB.
const INPUT_BYTES_MAX: usize = 128 * 1024;
/// The longest time that a node may take for the next reply.
const PATIENCE: Duration = Duration::from_secs(9);

/// Requests a long value many times, and does not read the replies for seconds.
pub(super) async fn read_slowly(world: Rc<World>, number: u64, rng: StdRng) {
    let mut client = SimClient::new(&world, number, rng);
    let key = client.state.big_key();
    while !world.phase.is_over.get() {
        let ms = client.rng.random_range(0..=3_000);
        sleep(Duration::from_millis(ms)).await;
        if world.phase.is_quiesced.get() {
            continue;
        }
        let mut value = client.state.new_value().to_vec();
        value.resize(world.plan.settings.limits.value_bytes_max, b'.');
        client.execute(key, Action::Set(value.into())).await;
        if !world.phase.is_over.get() {
            flood(&world, &mut client).await;
        }
    }
}

async fn flood(world: &World, client: &mut SimClient) {
    let dialled = timeout(Duration::from_secs(1), Lines::connect(&client.host, &client.target));
    let Ok(Ok(mut lines)) = dialled.await else { return };
    let key = client.state.key_name(client.state.big_key());
    let mut command = [b"getm".to_vec(), vec![b' '; PADDING_BYTES]].concat();
    command.extend_from_slice(&key);
    command.extend_from_slice(b"\r\n");
    let pause = Duration::from_millis(client.rng.random_range(500..=3_000));
    let mut written = 0;
    while written < FLOOD_BYTES_MAX {
        let rest = &command[written % command.len()..];
        match timeout(pause, lines.writer.write(rest)).await {
            Ok(Ok(bytes)) => written += bytes,
            Ok(Err(_)) => return,
            Err(_) => break,
        }
    }
    sleep(pause).await;
    // Later commands may still be in the pipe, or in the session's unread input.
    let commands = written.saturating_sub(PIPE_BYTES_MAX + INPUT_BYTES_MAX) / command.len();
    let mut held = 0;
    for _ in 0..commands {
        let Ok(Ok(line)) = timeout(PATIENCE, lines.line()).await else { return };
        match lines.reader.reply(line, &key, &Action::Get).await {
            Ok(Ok(Try::Answer(Answer::Value(_, value)))) => held += value.len(),
            Ok(Ok(_)) => {}
            Ok(Err(line)) => {
                let what = format!("{}: an unexpected reply: {line:?}", client.target);
                return world.violate(Check::Protocol, what);
            }
            Err(_) => return,
        }
    }
    let limits = &world.plan.settings.limits;
    // Replies in the window may be larger than the session has estimated.
    let held_max =
        PIPE_BYTES_MAX + SESSION_OUTBOUND_BYTES_MAX + 2 * limits.inflight_bytes_max.max(1 << 16);
    if held > held_max {
        let node = &client.target;
        world.violate(Check::Bounds, format!("{node} held {held} bytes for one slow reader"));
    }
}

/// Sends the beginning of a command and nothing more: it must not be executed.
pub(super) async fn send_by_halves(world: Rc<World>, number: u64, mut rng: StdRng) {
    let from = world.network.host(&format!("c{number}"));
    let mut state = WorkloadState::new(&world.plan, number, Mix::Writes);
    while !world.phase.is_over.get() {
        sleep(Duration::from_millis(rng.random_range(0..=2_000))).await;
        let node = host(rng.random_range(1..=world.plan.nodes));
        let Ok(Ok(mut lines)) = timeout(Duration::from_secs(1), Lines::connect(&from, &node)).await
        else {
            continue;
        };
        let (key, _) = state.draw(&HotKey::default(), &mut rng);
        let value = Bytes::from([state.new_value().to_vec(), vec![b'.'; 100]].concat());
        let action = Action::Set(value);
        let command = state.command(key, &action);
        // At least a byte of the value and the line's end are missing.
        let half = rng.random_range(1..command.len() - 2);
        let (invoked, clock_ms) = (world.next_time(), world.clock_ms(&node));
        if lines.send(&command[..half]).await.is_ok() {
            let silence = Duration::from_millis(rng.random_range(0..=5_000));
            // There must be no reply, except by a server that accepts no more connections.
            if let Ok(Ok(line)) = timeout(silence, lines.line()).await
                && line != "ERR_BUSY"
            {
                let what = format!("{node} answers half a command: {line:?}");
                world.violate(Check::Protocol, what);
            }
        }
        let (key, returned) = (state.key_name(key), world.next_time());
        let latest_clock_ms = world.latest_clock_ms();
        let (client, answer) = (number, Answer::Refused);
        world.record(Operation {
            client,
            key,
            action,
            invoked,
            returned,
            answer,
            clock_ms,
            latest_clock_ms,
        });
    }
}
