//! `elect`: takes part in an election of the cluster, or tells who leads.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::Args;
use coracle::client::recipes::{Election, Leader};
use coracle::client::{Client, Lease};
use tokio::time::{sleep, timeout};

use super::cluster::{Cluster, block_on, close};
use super::failure::Failure;
use super::json::{AsJson, Object, json_bytes};
use super::lock::{Patience, Signals, no_turn};
use super::output::{note, print};

#[derive(Args, Debug)]
pub struct ElectCommand {
    /// The name of the election
    name: OsString,
    /// Be a candidate with this value: print the fencing token when elected, and lead until this
    /// process is stopped. Without a value, print the value of the present leader
    value: Option<OsString>,
    /// Print each leader from now on
    #[arg(long, conflicts_with = "value")]
    observe: bool,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    cluster: Cluster,
}

/// Maximum time to resign. The leadership ends by itself later.
const RESIGN_PATIENCE: Duration = Duration::from_secs(2);

/// The longest time between two looks at the clock. Timers stand still while the machine sleeps.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

impl ElectCommand {
    pub fn run(self) -> Result<(), Failure> {
        block_on(async {
            let mut client = self.cluster.connect().await?;
            let election = Election::new(self.name.as_bytes())?.seconds(self.patience.seconds);
            let result = match &self.value {
                Some(value) => self.lead(&election, value.as_bytes(), &mut client).await,
                None if self.observe => self.observe(&election, &client).await,
                None => self.tell(&election, &mut client).await,
            };
            close(client).await;
            result
        })?
    }

    /// Leads until this process is stopped.
    async fn lead(
        &self,
        election: &Election,
        value: &[u8],
        client: &mut Client,
    ) -> Result<(), Failure> {
        let mut signals = Signals::catch()?;
        let mut reason = None;
        let given_up = async { reason = Some(self.patience.given_up(&mut signals).await) };
        let leadership = election.campaign_until(client, value, given_up).await;
        let Some(leadership) = leadership.map_err(no_turn)? else {
            return Err(reason.expect("a candidate does not give up without a reason"));
        };
        let token = leadership.token();
        self.json.print(|| Object::new().raw("token", token), || format!("{token}\n"))?;
        let is_lost = tokio::select! {
            () = lost(leadership.lease(), self.patience.seconds) => true,
            _ = signals.next() => false,
        };
        match timeout(RESIGN_PATIENCE, leadership.resign()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                note(&format!("the leadership ends when its time is over: {error}"));
            }
            Err(_) => note("the leadership ends when its time is over: no server answers"),
        }
        match is_lost {
            false => Ok(()),
            true => Err(Failure::Unavailable("the leadership was lost".into())),
        }
    }

    /// Prints who leads.
    async fn tell(&self, election: &Election, client: &mut Client) -> Result<(), Failure> {
        match election.leader(client).await? {
            Some(leader) => print(&self.line(Some(&leader))),
            None => Err(Failure::No("nobody leads".into())),
        }
    }

    /// Prints who leads, one leader after the other.
    async fn observe(&self, election: &Election, client: &Client) -> Result<(), Failure> {
        let mut observer = election.observe(client).await?;
        loop {
            let leader = observer.next().await?;
            print(&self.line(leader.as_ref()))?;
        }
    }

    /// The value of a leader on a line. While nobody leads it is an empty one.
    fn line(&self, leader: Option<&Leader>) -> Vec<u8> {
        if !self.json.is_wanted() {
            let value = leader.map_or(&b""[..], |leader| &leader.value);
            return [value, b"\n"].concat();
        }
        let value = leader.map(|leader| json_bytes(&leader.value));
        let token = leader.map(|leader| leader.fence.token);
        let object = Object::new().optional("leader", value).optional("token", token);
        object.line().into_bytes()
    }
}

/// Waits until the leadership is lost, or will be soon because no server renews it.
async fn lost(lease: &Lease, seconds: u64) {
    let margin = Duration::from_secs(seconds) / 10;
    loop {
        let left = lease.remaining().saturating_sub(margin);
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = lease.ended() => return,
            () = sleep(left.min(LOOK_INTERVAL)) => {}
        }
    }
}
