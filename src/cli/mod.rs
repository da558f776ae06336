//! The commands of the command line.
//!
//! The exit codes of all commands are in one table, in `failure`. Errors are a sentence on stderr,
//! a refusal with what to do on lines of their own, and stdout holds nothing but what was asked
//! for.

mod assets;
mod bench;
mod changes;
mod check;
mod cluster;
mod data;
mod debug;
mod dev;
mod doctor;
mod drain;
mod elect;
mod endpoints;
mod examples;
mod export;
mod failure;
mod guarded;
mod import;
mod item;
mod json;
mod key_lines;
mod leader;
mod lease;
mod lock;
mod log;
mod logging;
mod member;
mod new_file;
mod output;
mod paint;
mod prompt;
mod recover;
mod roster;
mod scan;
mod serve;
mod snapshot;
mod status;
mod survey;
mod text;
mod top;
mod txn;
mod typed;
mod upgrade;
mod watch;
mod words;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use coracle::config::Server;
use coracle::types::Member;

use self::endpoints::ConfigFile;
use self::failure::{Failure, exit_codes};
use self::json::{AsJson, Object, json_list};

/// A replicated key-value store. Without a command, on a terminal, it is a prompt for commands
#[derive(Debug, Parser)]
#[command(name = "coracle", version, after_help = exit_codes())]
pub struct Cli {
    #[command(flatten)]
    color: colorchoice_clap::Color,
    #[command(flatten)]
    prompt: prompt::PromptOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one server in the foreground; SIGTERM or SIGINT stops it
    Serve(serve::ServeCommand),
    /// Run a cluster for developers on this machine, all of it in this terminal
    #[command(after_help = dev::KEYS)]
    Dev(dev::DevCommand),
    #[command(flatten)]
    Data(data::DataCommand),
    /// Print keys and values in byte order: a line "key version seconds size", then the value on a
    /// line
    #[command(after_help = scan::FORM)]
    Scan(scan::ScanCommand),
    /// Print the changes of keys as they happen, or since a revision: a line "set key revision
    /// seconds size", then the value and a line end; "deleted key revision"; "expired key revision"
    Watch(watch::WatchCommand),
    /// Print the values that a key has had, as far back as they are kept, as `watch` does
    History(watch::HistoryCommand),
    /// Forget what the store was before a revision, and print the oldest one that can be read
    Compact(watch::CompactCommand),
    /// Execute the commands of a script at one moment: all of them, or none
    #[command(after_help = txn::GRAMMAR)]
    Txn(txn::TxnCommand),
    /// Keys that go together when nobody renews what they are tied to
    #[command(subcommand)]
    Lease(lease::LeaseCommand),
    /// Run a command while holding a lock; it is ended when the lock is lost
    #[command(after_help = lock::PROMISES)]
    Lock(lock::LockCommand),
    /// Lead among all who ask for the same name, or tell who leads
    Elect(elect::ElectCommand),
    /// Become a command that ends with its parent; `lock` and `dev` start theirs so
    #[command(hide = true)]
    Guarded(guarded::GuardedCommand),
    /// Ask every server how it is, and print one table
    Status(status::StatusCommand),
    /// Show all servers in one table, anew each second: roles, lags, rates, latencies, sizes
    #[command(after_help = top::KEYS)]
    Top(top::TopCommand),
    /// Show and change the members of the cluster while it runs
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Hand the leadership over
    #[command(subcommand)]
    Leader(leader::LeaderCommand),
    /// Prepare the stop of a server: it hands over, and is nobody's choice for a leader
    Drain(drain::DrainCommand),
    /// End what `drain` began, without a restart
    Undrain(drain::DrainCommand),
    /// Show the format of the cluster, hold it where it is or raise it, and check another program
    #[command(subcommand)]
    Upgrade(upgrade::UpgradeCommand),
    /// Check settings, disks, clocks, ports, limits, versions and members, and say what to change
    Doctor(doctor::DoctorCommand),
    /// Gather what those need who look into a problem
    #[command(subcommand)]
    Debug(debug::DebugCommand),
    /// Compare the stores of all servers
    Check(check::CheckCommand),
    /// Back up a cluster, look into a backup, and begin a new cluster with it
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Write the keys of the running cluster as lines of JSON, all as they were at one revision
    Export(export::ExportCommand),
    /// Write the keys of an export into the running cluster; done again, it changes nothing
    Import(import::ImportCommand),
    /// Begin a new cluster with what is left after the data of a majority was lost
    #[command(subcommand)]
    Recover(recover::RecoverCommand),
    /// Load the cluster, and measure throughput and latency
    Bench(bench::BenchCommand),
    /// Look into the log of a server that is down
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Check servers.toml and print a line a server: id, hostname, client port, log port, HTTP
    /// port or -, directory
    Config(ConfigCommand),
    /// Print the script that has a shell complete commands and options
    Completions(assets::CompletionsCommand),
    /// Write the man pages, for a package
    #[command(hide = true)]
    Man(assets::ManCommand),
}

impl Cli {
    /// Reads the command line of this process. Ends the process when it asks for help, or cannot be
    /// understood.
    pub fn from_command_line() -> Cli {
        let program = examples::add_to(Cli::command());
        // Without a terminal there is nobody for a prompt.
        let needs_command = !prompt::is_wanted();
        let program = program.subcommand_required(needs_command);
        let matches = program.arg_required_else_help(needs_command).get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what the command line asks for.
    pub fn run(self) -> Result<(), Failure> {
        self.color.write_global();
        let Some(command) = self.command else { return self.prompt.run(Cli::command()) };
        self.prompt.refuse_before_command()?;
        match command {
            Command::Serve(command) => command.run(),
            Command::Dev(command) => command.run(),
            Command::Data(command) => command.run(),
            Command::Scan(command) => command.run(),
            Command::Watch(command) => command.run(),
            Command::History(command) => command.run(),
            Command::Compact(command) => command.run(),
            Command::Txn(command) => command.run(),
            Command::Lease(command) => command.run(),
            Command::Lock(command) => command.run(),
            Command::Elect(command) => command.run(),
            Command::Guarded(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Top(command) => command.run(),
            Command::Member(command) => command.run(),
            Command::Leader(command) => command.run(),
            Command::Drain(command) => command.drain(),
            Command::Undrain(command) => command.undrain(),
            Command::Upgrade(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Debug(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Snapshot(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Recover(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Log(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Completions(command) => command.run(Cli::command()),
            Command::Man(command) => command.run(Cli::command()),
        }
    }
}

#[derive(Args, Debug)]
struct ConfigCommand {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    json: AsJson,
}

impl ConfigCommand {
    fn run(self) -> Result<(), Failure> {
        let settings = self.file.load()?;
        let servers = || settings.servers.values();
        let object = || Object::new().text("cluster", &settings.cluster);
        self.json.print(
            || object().raw("servers", json_list(servers().map(server_object))),
            || servers().map(server_line).collect(),
        )
    }
}

fn server_object(server: &Server) -> Object {
    let Member { peer, client } = &server.advertised;
    Object::new()
        .raw("id", server.id)
        .text("client_address", &client.to_string())
        .text("log_address", &peer.to_string())
        .optional_text("http_address", server.http_address().map(|it| it.to_string()).as_deref())
        .text("data_dir", &server.data_dir.display().to_string())
}

/// The line of a server. The directory is the last, because it may have spaces.
fn server_line(server: &Server) -> String {
    let (id, Member { peer, client }) = (server.id, &server.advertised);
    let http = server.http_address().map_or("-".to_owned(), |http| http.port.to_string());
    let directory = server.data_dir.display();
    format!("{id} {} {} {} {http} {directory}\n", client.host, client.port, peer.port)
}

#[cfg(test)]
mod tests;
