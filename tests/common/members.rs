//! Clusters whose members change: servers that join, lists of members, and the leader of some.

use std::thread::JoinHandle;

use coracle::testing::drill::{Members, begun, change, free_ports, members_of, say, say_to_leader};

use super::gates::Gates;
use super::{Cluster, Node, Status};

/// Election timeouts for clusters whose term is compared: no pause of a busy machine may be taken
/// for the end of a leader.
pub const CALM: &str = "[raft]\nelection_timeout_ms = [1500, 3000]\n";

/// Election timeouts for clusters whose leaders are killed.
pub const BRISK: &str = "[raft]\nelection_timeout_ms = [300, 600]\n";

impl Cluster {
    /// Prepares servers that reach each other through gates.
    pub fn prepare_behind_gates(count: usize, settings: &str) -> Cluster {
        let mut cluster = Cluster::prepare_like(count, "127.0.0.1", settings);
        let gates = Gates::default();
        let ports = free_ports(count).expect("ports are free");
        for ((id, node), listen_port) in cluster.nodes.iter_mut().zip(ports) {
            gates.open(*id, node.log_port, listen_port);
            node.listen_port = Some(listen_port);
        }
        cluster.gates = Some(gates);
        cluster.write_settings(&cluster.ids());
        cluster
    }

    /// Starts all prepared servers, and waits until their members can be changed.
    pub fn start_members(&mut self) {
        self.ids().into_iter().for_each(|id| self.start_server(id));
        self.wait_until_changeable(&self.ids());
    }

    /// Waits until the members of these servers, which are all, can be changed: they are in the
    /// log, with their addresses.
    pub fn wait_until_changeable(&self, ids: &[u64]) {
        let leader = self.wait_for_leader_of(ids);
        self.wait_for("the members in the log", || {
            let plan = "member add 127.0.0.1:1 127.0.0.1:2 learner dry-run";
            self.say(leader, plan).starts_with("PLAN ").then_some(())
        });
        // The leader refuses changes while it raises the format once more.
        self.wait_for_highest_format();
        let list = self.wait_for_equal_lists(ids);
        assert_eq!(list.voters(), ids);
    }

    /// The gates of the servers.
    pub fn gates(&self) -> &Gates {
        self.gates.as_ref().expect("the cluster was prepared behind gates")
    }

    /// Cuts these servers off from all others.
    pub fn isolate(&self, ids: &[u64]) {
        self.gates().isolate(ids, &self.ids());
    }

    /// Prepares a server that is in no servers.toml: it will be started with `--join`, and ask
    /// server `asked`. Returns its id, which is the next one.
    pub fn prepare_joiner(&mut self, asked: u64) -> u64 {
        let id = self.ids().last().map_or(1, |id| id + 1);
        let ports = free_ports(3).expect("ports are free");
        let listen_port = self.gates.is_some().then_some(ports[2]);
        if let Some(gates) = &self.gates {
            gates.open(id, ports[1], ports[2]);
        }
        let joins = Some(self.log_address(asked));
        let (client_port, log_port) = (ports[0], ports[1]);
        self.nodes.insert(
            id,
            Node { client_port, door_port: None, log_port, listen_port, joins, process: None },
        );
        id
    }

    /// The arguments that a joining server begins with.
    pub(super) fn join_arguments(&self, id: u64) -> Vec<String> {
        let node = &self.nodes[&id];
        let joins = node.joins.clone().expect("the server was prepared as a joiner");
        let listen = format!("127.0.0.1:{}", node.listen_port.unwrap_or(node.log_port));
        let data_dir = self.directory.path().join("data").display().to_string();
        let arguments = [
            ("--join", joins),
            ("--data-dir", data_dir),
            ("--client-listen", self.address(id)),
            ("--log-listen", listen),
            ("--client-advertise", self.address(id)),
            ("--log-advertise", self.log_address(id)),
            ("--election-timeout-ms-min", "300".to_owned()),
            ("--election-timeout-ms-max", "600".to_owned()),
        ];
        arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    /// The words of a command that name the addresses of a server.
    pub fn addresses_of(&self, id: u64) -> String {
        format!("{} {}", self.log_address(id), self.address(id))
    }

    /// Starts a new server and has it added as a voter; returns its id.
    pub fn add_server(&mut self) -> u64 {
        self.add_with("")
    }

    /// Starts a new server and has it added as a learner; returns its id.
    pub fn add_learner(&mut self) -> u64 {
        self.add_with(" learner")
    }

    fn add_with(&mut self, more: &str) -> u64 {
        let asked = self.ids()[0];
        let id = self.prepare_joiner(asked);
        self.start_server(id);
        self.change(&format!("member add {} id {id}{more}", self.addresses_of(id)));
        id
    }

    /// The members as a server lists them; `None` if it does not answer.
    pub fn members(&self, id: u64) -> Option<Members> {
        members_of(&self.address(id))
    }

    /// Sends a command to a server; returns the first line of its reply.
    pub fn say(&self, id: u64, command: &str) -> String {
        say(&self.address(id), command).expect("the server runs, and answers")
    }

    /// Sends a command to the leader, whoever that is.
    pub fn say_to_leader(&self, command: &str) -> String {
        say_to_leader(&self.running_addresses(), command).expect("a leader answers")
    }

    /// Has the members changed, and waits until that is done; returns the id of the member.
    pub fn change(&self, command: &str) -> u64 {
        change(&self.running_addresses(), command).expect("the change is allowed, and ends")
    }

    /// Begins a change of the members; returns its number.
    pub fn begin(&self, command: &str) -> u64 {
        let reply = self.say_to_leader(command);
        begun(&reply).unwrap_or_else(|| panic!("{command} was answered by {reply}")).0
    }

    /// Sends a command to a server in a thread of its own, which ends with the server at the
    /// latest.
    pub fn say_aside(&self, id: u64, command: &str) -> JoinHandle<Option<String>> {
        let (address, command) = (self.address(id), command.to_owned());
        std::thread::spawn(move || say(&address, &command))
    }

    /// The ids of the servers that run.
    pub fn running(&self) -> Vec<u64> {
        let running = self.nodes.iter().filter(|(_, node)| node.process.is_some());
        running.map(|(id, _)| *id).collect()
    }

    /// The addresses of the servers that run, for clients.
    pub fn running_addresses(&self) -> Vec<String> {
        self.running().into_iter().map(|id| self.address(id)).collect()
    }

    /// Waits until these servers follow the same living leader, which is one of them; returns
    /// its id.
    pub fn wait_for_leader_of(&self, ids: &[u64]) -> u64 {
        self.wait_for(&format!("one leader of {ids:?}"), || {
            let statuses: Option<Vec<Status>> = ids.iter().map(|id| self.status(*id)).collect();
            let statuses = statuses?;
            let leader = statuses.iter().find(|status| status["role"] == "leader")?;
            let follows = |status: &Status| {
                status["leader"] == leader["id"] && status["term"] == leader["term"]
            };
            let id = leader["id"].parse().expect("an id is a number");
            statuses.iter().all(follows).then_some(id)
        })
    }

    /// A value of a server's status.
    pub fn value(&self, id: u64, name: &str) -> String {
        let status = self.wait_for("a status", || self.status(id));
        status.get(name).cloned().unwrap_or_default()
    }

    /// Waits until a server has this role.
    pub fn wait_for_role(&self, id: u64, role: &str) -> Status {
        self.wait_for(&format!("server {id} to be {role}"), || {
            self.status(id).filter(|status| status["role"] == role)
        })
    }

    /// Waits until these servers list the same members, by the same committed entry, and no
    /// change is under way; returns the list.
    pub fn wait_for_equal_lists(&self, ids: &[u64]) -> Members {
        self.wait_for(&format!("equal lists of the members on {ids:?}"), || {
            let lists: Option<Vec<Members>> = ids.iter().map(|id| self.members(*id)).collect();
            let lists = lists?;
            let first = lists.first()?;
            let is_equal = |list: &Members| {
                list.record() == first.record()
                    && list.sums[6..] == first.sums[6..]
                    && list.sums[7] == "yes"
                    && list.change.is_none()
                    && list.ended == first.ended
                    && list.removed == first.removed
            };
            lists.iter().all(is_equal).then(|| first.clone())
        })
    }

    /// Waits until these servers have applied the same log, and compares their stores.
    pub fn assert_equal_stores(&self, ids: &[u64]) {
        let statuses = self.wait_for(&format!("{ids:?} to apply the same log"), || {
            let statuses: Option<Vec<Status>> = ids.iter().map(|id| self.status(*id)).collect();
            let statuses = statuses?;
            let last = &statuses.first()?["last_log_index"];
            let is_done = |status: &Status| {
                status["last_log_index"] == *last && status["last_applied"] == *last
            };
            statuses.iter().all(is_done).then(|| statuses.clone())
        });
        for status in &statuses {
            assert_eq!(status["store_digest"], statuses[0]["store_digest"], "{statuses:#?}");
        }
    }

    /// Waits until the log of a server has a line with all of these words; returns the line.
    pub fn wait_for_log(&self, id: u64, words: &[&str]) -> String {
        self.wait_for(&format!("{words:?} in the log of server {id}"), || {
            let log = self.log(id);
            let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
            log.lines().find(has_all).map(str::to_owned)
        })
    }

    /// True when the process of a server that was started has ended by itself.
    pub fn has_ended(&self, id: u64) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.pid(id)));
        // Its parent, this test, has not waited for it yet, so it is a zombie.
        state.map_or(true, |state| {
            state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
        })
    }

    /// Forgets the process of a server that has ended by itself.
    pub fn forget_process(&mut self, id: u64) {
        self.wait_for_end(id);
    }

    /// The port at which other servers reach a server.
    pub fn log_port(&self, id: u64) -> u16 {
        self.nodes[&id].log_port
    }

    /// Gives every server other ports and another host's name, in servers.toml.
    pub fn move_all(&mut self, hostname: &str) {
        hostname.clone_into(&mut self.hostname);
        let ports = free_ports(2 * self.nodes.len()).expect("ports are free");
        for (node, ports) in self.nodes.values_mut().zip(ports.chunks(2)) {
            (node.client_port, node.log_port) = (ports[0], ports[1]);
        }
        self.write_settings(&self.ids());
    }
}
