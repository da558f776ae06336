//! The runner of the scripts under tests/scripts/raft, which hold commands and their
//! output. `UPDATE_GOLDENFILES=1 cargo test` writes the output anew; accept it only if every
//! line of it is what the paper says.
//!
//! | command | effect |
//! |---|---|
//! | `cluster 3` | three new nodes |
//! | `snapshots every=4 keep=1 piece=30 window=60` | before `cluster`: its snapshots |
//! | `cluster n1="1 1 4" n2="1@5"` | nodes with logs of these terms; their own term follows `@` |
//! | `tick n1 [count]`, `campaign n1` | time passes; or until it campaigns |
//! | `elect n1` | campaign, and deliver all |
//! | `heartbeat n1` | time passes at a leader until it sends one |
//! | `propose n1 a b`, `read n1` | a client at a node; several words are one batch |
//! | `propose-read-propose n1` | three commands of a session in one batch |
//! | `any 3` | a cluster like that of `members`, in which any node takes reads and writes |
//! | `ask n2`, `forward n2 a b` | a client at any node; several words are one batch |
//! | `deliver` | all messages under way, and the answers to them, until there are none |
//! | `deliver`, `drop`, `duplicate` and `from= to= rpc= count=` | only the messages that match |
//! | `show` | the messages under way |
//! | `partition 1 2`, `cut from=1 to=2`, `heal` | lines that lose everything |
//! | `reconnect 1 2` | a connection breaks and comes back |
//! | `slow-disk n1`, `sync n1 [count]`, `fast-disk n1` | writes wait to be completed |
//! | `slow-store n1`, `answer n1 [count]`, `fast-store n1` | store and log wait, too |
//! | `slow-snapshots n1`, `snapshot n1 [count]`, `fast-snapshots n1` | snapshots wait, too |
//! | `crash n1`, `restart n1` | what was not synced is lost |
//! | `refuse n1 peer=2` | the peer refuses a connection |
//! | `members 3` | a cluster whose members can change; node 1 leads it |
//! | `join n4` | a new node starts, and knows no members |
//! | `add n1 4`, `add-learner`, `remove`, `promote`, `demote` | an operator asks node 1 for it |
//! | `replace n1 2 4`, `cancel n1 9` | as well: by which server, and which change |
//! | `who [n1]` | the members in the newest membership of a node |
//! | `status [n1]`, `log [n1]` | the knowledge of a node |

use std::error::Error;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};

use super::cluster::{Cluster, log_of};
use super::disk::Durable;
use super::members;
use super::snapshots::SnapshotRules;
use super::text;
use crate::raft::{Envelope, Rpc};
use crate::types::{HardState, LogIndex, MemberOperation, NodeId, Term};

struct Script {
    cluster: Cluster,
    rules: SnapshotRules,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let mut lines = Vec::new();
        match command.name.as_str() {
            "cluster" => self.cluster = new_cluster(&mut args, self.rules)?,
            "any" => {
                self.cluster = cluster_with_members(&mut args, self.rules)?;
                self.cluster.pass_to_any_server();
            }
            "members" => self.cluster = cluster_with_members(&mut args, self.rules)?,
            "who" => {
                for id in self.some_nodes(&mut args)? {
                    lines.push(text::members(self.cluster.node(id)));
                }
            }
            "snapshots" => self.rules = snapshot_rules(&mut args)?,
            "status" => {
                for id in self.some_nodes(&mut args)? {
                    lines.push(text::status(self.cluster.node(id)));
                }
            }
            "log" => {
                for id in self.some_nodes(&mut args)? {
                    lines
                        .push(format!("n{id} {}", text::entries(self.cluster.node(id).disk.log())));
                }
            }
            "show" => lines.extend(self.cluster.network.iter().map(text::envelope)),
            "deliver" | "drop" | "duplicate" => self.run_network(&command.name, &mut args)?,
            "partition" => {
                let mut side = Vec::new();
                while let Some(id) = args.next_pos() {
                    side.push(node_id(id)?);
                }
                self.cluster.partition(&side);
            }
            "cut" => {
                let from = node_id(args.take_key("from").ok_or("from=")?)?;
                let to = node_id(args.take_key("to").ok_or("to=")?)?;
                self.cluster.cuts.insert((from, to));
            }
            "heal" => self.cluster.heal(),
            "reconnect" => {
                let a = node_id(args.next_pos().ok_or("a node")?)?;
                self.cluster.reconnect(a, node_id(args.next_pos().ok_or("a node")?)?);
            }
            name => {
                let id = node_id(args.next_pos().ok_or("a node")?)?;
                self.run_node(name, id, &mut args, &mut lines)?;
            }
        }
        args.reject_next()?;
        let mut output = self.cluster.trace.replace(Vec::new()).unwrap_or_default();
        output.append(&mut lines);
        Ok(output.join("\n"))
    }

    fn end_script(&mut self) -> Result<(), Box<dyn Error>> {
        self.cluster.oracle.check_durable(&self.cluster.nodes);
        Ok(())
    }
}

impl Script {
    fn run_node(
        &mut self,
        name: &str,
        id: NodeId,
        args: &mut ArgumentConsumer<'_>,
        lines: &mut Vec<String>,
    ) -> Result<(), Box<dyn Error>> {
        let cluster = &mut self.cluster;
        match name {
            "tick" => (0..count(args)?).for_each(|_| cluster.tick(id)),
            "campaign" => cluster.tick_until_campaign(id),
            "elect" => cluster.elect(id),
            "heartbeat" => cluster.send_heartbeat(id),
            "propose" => {
                while let Some(text) = args.next_pos() {
                    let index = cluster.propose_unsettled(id, text)?;
                    lines.push(format!("n{id} proposed {text} at {index}"));
                }
                cluster.settle(id);
            }
            "read" => {
                let token = cluster.read(id)?;
                lines.push(format!("n{id} read #{} asked", token.0));
            }
            "ask" | "forward" => run_any_server(cluster, name, id, args, lines)?,
            "propose-read-propose" => {
                let before = cluster.propose_unsettled(id, "before")?;
                let token = cluster.read_unsettled(id)?;
                let behind = cluster.propose_unsettled(id, "behind")?;
                lines.push(format!(
                    "n{id} proposed before at {before}, read #{token} asked, \
                     proposed behind at {behind}",
                    token = token.0
                ));
                cluster.settle(id);
            }
            "sync" | "answer" | "snapshot" => {
                for _ in 0..count(args)? {
                    match name {
                        "sync" => cluster.sync(id),
                        "answer" => cluster.answer(id),
                        _ => cluster.do_job(id),
                    };
                }
            }
            "slow-disk" | "fast-disk" | "slow-store" | "fast-store" | "slow-snapshots"
            | "fast-snapshots" => {
                self.set_speed(name, id)?;
            }
            "join" => cluster.add_node(id.0),
            "add" | "add-learner" | "remove" | "replace" | "promote" | "demote" | "cancel" => {
                let operation = member_operation(name, args)?;
                lines.push(text::change(id, &cluster.change(id, operation)));
            }
            "crash" => cluster.crash(id),
            "restart" => cluster.restart(id),
            "refuse" => {
                let peer = node_id(args.take_key("peer").ok_or("peer=")?)?;
                cluster.raft_mut(id).on_connection_refused(peer);
                cluster.settle(id);
            }
            _ => return Err(format!("unknown command {name}").into()),
        }
        Ok(())
    }

    /// Makes the disk, the store or the snapshots of a node slow or fast.
    fn set_speed(&mut self, name: &str, id: NodeId) -> Result<(), Box<dyn Error>> {
        let node = self.cluster.nodes.get_mut(&id).ok_or("no such node")?;
        let is_slow = name.starts_with("slow-");
        match name {
            "slow-disk" | "fast-disk" => node.slow.disk = is_slow,
            "slow-store" | "fast-store" => node.slow.store = is_slow,
            _ => node.slow.keeper = is_slow,
        }
        self.cluster.settle(id);
        Ok(())
    }

    fn run_network(
        &mut self,
        name: &str,
        args: &mut ArgumentConsumer<'_>,
    ) -> Result<(), Box<dyn Error>> {
        let from = args.take_key("from").map(node_id).transpose()?;
        let to = args.take_key("to").map(node_id).transpose()?;
        let rpc = args.take_key("rpc").map(str::to_string);
        let count = args.take_key("count").map(str::parse::<usize>).transpose()?;
        if name == "deliver" && from.is_none() && to.is_none() && rpc.is_none() && count.is_none() {
            self.cluster.deliver_all();
            return Ok(());
        }
        let fits = |m: &Envelope| {
            from.is_none_or(|id| id == m.from)
                && to.is_none_or(|id| id == m.to)
                && rpc.as_deref().is_none_or(|rpc| rpc == rpc_name(&m.rpc))
        };
        let wanted: Vec<usize> = (0..self.cluster.network.len())
            .filter(|place| fits(&self.cluster.network[*place]))
            .take(count.unwrap_or(usize::MAX))
            .collect();
        if wanted.is_empty() {
            return Err(format!("no message to {name}").into());
        }
        for (done, place) in wanted.into_iter().enumerate() {
            match name {
                "deliver" => self.cluster.deliver(place - done),
                "drop" => {
                    let lost = self.cluster.network.remove(place - done);
                    self.cluster.say(|| format!("{} (dropped)", text::envelope(&lost)));
                }
                _ => {
                    let copy = self.cluster.network[place].clone();
                    self.cluster.say(|| format!("{} (duplicated)", text::envelope(&copy)));
                    self.cluster.network.push(copy);
                }
            }
        }
        Ok(())
    }

    fn some_nodes(&self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<NodeId>, Box<dyn Error>> {
        let mut ids = Vec::new();
        while let Some(id) = args.next_pos() {
            ids.push(node_id(id)?);
        }
        Ok(if ids.is_empty() { self.cluster.ids() } else { ids })
    }
}

/// A client at any node.
fn run_any_server(
    cluster: &mut Cluster,
    name: &str,
    id: NodeId,
    args: &mut ArgumentConsumer<'_>,
    lines: &mut Vec<String>,
) -> Result<(), Box<dyn Error>> {
    if name == "ask" {
        let token = cluster.ask(id)?;
        lines.push(format!("n{id} read #{} asked", token.0));
        return Ok(());
    }
    while let Some(text) = args.next_pos() {
        let number = cluster.forward_unsettled(id, text)?;
        lines.push(format!("n{id} forwards {text} as {number}"));
    }
    cluster.settle(id);
    Ok(())
}

fn snapshot_rules(args: &mut ArgumentConsumer<'_>) -> Result<SnapshotRules, Box<dyn Error>> {
    let mut number = |name: &str, default: u64| args.take_key(name).map_or(Ok(default), str::parse);
    Ok(SnapshotRules {
        entries_max: number("every", u64::MAX)?,
        bytes_max: u64::MAX,
        keep_entries: number("keep", 0)?,
        piece_bytes: number("piece", 30)?,
        window_bytes: number("window", 60)?,
    })
}

fn new_cluster(
    args: &mut ArgumentConsumer<'_>,
    rules: SnapshotRules,
) -> Result<Cluster, Box<dyn Error>> {
    let mut disks = Vec::new();
    if let Some(nodes) = args.next_pos() {
        disks = vec![Durable::default(); nodes.parse()?];
    }
    while let Some((_, past)) = args.next_key() {
        let (terms, own) = past.split_once('@').unwrap_or((past, "0"));
        let terms: Vec<u64> = terms.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let term = terms.last().copied().unwrap_or(0).max(own.parse()?);
        let hard_state = HardState { current_term: Term(term), ..HardState::default() };
        disks.push(Durable::new(hard_state, log_of(&terms)));
    }
    let mut cluster = Cluster::with_snapshots(disks, 1, rules);
    cluster.trace = Some(Vec::new());
    Ok(cluster)
}

fn cluster_with_members(
    args: &mut ArgumentConsumer<'_>,
    rules: SnapshotRules,
) -> Result<Cluster, Box<dyn Error>> {
    let mut cluster = Cluster::with_members_and_snapshots(count(args)?, 1, rules);
    cluster.trace = Some(Vec::new());
    Ok(cluster)
}

fn member_operation(
    name: &str,
    args: &mut ArgumentConsumer<'_>,
) -> Result<MemberOperation, Box<dyn Error>> {
    let id: u64 = args.next_pos().ok_or("a server or a change")?.parse()?;
    Ok(match name {
        "add" => members::add(id),
        "add-learner" => members::add_learner(id),
        "remove" => members::remove(id),
        "promote" => members::promote(id),
        "demote" => members::demote(id),
        "cancel" => MemberOperation::Cancel { number: LogIndex(id) },
        _ => members::replace(id, args.next_pos().ok_or("the new server")?.parse()?),
    })
}

fn node_id(text: &str) -> Result<NodeId, Box<dyn Error>> {
    Ok(NodeId(text.trim_start_matches('n').parse()?))
}

fn count(args: &mut ArgumentConsumer<'_>) -> Result<u64, Box<dyn Error>> {
    Ok(args.next_pos().map_or(Ok(1), str::parse)?)
}

fn rpc_name(rpc: &Rpc) -> &'static str {
    match rpc {
        Rpc::AppendEntries(_) => "AppendEntries",
        Rpc::AppendEntriesResponse(_) => "AppendEntriesResponse",
        Rpc::RequestVote(_) => "RequestVote",
        Rpc::RequestVoteResponse(_) => "RequestVoteResponse",
        Rpc::PreVote(_) => "PreVote",
        Rpc::PreVoteResponse(_) => "PreVoteResponse",
        Rpc::RejoinRequest => "RejoinRequest",
        Rpc::RejoinResponse(_) => "RejoinResponse",
        Rpc::Forgotten(_) => "Forgotten",
        Rpc::StateCheck(_) => "StateCheck",
        Rpc::StateCheckResponse(_) => "StateCheckResponse",
        Rpc::StateDiverged(_) => "StateDiverged",
        Rpc::Remembered(_) => "Remembered",
        Rpc::TimeoutNow(_) => "TimeoutNow",
        Rpc::TransferVote(_) => "TransferVote",
        Rpc::TransferRefused => "TransferRefused",
        Rpc::Admitted(_) => "Admitted",
        Rpc::ReadIndex(_) => "ReadIndex",
        Rpc::ReadIndexResponse(_) => "ReadIndexResponse",
        Rpc::Forward(_) => "Forward",
        Rpc::Forwarded(_) => "Forwarded",
        Rpc::InstallSnapshot(_) => "InstallSnapshot",
        Rpc::InstallSnapshotResponse(_) => "InstallSnapshotResponse",
    }
}

const SCRIPTS: &str = "tests/scripts/raft";

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let mut script = Script { cluster: Cluster::new(1, 1), rules: SnapshotRules::NONE };
                let path = format!("{SCRIPTS}/{}.txt", stringify!($name));
                goldenscript::run(&mut script, path).expect("the script runs");
            }
        )*

        #[test]
        fn every_script_is_run() {
            let mut names: Vec<String> = std::fs::read_dir(SCRIPTS)
                .expect("the scripts are there")
                .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            let mut run = vec![$(format!("{}.txt", stringify!($name))),*];
            run.sort();
            assert_eq!(names, run);
        }
    };
}

scripts! {
    any_answer_of_an_earlier_term_counts_for_nothing,
    any_follower_that_becomes_leader_answers_by_itself,
    any_forward_to_a_node_that_does_not_lead_is_refused,
    any_forwarded_command_that_comes_twice_is_appended_once,
    any_forwarded_write_is_answered_where_it_was_sent,
    any_learner_reads_and_forwards,
    any_lost_answer_is_asked_for_again,
    any_new_leader_answers_with_its_no_op,
    any_node_without_a_leader_fails_its_reads_in_time,
    any_read_on_a_follower_waits_for_its_own_store,
    any_reads_that_come_later_need_another_question,
    any_word_about_a_forward_is_a_fact_in_every_term,
    append_divergent_tail_is_replaced_in_a_few_round_trips,
    append_duplicated_old_request_truncates_nothing,
    append_follower_acknowledges_when_its_disk_has,
    append_lost_and_reordered_requests_are_repaired,
    append_truncation_while_a_write_is_in_flight_confirms_nothing,
    commit_entry_of_an_older_term_is_not_committed_by_counting,
    commit_entry_of_its_own_term_commits_what_is_before_it,
    commit_follower_commits_no_further_than_the_request_vouches_for,
    commit_leader_does_not_count_itself_before_its_disk_has,
    commit_minority_writes_vanish_and_majority_writes_stay,
    commit_single_node_commits_after_its_own_sync,
    election_candidate_with_a_quorum_of_votes_leads,
    election_candidate_with_older_log_gets_no_vote,
    election_delayed_vote_of_an_older_term_does_not_count,
    election_higher_term_does_not_take_the_vote_with_it,
    election_leader_that_hears_no_quorum_steps_down,
    election_leader_that_reaches_only_a_bridge_gives_way,
    election_leader_with_a_stalled_disk_steps_down,
    election_longest_log_with_the_lowest_term_still_wins,
    election_pre_vote_is_refused_while_the_leader_lives,
    election_refused_connection_starts_the_pre_vote_early,
    election_split_vote_is_resolved_in_the_next_term,
    election_step_down_in_the_same_term_keeps_the_vote,
    election_vote_is_told_when_it_is_durable,
    joint_add_a_server_catches_up_and_becomes_a_voter,
    joint_commit_needs_a_majority_of_both_halves,
    joint_election_needs_a_majority_of_both_halves,
    joint_is_ended_by_the_next_leader,
    joint_leader_that_removes_itself_does_not_count_itself,
    joint_no_change_before_a_commit_in_the_own_term,
    joint_one_change_at_a_time,
    joint_uncommitted_membership_is_rolled_back,
    read_half_of_the_nodes_confirm_none,
    read_late_acknowledgements_release_no_later_one,
    read_on_a_new_leader_waits_for_its_no_op,
    read_partitioned_leader_answers_none,
    read_restarted_leader_answers_none_from_its_replayed_log,
    read_sees_its_session_s_earlier_writes_and_not_the_later_ones,
    restart_forgets_what_was_not_synced_and_was_not_promised,
    restart_store_gets_the_log_page_by_page,
    snapshot_crash_between_receiving_and_installing_is_finished_by_the_start,
    snapshot_follower_that_was_away_gets_one,
    snapshot_install_goes_on_after_the_connection_broke,
    snapshot_install_goes_on_under_another_leader,
    snapshot_new_node_gets_one,
    snapshot_taken_during_an_install_removes_nothing_that_it_needs,
}
