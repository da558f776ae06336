//! Clients that behave badly: one asks for more than it reads, one begins what it
//! does not finish. Neither may cost a node more than its bounds (bugs.md B76), nor
//! anybody else an answer.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::super::check::Check;
use super::super::history::{Action, Answer, Operation};
use super::super::network::PIPE_BYTES_MAX;
use super::super::world::{World, host};
use super::lines::{Lines, Try};
use super::mind::{Mind, News, Taste};
use super::{SimClient, record};
use crate::node::SESSION_OUTBOUND_BYTES_MAX;

/// So much is asked for without reading, in bytes of commands.
const FLOOD_BYTES_MAX: usize = 1_500_000;
/// What pads a command, so that many of them fill what a node takes blindly.
const PADDING_BYTES: usize = 900;
/// What a session reads before it looks at it: two reads of 64 KiB.
const INPUT_BYTES_MAX: usize = 128 * 1024;
/// How long a node may take for the next reply.
const PATIENCE: Duration = Duration::from_secs(9);

/// Asks for a long value, again and again, and does not read it for seconds.
pub(super) async fn read_slowly(world: Rc<World>, number: u64, rng: StdRng) {
    let mut client = SimClient::new(&world, number, rng);
    let key = client.mind.big_key();
    while !world.is_over.get() {
        let ms = client.rng.random_range(0..=3_000);
        sleep(Duration::from_millis(ms)).await;
        if world.is_hushed.get() {
            continue;
        }
        let mut value = client.mind.new_value().to_vec();
        value.resize(world.plan.settings.limits.value_bytes_max, b'.');
        client.execute(key, Action::Set(value.into())).await;
        if !world.is_over.get() {
            flood(&world, &mut client).await;
        }
    }
}

async fn flood(world: &World, client: &mut SimClient) {
    let dialled = timeout(Duration::from_secs(1), Lines::connect(&client.host, &client.target));
    let Ok(Ok(mut lines)) = dialled.await else { return };
    let key = client.mind.key_name(client.mind.big_key());
    let mut command = [b"getm".to_vec(), vec![b' '; PADDING_BYTES]].concat();
    command.extend_from_slice(&key);
    command.extend_from_slice(b"\r\n");
    let stare = Duration::from_millis(client.rng.random_range(500..=3_000));
    let mut written = 0;
    while written < FLOOD_BYTES_MAX {
        let rest = &command[written % command.len()..];
        match timeout(stare, lines.writer.write(rest)).await {
            Ok(Ok(bytes)) => written += bytes,
            Ok(Err(_)) => return,
            Err(_) => break,
        }
    }
    sleep(stare).await;
    // What is behind these may still be in the pipe, or lie there unread.
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
    // Replies in the window may weigh more than they were expected to.
    let held_max =
        PIPE_BYTES_MAX + SESSION_OUTBOUND_BYTES_MAX + 2 * limits.inflight_bytes_max.max(1 << 16);
    if held > held_max {
        let node = &client.target;
        world.violate(Check::Bounds, format!("{node} held {held} bytes for one slow reader"));
    }
}

/// Sends the beginning of a command, and falls silent: it must not be executed.
pub(super) async fn send_by_halves(world: Rc<World>, number: u64, mut rng: StdRng) {
    let from = world.network.host(&format!("c{number}"));
    let mut mind = Mind::new(&world.plan, number, Taste::Writes);
    while !world.is_over.get() {
        sleep(Duration::from_millis(rng.random_range(0..=2_000))).await;
        let node = host(rng.random_range(1..=world.plan.nodes));
        let Ok(Ok(mut lines)) = timeout(Duration::from_secs(1), Lines::connect(&from, &node)).await
        else {
            continue;
        };
        let (key, _) = mind.draw(&News::default(), &mut rng);
        let value = Bytes::from([mind.new_value().to_vec(), vec![b'.'; 100]].concat());
        let action = Action::Set(value);
        let command = mind.command(key, &action);
        // At least a byte of the value and the line's end are missing.
        let half = rng.random_range(1..command.len() - 2);
        let (invoked, clock_ms) = (world.moment(), world.clock_ms(&node));
        if lines.send(&command[..half]).await.is_ok() {
            let silence = Duration::from_millis(rng.random_range(0..=5_000));
            // It says nothing; whatever comes is no answer to it, but for what a server
            // says that takes no more connections.
            if let Ok(Ok(line)) = timeout(silence, lines.line()).await
                && line != "ERR_BUSY"
            {
                let what = format!("{node} answers half a command: {line:?}");
                world.violate(Check::Protocol, what);
            }
        }
        let (key, returned) = (mind.key_name(key), world.moment());
        let latest_clock_ms = world.latest_clock_ms();
        let (client, answer) = (number, Answer::Refused);
        record(
            &world,
            Operation { client, key, action, invoked, returned, answer, clock_ms, latest_clock_ms },
        );
    }
}
