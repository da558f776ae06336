//! `recover`: what is left of a cluster that has lost a majority of its data, and a new cluster
//! that begins with it (docs/operations.md, docs/adr/0019). The servers are stopped.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use coracle::node::draw_incarnation;
use coracle::node::survivor::{Condition, RecoverError, Survivor};
use coracle::storage::StorageError;
use coracle::types::{LogIndex, Membership, NodeId};

use super::failure::{Failure, usage};
use super::json::{AsJson, Object, json_list, json_text};
use super::output::{print, table};

#[derive(Debug, Subcommand)]
pub enum RecoverCommand {
    /// Read the directories of stopped servers, and print what each has and what is missing
    Plan(Plan),
    /// Make one survivor's directory the first server of a new cluster; what others alone had is
    /// lost
    Apply(Apply),
}

#[derive(Args, Debug)]
pub struct Plan {
    /// The servers' own directories: <data_dir>/<id>
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    #[command(flatten)]
    json: AsJson,
}

#[derive(Args, Debug)]
pub struct Apply {
    /// The survivor's own directory: <data_dir>/<id>
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The directory of another server, to compare the logs; may be given more than once
    #[arg(long = "with", value_name = "DIR")]
    others: Vec<PathBuf>,
    /// The name of the new cluster
    #[arg(long, value_name = "NAME")]
    new_cluster: String,
    /// The servers whose writes are given up if no other server has them: all members whose
    /// directories are not given, or are not whole
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    lose_what_these_alone_had: Vec<u64>,
    /// Take this survivor although another one of those given has a longer log
    #[arg(long)]
    not_the_longest: bool,
    /// Take this survivor although it has lost a part of its own log
    #[arg(long)]
    was_damaged: bool,
    /// Take this survivor although the entry INDEX has removed it from the cluster: what was
    /// written later is lost
    #[arg(long, value_name = "INDEX")]
    was_removed_at: Option<u64>,
    #[command(flatten)]
    json: AsJson,
}

impl RecoverCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            RecoverCommand::Plan(plan) => plan.run(),
            RecoverCommand::Apply(apply) => apply.run(),
        }
    }
}

/// The survivors of one cluster.
struct Survivors {
    all: Vec<Survivor>,
    /// The newest membership that any of them has.
    membership: Membership,
}

impl Survivors {
    fn read(dirs: impl Iterator<Item = PathBuf>) -> Result<Survivors, Failure> {
        let all: Vec<Survivor> =
            dirs.map(|dir| Survivor::read(&dir)).collect::<Result<_, _>>().map_err(no)?;
        let first = &all[0];
        for (place, survivor) in all.iter().enumerate() {
            if survivor.cluster() != first.cluster() {
                return Err(Failure::No(format!(
                    "{} is of cluster {:?}, and {} of cluster {:?}: give directories of one \
                     cluster to `coracle recover plan`",
                    survivor.dir.display(),
                    survivor.cluster(),
                    first.dir.display(),
                    first.cluster()
                )));
            }
            if all[..place].iter().any(|other| other.id() == survivor.id()) {
                return Err(usage(format!("server {} is given twice", survivor.id())));
            }
        }
        // The one with the furthest log knows the newest members, although not always the last.
        let furthest = all.iter().max_by_key(|survivor| survivor.last());
        let membership = furthest.map(Survivor::membership).unwrap_or_default();
        Ok(Survivors { all, membership })
    }

    fn longest(&self) -> Option<&Survivor> {
        let usable = |survivor: &&Survivor| !matches!(survivor.condition(), Condition::Damaged(_));
        self.all.iter().filter(usable).max_by_key(|survivor| survivor.last())
    }

    /// The members that are not known to have all that they acknowledged.
    fn missing(&self) -> BTreeSet<NodeId> {
        self.membership.all_voters().into_iter().filter(|id| !self.is_whole(*id)).collect()
    }

    fn is_whole(&self, id: NodeId) -> bool {
        self.all.iter().any(|s| s.id() == id && s.condition() == Condition::Whole)
    }

    /// True when the whole ones are a majority: then nothing is lost.
    fn is_quorum_whole(&self) -> bool {
        self.membership.is_quorum(|id| self.is_whole(id))
    }

    /// The entry that removed the server from the cluster, as far as the survivors know: 0 when
    /// they remember only that its id is gone.
    fn removed_at(&self, id: NodeId) -> Option<LogIndex> {
        let at = self.membership.removed.get(&id).copied().unwrap_or_default();
        self.membership.is_removed(id).then_some(at)
    }

    /// The command that goes on with this survivor.
    fn next(&self, longest: &Survivor) -> String {
        let others = self.all.iter().filter(|survivor| survivor.id() != longest.id());
        let with: String =
            others.map(|survivor| format!(" --with {}", survivor.dir.display())).collect();
        let was_damaged = match longest.condition() {
            Condition::Rejoining(_) => " --was-damaged",
            _ => "",
        };
        let was_removed = self.removed_at(longest.id());
        let was_removed = was_removed.map(|at| format!(" --was-removed-at {at}"));
        format!(
            "coracle recover apply {}{with} --new-cluster NAME --lose-what-these-alone-had \
             {}{was_damaged}{}",
            longest.dir.display(),
            list(&self.missing(), ","),
            was_removed.unwrap_or_default()
        )
    }

    /// The plan as JSON.
    fn object(&self) -> Object {
        let servers = self.all.iter().map(|survivor| {
            Object::new()
                .text("dir", &survivor.dir.display().to_string())
                .raw("id", survivor.id())
                .raw("last_log_index", survivor.last().index)
                .raw("last_log_term", survivor.last().term)
                .raw("commit_index", survivor.committed().index)
                .text("state", &self.state(survivor))
        });
        let is_lossless = self.is_quorum_whole();
        let next = self.longest().filter(|_| !is_lossless).map(|longest| self.next(longest));
        Object::new()
            .raw("servers", json_list(servers))
            .raw("voters", json_list(self.membership.all_voters().iter()))
            .raw("not_whole", json_list(self.missing().iter()))
            .raw("is_lossless", is_lossless)
            .optional_text("next", next.as_deref())
    }

    fn state(&self, survivor: &Survivor) -> String {
        let longest = self.longest().map(Survivor::last);
        let place = match longest {
            Some(longest) if longest == survivor.last() => "the longest".to_owned(),
            Some(longest) => format!("the longest ends with {longest}"),
            None => "no log is of use".to_owned(),
        };
        let removed = self.removed_at(survivor.id()).map(|at| format!("removed by entry {at}; "));
        let removed = removed.unwrap_or_default();
        match survivor.condition() {
            Condition::Whole => format!("{removed}whole; {place}"),
            Condition::Rejoining(lost) => {
                format!("{removed}rejoining: has lost what it had up to {lost} or later; {place}")
            }
            Condition::Damaged(damage) => format!("{removed}damaged: {damage}"),
        }
    }
}

impl Plan {
    fn run(self) -> Result<(), Failure> {
        let survivors = Survivors::read(self.dirs.into_iter())?;
        if self.json.is_wanted() {
            return print(survivors.object().line().as_bytes());
        }
        let mut rows =
            vec![["dir", "id", "last entry", "known committed", "state"].map(str::to_owned)];
        for survivor in &survivors.all {
            rows.push([
                survivor.dir.display().to_string(),
                survivor.id().to_string(),
                survivor.last().to_string(),
                survivor.committed().index.to_string(),
                survivors.state(survivor),
            ]);
        }
        let mut out = table(&rows);
        let missing = survivors.missing();
        out += &voters(&survivors.membership);
        let Some(longest) = survivors.longest() else {
            out += "No directory is of use: restore a backup (`coracle snapshot restore`).\n";
            return print(out.as_bytes());
        };
        if survivors.is_quorum_whole() {
            out += "A majority of them is whole: nothing is lost. Start these servers.\n";
            return print(out.as_bytes());
        }
        out += &format!(
            "Not whole: {}. Together with these the others would be a majority, so they may have \
             acknowledged writes after {}, which would be given up.\n",
            list(&missing, " "),
            longest.last()
        );
        let kept = longest.last().index.0 - longest.committed().index.0;
        out += &format!(
            "kept though not known to be committed: {kept} entries, up to {}. If one of {} can be \
             started with its data, start it instead: nothing is given up then.\n",
            longest.last().index,
            list(&missing, " ")
        );
        out += &format!("next: {}\n", survivors.next(longest));
        print(out.as_bytes())
    }
}

impl Apply {
    fn run(self) -> Result<(), Failure> {
        let dirs = [self.dir.clone()].into_iter().chain(self.others.iter().cloned());
        let mut survivors = Survivors::read(dirs)?;
        self.check(&survivors)?;
        eprint!("type the old cluster's name to go on: ");
        let mut typed = String::new();
        io::stdin().lock().read_line(&mut typed)?;
        let typed = typed.trim_end_matches(['\r', '\n']);
        let survivor = survivors.all.swap_remove(0);
        if !survivor.is_of_cluster(typed) {
            return Err(Failure::No(format!(
                "the cluster is called {:?}, not {typed:?}: nothing was changed; type its name to \
                 `coracle recover apply`",
                survivor.cluster()
            )));
        }
        let (id, dir, (backup, before)) = (survivor.id(), &self.dir, survivor.new_paths());
        let restored = survivor.found(typed, &self.new_cluster, draw_incarnation()?).map_err(no)?;
        let (name, dir, last) = (&self.new_cluster, dir.display(), restored.head.last);
        let (before, origin) = (before.display(), format!("{:032x}", restored.digest));
        let others = survivors.membership.voters.iter().filter(|other| **other != id);
        let mut next: Vec<String> = others
            .map(|other| format!("coracle snapshot restore {} --id {other}", backup.display()))
            .collect();
        next.push(format!("coracle serve --id {id}"));
        self.json.print(
            || {
                Object::new()
                    .text("dir", &dir.to_string())
                    .raw("id", id)
                    .text("cluster", name)
                    .raw("last_included_index", last.index)
                    .raw("last_included_term", last.term)
                    .text("origin", &origin)
                    .text("old_dir", &before.to_string())
                    .raw("next", json_list(next.iter().map(|command| json_text(command))))
            },
            || {
                let mut out = format!(
                    "done: {dir} is server {id} of cluster {name:?}, and begins with entry {last} \
                     (origin={origin}). The old directory is kept as {before}.\n\
                     next: set cluster = {name:?} in servers.toml everywhere; move the old \
                     directories of the other servers away; then\n"
                );
                next.iter().for_each(|command| out += &format!("  {command}\n"));
                out
            },
        )
    }

    /// Refuses what would give up more than was said.
    fn check(&self, survivors: &Survivors) -> Result<(), Failure> {
        let survivor = &survivors.all[0];
        let dir = self.dir.display();
        if let Condition::Damaged(damage) = survivor.condition() {
            return Err(Failure::No(format!(
                "{damage}: take another survivor, see `coracle recover plan DIR ...`"
            )));
        }
        if let (Condition::Rejoining(lost), false) = (survivor.condition(), self.was_damaged) {
            return Err(Failure::No(format!(
                "{dir} has lost a part of what it had up to {lost}: take another survivor, or give \
                 --was-damaged to `coracle recover apply`"
            )));
        }
        if survivors.is_quorum_whole() {
            return Err(Failure::No(
                "a majority of the servers is whole, so nothing is lost: start them with \
                 `coracle serve`"
                    .into(),
            ));
        }
        if let Some(longest) = survivors.longest()
            && longest.last() > survivor.last()
            && !self.not_the_longest
        {
            return Err(Failure::No(format!(
                "{dir} ends with entry {}, and {} with entry {}: take that one, or give \
                 --not-the-longest to `coracle recover apply`",
                survivor.last(),
                longest.dir.display(),
                longest.last()
            )));
        }
        let removed = survivors.removed_at(survivor.id());
        if let Some(at) = removed.filter(|at| self.was_removed_at != Some(at.0)) {
            return Err(Failure::No(format!(
                "{dir} is of a server that entry {at} has removed from the cluster, so it lacks \
                 what was written later: take another survivor, or give --was-removed-at {at} to \
                 `coracle recover apply`"
            )));
        }
        let given: BTreeSet<NodeId> =
            self.lose_what_these_alone_had.iter().copied().map(NodeId).collect();
        let missing = survivors.missing();
        if given != missing {
            return Err(Failure::No(format!(
                "what servers {} alone had would be given up: give \
                 --lose-what-these-alone-had {} to `coracle recover apply`, or more directories \
                 by --with",
                list(&missing, " "),
                list(&missing, ",")
            )));
        }
        Ok(())
    }
}

/// The voters as the plan says them, of both halves of a joint membership.
fn voters(membership: &Membership) -> String {
    if membership.voters.is_empty() {
        return "None of them knows the voters. ".to_owned();
    }
    let voters = list(&membership.voters, " ");
    match membership.is_joint() {
        true => format!("voters: {voters}, and before {}. ", list(&membership.outgoing, " ")),
        false => format!("voters: {voters}. "),
    }
}

fn list(ids: &BTreeSet<NodeId>, separator: &str) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(separator)
}

fn no(error: RecoverError) -> Failure {
    match error {
        RecoverError::Storage(error @ StorageError::Locked { .. }) => {
            Failure::No(format!("{error}; a server that runs is not lost, see `coracle status`"))
        }
        RecoverError::Storage(StorageError::SameCluster { cluster, .. }) => usage(format!(
            "the old cluster is called {cluster:?}, too: give the new one another name by \
             --new-cluster, so that no server of the old one can join it"
        )),
        error => Failure::No(error.to_string()),
    }
}
