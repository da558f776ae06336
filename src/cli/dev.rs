//! `dev`: a cluster on this machine, for developers: all its servers in one terminal.

mod fleet;
mod place;
mod screen;
mod words;

use std::io::{self, BufRead};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use coracle::client::{Status, status_of};
use coracle::config::Settings;
use coracle::types::NodeId;
use futures_util::future::join_all;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::sleep;

use self::fleet::{Ended, Fleet};
use self::place::Place;
use self::screen::Screen;
use self::words::{HELP, Word};
use super::cluster::block_on;
use super::failure::Failure;
use super::lock::Signals;

#[derive(Args, Debug)]
pub struct DevCommand {
    /// Keep servers.toml and the data in this directory, and go on with what is there. Without it
    /// they are in a temporary one, which is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Number of servers [default: 1, or those that are in the directory]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=25))]
    nodes: Option<u16>,
    /// The first port: clients reach server 1 there, server 2 two ports higher, and so on. 0: free
    /// ports [default: 9000, or free ports if those are taken]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(..=65_000))]
    port: Option<u16>,
}

/// The end of the help.
pub const KEYS: &str = "Lines that are typed while the servers run: k 3 kills server 3, as kill -9 \
    does; r 3 starts it again; l says who leads; ? lists these; q, like Ctrl-C, stops all. The \
    servers also end when this command is killed.";

/// The time between two looks for the leader.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The same when one was found.
const CALM_LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum time for a server to say how it is.
const PATIENCE: Duration = Duration::from_millis(500);

/// A server that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leader {
    id: u64,
    term: u64,
}

/// A cluster that runs.
struct Running {
    settings: Settings,
    fleet: Fleet,
    screen: Arc<Screen>,
    began: Instant,
    is_ready: bool,
}

impl DevCommand {
    /// Runs the servers until it is stopped.
    pub fn run(self) -> Result<(), Failure> {
        block_on(async {
            // From here on no signal ends this process before it has cleaned up.
            let mut signals = Signals::catch()?;
            let place = match &self.dir {
                Some(path) => Place::given(path)?,
                None => Place::temporary()?,
            };
            let result = self.run_in(&place, &mut signals).await;
            let left = place.leave();
            result.and(left)
        })?
    }

    async fn run_in(&self, place: &Place, signals: &mut Signals) -> Result<(), Failure> {
        let settings = place.settings(self.nodes, self.port)?;
        let screen = Arc::new(Screen::new());
        let fleet = Fleet::new(place.config(), settings.servers.len(), Arc::clone(&screen))?;
        let (began, is_ready) = (Instant::now(), false);
        let mut running = Running { settings, fleet, screen, began, is_ready };
        running.start_all(place)?;
        let result = tokio::select! {
            result = running.serve() => result,
            _ = signals.next() => Ok(()),
        };
        running.screen.say("stopping");
        running.fleet.stop(async { _ = signals.next().await }).await?;
        result
    }
}

impl Running {
    fn start_all(&mut self, place: &Place) -> Result<(), Failure> {
        let end = if place.is_temporary() { ", which is removed at the end" } else { "" };
        let directory = place.path().display();
        self.screen.say(&format!("the servers are in {directory}{end}"));
        self.ids().into_iter().try_for_each(|id| self.start(id))
    }

    fn ids(&self) -> Vec<NodeId> {
        self.settings.servers.keys().copied().collect()
    }

    fn start(&mut self, id: NodeId) -> Result<(), Failure> {
        self.fleet.start(&self.settings, id)?;
        let pid = self.fleet.pid(id).expect("it was started");
        self.screen.say(&format!("n{id} runs as process {pid}"));
        Ok(())
    }

    /// Does what is typed, and tells of leaders and ends, until it is to end.
    async fn serve(&mut self) -> Result<(), Failure> {
        let mut typed = typed_lines();
        let mut leaders = watch_leaders(self.addresses());
        let screen = Arc::clone(&self.screen);
        loop {
            tokio::select! {
                // Without an input nothing is typed any more.
                Some(line) = typed.recv() => match words::parse(&line, &self.ids()) {
                    Ok(None) => {}
                    Ok(Some(Word::Quit)) => return Ok(()),
                    Ok(Some(word)) => self.execute(word).await?,
                    Err(sentence) => self.screen.say(&sentence),
                },
                Some(leader) = leaders.recv() => self.tell_leader(leader),
                ended = self.fleet.next_end() => self.tell_end(ended?)?,
                () = screen.closed() => return Ok(()),
            }
        }
    }

    async fn execute(&mut self, word: Word) -> Result<(), Failure> {
        match word {
            Word::Kill(id) if self.fleet.pid(id).is_some() => self.kill(id).await?,
            Word::Kill(id) => self.screen.say(&format!("n{id} does not run: r {id} starts it")),
            Word::Restart(id) if self.fleet.pid(id).is_some() => {
                self.screen.say(&format!("n{id} runs: k {id} kills it"));
            }
            Word::Restart(id) => self.start(id)?,
            Word::Leader => match find_leader(&self.addresses()).await {
                Some(Leader { id, term }) => self.screen.say(&format!("n{id} leads (term {term})")),
                None => self.screen.say("nobody leads"),
            },
            Word::Help => self.screen.say(HELP),
            Word::Quit => unreachable!("it ends the loop"),
        }
        Ok(())
    }

    /// Kills a server, and returns when it has ended.
    async fn kill(&mut self, id: NodeId) -> Result<(), Failure> {
        self.fleet.kill(id);
        while self.fleet.pid(id).is_some() {
            let ended = self.fleet.next_end().await?;
            self.tell_end(ended)?;
        }
        Ok(())
    }

    /// The addresses of all servers for clients.
    fn addresses(&self) -> Vec<String> {
        self.settings.servers.values().map(|server| server.client_address()).collect()
    }

    fn tell_leader(&mut self, Leader { id, term }: Leader) {
        self.screen.say(&format!("n{id} leads (term {term})"));
        if !std::mem::replace(&mut self.is_ready, true) {
            let seconds = self.began.elapsed().as_secs_f64();
            self.screen.say(&format!("ready after {seconds:.2} s; from another terminal:"));
            self.connection_lines().iter().for_each(|line| self.screen.say(line));
            self.screen.say(HELP);
        }
    }

    /// The ways to the cluster.
    fn connection_lines(&self) -> Vec<String> {
        let addresses = self.addresses();
        let mut lines = vec![
            format!("  CORACLE_ENDPOINTS={} coracle set greeting hello", addresses.join(",")),
            format!("  text protocol at {}", addresses.join(" ")),
        ];
        let http = self.settings.servers.values().filter_map(|server| server.http_address());
        let consoles: Vec<String> = http.map(|address| format!("http://{address}")).collect();
        if !consoles.is_empty() {
            lines.push(format!("  console at {}", consoles.join(" ")));
        }
        lines
    }

    /// Tells how a server has ended.
    ///
    /// # Errors
    /// It has ended by itself, and no other one runs.
    fn tell_end(&self, Ended { id, status, is_killed }: Ended) -> Result<(), Failure> {
        let how = match (is_killed, status.code(), status.signal()) {
            (true, ..) => "was killed".into(),
            (false, Some(code), _) => format!("has ended with exit code {code}"),
            (false, None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        };
        self.screen.say(&format!("n{id} {how}: r {id} starts it again"));
        match self.fleet.is_empty() && !is_killed {
            true => Err(Failure::No(format!("no server is left: the last one, n{id}, {how}"))),
            false => Ok(()),
        }
    }
}

/// The lines of standard input.
fn typed_lines() -> Receiver<String> {
    let (sender, typed) = channel(1);
    thread::spawn(move || {
        let lines = io::stdin().lock().lines().map_while(Result::ok);
        // An error means that nobody asks any more.
        let _ = lines.map(|line| sender.blocking_send(line)).find(Result::is_err);
    });
    typed
}

/// The leaders, one after the other.
fn watch_leaders(addresses: Vec<String>) -> Receiver<Leader> {
    let (sender, leaders) = channel(1);
    tokio::spawn(async move {
        let mut last = None;
        loop {
            let leader = find_leader(&addresses).await;
            if let Some(found) = leader.filter(|_| leader != last) {
                last = leader;
                if sender.send(found).await.is_err() {
                    return;
                }
            }
            sleep(if leader.is_some() { CALM_LOOK_INTERVAL } else { LOOK_INTERVAL }).await;
        }
    });
    leaders
}

/// The server that leads. Of several that say so, it is the one of the highest term.
async fn find_leader(addresses: &[String]) -> Option<Leader> {
    let asked = addresses.iter().map(|address| status_of(address, PATIENCE));
    let leads = |status: Status| match status.get("role") {
        Some("leader") => Some(Leader { id: status.number("id")?, term: status.number("term")? }),
        _ => None,
    };
    let leaders = join_all(asked).await.into_iter().flatten().filter_map(leads);
    leaders.max_by_key(|leader| leader.term)
}
