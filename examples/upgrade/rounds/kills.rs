//! Leaders that are killed at each step of an upgrade, and rolling restarts of a mixed cluster.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use coracle::testing::drill::{Failure, Stop, say};

use crate::cluster::Build;
use crate::drill::{Drill, NEVER_S, Outcome, Plan, Terms};
use crate::rounds::refusals::refuse;

/// The times after a command at which its leader is killed, in milliseconds.
const DELAYS_MS: [u64; 5] = [0, 5, 20, 40, 80];

/// The time for which a leader without followers leads on, and writes its log.
const TIME_TO_WRITE: Duration = Duration::from_millis(150);

/// After each server that is upgraded, the leader is killed.
pub fn at_each_step(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(1))?;
    for id in drill.cluster.ids() {
        drill.replace(id, Build::New, Stop::Kill)?;
        drill.kill_leader()?;
    }
    drill.wait_for_format()?;
    drill.kill_leader()?;
    drill.finish()
}

/// The leader is asked to raise the format, and killed a moment later, in one cluster for each
/// delay. In the end the format is raised, after the leader was asked again.
pub fn around_the_raise(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for delay_ms in DELAYS_MS {
        let name = format!("{name}-{delay_ms}ms");
        outcome.add(kill_after(plan, &name, Duration::from_millis(delay_ms))?);
    }
    Ok(outcome)
}

fn kill_after(plan: &Plan, name: &str, delay: Duration) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    drill.replace_all(Build::New)?;
    drill.go_on()?;
    drill.assert_not_raised()?;
    let leader = drill.cluster.wait_for_leader()?;
    let address = drill.cluster.address(leader);
    // The reply may come before the end, or never.
    let asked = std::thread::spawn(move || say(&address, "upgrade raise"));
    sleep(delay);
    drill.replace(leader, Build::New, Stop::Kill)?;
    let _ = asked.join();
    drill.raise()?;
    drill.kill_leader()?;
    drill.finish()
}

/// The leader writes the new format to its own disk, and all servers are killed before another one
/// has it. The others go back to the old program, which knows nothing of the raise, and replaces
/// its entry.
pub fn raise_of_one(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    drill.replace_all(Build::New)?;
    drill.go_on()?;
    let leader = drill.cluster.wait_for_leader()?;
    let others: Vec<u64> = drill.cluster.ids().into_iter().filter(|id| *id != leader).collect();
    for id in &others {
        drill.cluster.signal(*id, Signal::STOP)?;
    }
    let address = drill.cluster.address(leader);
    let asked = std::thread::spawn(move || say(&address, "upgrade raise"));
    sleep(TIME_TO_WRITE);
    drill.cluster.stop_all(Stop::Kill)?;
    let _ = asked.join();
    for id in &others {
        drill.cluster.start(*id, Build::Old)?;
    }
    drill.cluster.wait_for_leader()?;
    drill.go_on()?;
    refuse(&mut drill, leader, "of a leader that alone has the format")?;
    drill.cluster.start(leader, Build::New)?;
    drill.cluster.wait_until_back(leader)?;
    drill.assert_not_raised()?;
    // The entry that was replaced is in the file of the log until the log is compacted.
    drill.cluster.stop(leader, Stop::Term)?;
    refuse(&mut drill, leader, "in which an entry with the format was replaced")?;
    drill.cluster.start(leader, Build::New)?;
    for id in others {
        drill.replace(id, Build::New, Stop::Term)?;
    }
    drill.raise()?;
    drill.finish()
}

/// Old and new servers are restarted one after the other, without waiting for each other, as a
/// reboot of all machines does. All have to come back by themselves.
pub fn rolling(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    let ids = drill.cluster.ids();
    for id in ids.iter().filter(|id| *id % 2 == 1) {
        drill.replace(*id, Build::New, Stop::Term)?;
    }
    for how in [Stop::Term, Stop::Kill] {
        for pause in [Duration::ZERO, Duration::from_secs(1)] {
            for id in &ids {
                drill.cluster.restart(*id, drill.cluster.build(*id), how)?;
                sleep(pause);
            }
            for id in &ids {
                drill.cluster.wait_until_back(*id)?;
            }
            drill.go_on()?;
        }
    }
    drill.assert_not_raised()?;
    drill.finish()
}
