//! An operator: sends one command about members or leadership at a time, to the leader, and follows
//! redirects. A command without an answer may have begun a change all the same.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use super::lines::Lines;
use crate::testing::simulation::network::SimHost;
use crate::testing::simulation::world::{Accepted, World, host};

/// The longest time for which an operator looks for the leader.
const PATIENCE: Duration = Duration::from_secs(4);
/// The longest time for which an operator waits for an answer.
const ANSWER: Duration = Duration::from_secs(8);
/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(60);

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The change with this number has begun.
    Begun(u64),
    /// The command was carried out, or there is nothing to do.
    Done(String),
    /// The command has changed nothing, for this reason.
    Refused(String),
    /// It is not known what has become of the command.
    Unknown,
}

/// True of a command that can begin the removal of a voter.
pub(crate) fn takes_a_voter(command: &str) -> bool {
    ["member remove", "member demote", "member replace"]
        .iter()
        .any(|beginning| command.starts_with(beginning))
}

/// An operator.
pub(crate) struct Operator {
    world: Rc<World>,
    from: SimHost,
    target: Option<String>,
}

impl Operator {
    /// An operator whose lines are as good as those of a client.
    pub(crate) fn new(world: &Rc<World>, number: u64) -> Operator {
        let from = world.network.host(&format!("o{number}"));
        Operator { world: Rc::clone(world), from, target: None }
    }

    /// An operator whose lines are always good.
    pub(crate) fn calm(world: &Rc<World>) -> Operator {
        let from = world.network.calm_host("calm");
        Operator { world: Rc::clone(world), from, target: None }
    }

    /// Sends a command to the leader, and counts the answer.
    pub(crate) async fn execute(&mut self, command: &str) -> Reply {
        if !takes_a_voter(command) {
            return self.send_to_leader(command).await;
        }
        let leaving = |world: &World, by: i32| {
            let leaving = &world.operators.leaving;
            leaving.set(leaving.get().saturating_add_signed(by));
        };
        leaving(&self.world, 1);
        let reply = self.send_to_leader(command).await;
        let world = Rc::clone(&self.world);
        match reply {
            // The command may yet come to its server.
            Reply::Unknown => {
                actix::spawn(async move {
                    sleep(ANSWER).await;
                    leaving(&world, -1);
                });
            }
            _ => leaving(&world, -1),
        }
        reply
    }

    async fn send_to_leader(&mut self, command: &str) -> Reply {
        let end = Instant::now() + PATIENCE;
        let mut reply = Reply::Refused("ERR_NO_LEADER".to_owned());
        while Instant::now() < end && !self.world.has_failed() {
            let target = self.target.take().unwrap_or_else(|| self.draw_target());
            let line = match timeout(ANSWER, self.send(&target, command)).await {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) => continue,
                Ok(Err(_)) | Err(_) => {
                    reply = Reply::Unknown;
                    break;
                }
            };
            if let Some(address) = line.strip_prefix("ERR_REDIRECT ") {
                let known = address.split_once(':').map(|(host, _)| host.to_owned());
                self.target = known.filter(|host| self.is_machine(host));
                sleep(PAUSE).await;
                continue;
            }
            if line.starts_with("ERR_NO_LEADER") || line.starts_with("ERR_BUSY") {
                sleep(PAUSE).await;
                continue;
            }
            reply = self.understand(command, &line);
            self.target = Some(target);
            break;
        }
        self.note(command, &reply);
        reply
    }

    /// Sends a command to a machine. The lines of the answer, up to its end.
    pub(crate) async fn ask(&self, id: u64, command: &str) -> Option<Vec<String>> {
        let asked = async {
            let mut lines = Lines::connect(&self.from, &host(id)).await?;
            lines.send(format!("{command}\r\n").as_bytes()).await?;
            let mut all = vec![lines.line().await?];
            while command == "member list" && !is_last(&all[all.len() - 1]) {
                all.push(lines.line().await?);
            }
            std::io::Result::Ok(all)
        };
        timeout(Duration::from_secs(1), asked).await.ok()?.ok()
    }

    /// The answer of a machine, as one line; `None` when the command has not reached it.
    async fn send(&self, target: &str, command: &str) -> std::io::Result<Option<String>> {
        let dialled = timeout(Duration::from_secs(1), Lines::connect(&self.from, target)).await;
        let Ok(Ok(mut lines)) = dialled else {
            sleep(PAUSE).await;
            return Ok(None);
        };
        lines.send(format!("{command}\r\n").as_bytes()).await?;
        lines.line().await.map(Some)
    }

    fn draw_target(&self) -> String {
        let ids = self.world.serving();
        host(ids[self.world.random(|rng| rng.random_range(0..ids.len()))])
    }

    fn is_machine(&self, name: &str) -> bool {
        self.world.machines.keys().any(|id| host(*id) == name)
    }

    fn understand(&self, command: &str, line: &str) -> Reply {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
        match (words[0], number(1), number(2)) {
            ("CHANGE", Some(number), Some(id)) => {
                let command = command.to_owned();
                let mut accepted = self.world.operators.accepted.borrow_mut();
                accepted.push(Accepted { number, id, command });
                Reply::Begun(number)
            }
            ("ERR_TIMEOUT" | "ERR_INTERNAL", ..) => Reply::Unknown,
            (word, ..) if word.starts_with("ERR_") => Reply::Refused(line.to_owned()),
            _ => Reply::Done(line.to_owned()),
        }
    }

    fn note(&self, command: &str, reply: &Reply) {
        self.world.trace.say(&format_args!("operator: {command}: {reply:?}"));
        let words: Vec<&str> = command.split(' ').take(2).collect();
        let text = match reply {
            Reply::Begun(_) => "CHANGE",
            Reply::Done(text) | Reply::Refused(text) => text,
            Reply::Unknown => "unknown",
        };
        self.world.operators.count(&words.join(" "), text);
    }
}

fn is_last(line: &str) -> bool {
    line == "END" || line.starts_with("ERR_")
}
