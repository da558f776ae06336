//! An example for each command: the end of its `--help`, and the section EXAMPLES of its man page.

use clap::Command;

/// A command line as people type it, and the sentence that says what it is for.
pub struct Example {
    /// The command that it shows, without the program's name: empty for the program itself.
    command: &'static str,
    /// A whole sentence.
    pub sentence: &'static str,
    /// The line to type.
    pub typed: &'static str,
}

/// One row of the table.
const fn example(command: &'static str, sentence: &'static str, typed: &'static str) -> Example {
    Example { command, sentence, typed }
}

/// All examples. A test compares them with the commands that there are.
const EXAMPLES: &[Example] = &[
    example("", "Print who leads, and which servers can be reached.", "coracle status"),
    example("serve", "Run server 1 of the servers.toml in this directory.", "coracle serve --id 1"),
    example("get", "Print the value of the key greeting.", "coracle get greeting"),
    example(
        "dev",
        "Run five servers in one terminal; what they have is removed at the end.",
        "coracle dev --nodes 5",
    ),
    example(
        "set",
        "Write a value that is gone after a minute.",
        "coracle set greeting hello --exptime 60",
    ),
    example("add", "Write a value unless the key has one.", "coracle add greeting hello"),
    example(
        "cas",
        "Write a value if the key still has version 7.",
        "coracle cas greeting 7 goodbye",
    ),
    example("delete", "Remove the key greeting.", "coracle delete greeting"),
    example(
        "scan",
        "Print the first ten keys that begin with user/.",
        "coracle scan user/ --limit 10",
    ),
    example("watch", "Print each change of a key that begins with user/.", "coracle watch user/"),
    example(
        "history",
        "Print the values that the key greeting has had.",
        "coracle history greeting",
    ),
    example("compact", "Forget what the store was before revision 1000.", "coracle compact 1000"),
    example(
        "txn",
        "Execute the commands in the file move.txn at one moment.",
        "coracle txn move.txn",
    ),
    example("lease", "Grant a lease of thirty seconds.", "coracle lease grant 30"),
    example(
        "lease grant",
        "Grant a lease of thirty seconds, and print its id.",
        "coracle lease grant 30",
    ),
    example("lease renew", "Let the time of lease 42 begin anew.", "coracle lease renew 42"),
    example("lease revoke", "End lease 42, and remove its keys.", "coracle lease revoke 42"),
    example("lease info", "Print the seconds that lease 42 has left.", "coracle lease info 42"),
    example(
        "lock",
        "Run a script on one machine at a time.",
        "coracle lock nightly -- ./report.sh",
    ),
    example(
        "elect",
        "Lead, and tell others the address at which this process is reached.",
        "coracle elect scheduler 10.0.0.1:8080",
    ),
    example("status", "Print a line for each server of the cluster.", "coracle status"),
    example("top", "Print one table, and end.", "coracle top --once"),
    example(
        "member",
        "Print the members, and how many of them can be lost.",
        "coracle member list",
    ),
    example(
        "member list",
        "Print the members, and how many of them can be lost.",
        "coracle member list",
    ),
    example(
        "member add",
        "Add the server that other servers reach at this address.",
        "coracle member add 10.0.0.6:9001",
    ),
    example(
        "member remove",
        "Show what would follow from the removal of server 3.",
        "coracle member remove 3 --dry-run",
    ),
    example(
        "member replace",
        "Put a new server in the place of server 3, which is dead.",
        "coracle member replace 3 10.0.0.7:9001",
    ),
    example("member promote", "Make the learner 6 a voter.", "coracle member promote 6"),
    example("member demote", "Make the voter 6 a learner.", "coracle member demote 6"),
    example(
        "member update",
        "Record where the other servers reach server 3 now.",
        "coracle member update 3 --log 10.0.0.9:9001",
    ),
    example(
        "member wait",
        "Wait between the steps of a rolling restart.",
        "coracle member wait --all-in-step",
    ),
    example("member cancel", "Take back change 17.", "coracle member cancel 17"),
    example(
        "leader",
        "Have the best voter lead instead of the one that leads now.",
        "coracle leader transfer",
    ),
    example(
        "leader transfer",
        "Have any voter but server 2 lead.",
        "coracle leader transfer --avoid 2",
    ),
    example("drain", "Prepare the stop of server 2.", "coracle drain 2"),
    example("undrain", "Let server 2 lead again.", "coracle undrain 2"),
    example("upgrade", "Print the version of each server.", "coracle upgrade status"),
    example(
        "upgrade status",
        "Print each version, and what a newer format waits for.",
        "coracle upgrade status",
    ),
    example(
        "upgrade check",
        "Say whether servers of another program can take part.",
        "coracle upgrade check --to ./coracle-new",
    ),
    example("upgrade hold", "Keep the way back to the older program open.", "coracle upgrade hold"),
    example("upgrade release", "Let the format rise again.", "coracle upgrade release"),
    example("upgrade raise", "Put the next format in force now.", "coracle upgrade raise"),
    example(
        "upgrade formats",
        "Print the formats that this program reads.",
        "coracle upgrade formats",
    ),
    example("doctor", "Check the cluster, and print JSON for a program.", "coracle doctor --json"),
    example("debug", "Write an archive for those who look into a problem.", "coracle debug bundle"),
    example(
        "debug bundle",
        "Write an archive with the end of a log file.",
        "coracle debug bundle --log coracle.log",
    ),
    example("check", "Compare the stores of all servers.", "coracle check"),
    example("snapshot", "Save the data of the running cluster.", "coracle snapshot save backup"),
    example(
        "snapshot save",
        "Save the data of the running cluster into the file backup.",
        "coracle snapshot save backup",
    ),
    example(
        "snapshot inspect",
        "Read a backup to its end, and print what it is.",
        "coracle snapshot inspect backup",
    ),
    example(
        "snapshot restore",
        "Make the directories of all servers of a new cluster.",
        "coracle snapshot restore backup --config new/servers.toml --all",
    ),
    example(
        "export",
        "Write the keys that begin with user/ into the file users.jsonl.",
        "coracle export user/ --output users.jsonl",
    ),
    example(
        "import",
        "Write the keys of the file users.jsonl into the cluster.",
        "coracle import users.jsonl",
    ),
    example(
        "recover",
        "Print what is left in the directories of two stopped servers.",
        "coracle recover plan data/1 data/4",
    ),
    example(
        "recover plan",
        "Print what is left in the directories of two stopped servers.",
        "coracle recover plan data/1 data/4",
    ),
    example(
        "recover apply",
        "Begin the cluster orders-b with what server 1 has.",
        "coracle recover apply data/1 --with data/4 --new-cluster orders-b \
         --lose-what-these-alone-had 2,3,5",
    ),
    example(
        "bench",
        "Load the cluster for ten seconds, half of it with reads.",
        "coracle bench --duration-s 10 --read-percent 50",
    ),
    example(
        "log",
        "Read and check the log of a server that is down.",
        "coracle log verify --data-dir data/1",
    ),
    example(
        "log dump",
        "Print the entries of a server that is down, from the hundredth on.",
        "coracle log dump --data-dir data/1 --from 100",
    ),
    example(
        "log verify",
        "Read and check the log of a server that is down.",
        "coracle log verify --data-dir data/1",
    ),
    example(
        "config",
        "Check a servers.toml before a server is started with it.",
        "coracle config --config /etc/coracle/servers.toml",
    ),
    example(
        "completions",
        "Complete commands in the shells that bash starts from now on.",
        "coracle completions bash",
    ),
    example("man", "Write the man pages into a directory that exists.", "coracle man target/man"),
];

/// The example of a command, which is named without the program: empty for the program itself.
pub fn of(command: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.command == command)
}

/// Puts its example at the end of the help of a command, and of all below it.
pub fn add_to(command: Command) -> Command {
    add_below(command, "")
}

/// Likewise for the command whose name without the program is `path`.
fn add_below(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        add_below(below, path.trim_start())
    });
    let Some(Example { sentence, typed, .. }) = of(path) else { return command };
    let before = command.get_after_help().map(|help| format!("{help}\n\n")).unwrap_or_default();
    command.after_help(format!("{before}Example: {sentence}\n  {typed}"))
}

#[cfg(test)]
mod tests;
