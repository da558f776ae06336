//! Each actor's table of messages, in the doc of its file, names what its handlers take and
//! what its ports send.
//!
//! The column `in` names exactly the messages with a `Handler`; a message that is private
//! to the file may be left out. The column `out` (or `answer`) names at least the messages
//! of the `Recipient`s in the actor's ports, in its own fields and in the messages that it
//! takes, and nothing that it has no address for. A row may also name the variants of an
//! enum that the table names.

use std::collections::{BTreeMap, BTreeSet};

use super::actors::{Impl, impls, is_actor, path_name};
use super::lex::{self, CommentKind, Token, first_word};
use super::report::{self, Complaint};
use super::source::{Source, Tree};

/// The messages of one column, each with its line.
type Names = BTreeMap<String, usize>;

#[derive(Default)]
struct Table {
    takes: Names,
    sends: Names,
}

/// A struct or an enum of src/actors.
struct Definition {
    is_enum: bool,
    path: String,
    /// The messages of the recipients in it, each with its line.
    recipients: Names,
    /// The words in it.
    words: BTreeSet<String>,
}

type Definitions = BTreeMap<String, Definition>;

fn tables(tree: &Tree) -> Vec<Complaint> {
    let mut definitions = Definitions::new();
    let mut handlers = Vec::new();
    for source in tree.production().filter(|source| !source.is_testing()) {
        define(source, &mut definitions);
        let found = impls(source).into_iter().filter(|found| found.is_of("Handler"));
        handlers.extend(found.map(|found| (source.path.as_str(), found)));
    }
    let mut complaints = Vec::new();
    for source in tree.production().filter(|source| !source.is_testing()) {
        let actors = impls(source).into_iter().filter(|found| found.is_of("Actor"));
        let names: Vec<Impl> = actors.collect();
        let Some(first) = names.first() else { continue };
        let Some(table) = read_table(source) else {
            let rule = format!("{} has no table of its messages", first.of_type);
            complaints.push(Complaint::new(&source.path, first.line, rule));
            continue;
        };
        let actor = Actor { source, names: &names, definitions: &definitions, handlers: &handlers };
        actor.check_takes(&table, &mut complaints);
        actor.check_sends(tree, &table, &mut complaints);
    }
    complaints
}

struct Actor<'a> {
    source: &'a Source,
    /// The actors of the file: nearly always one.
    names: &'a [Impl],
    definitions: &'a Definitions,
    /// All handlers, each with its file.
    handlers: &'a [(&'a str, Impl)],
}

impl Actor<'_> {
    fn check_takes(&self, table: &Table, complaints: &mut Vec<Complaint>) {
        let mut handled = BTreeSet::new();
        for (path, handler) in self.handlers.iter().filter(|(_, found)| self.is(&found.of_type)) {
            let Some(message) = &handler.argument else { continue };
            handled.insert(message.as_str());
            if !is_private(self.source, message) && !table.takes.contains_key(message) {
                let rule = format!("the actor's table does not say that it takes {message}");
                complaints.push(Complaint::new(path, handler.line, rule));
            }
        }
        let named: Vec<&str> = table.takes.keys().map(String::as_str).collect();
        for (name, line) in &table.takes {
            if !handled.contains(name.as_str()) && !self.is_variant(name, &named) {
                let rule = format!("the table takes {name}, which has no Handler");
                complaints.push(Complaint::new(&self.source.path, *line, rule));
            }
        }
    }

    fn check_sends(&self, tree: &Tree, table: &Table, complaints: &mut Vec<Complaint>) {
        for (path, message, line) in self.required(tree) {
            if !table.sends.contains_key(&message) {
                let rule = format!("the actor's table does not say that it sends {message}");
                complaints.push(Complaint::new(&path, line, rule));
            }
        }
        let allowed = self.allowed(tree);
        let named: Vec<&str> = table.sends.keys().map(String::as_str).collect();
        for (name, line) in &table.sends {
            if !allowed.contains(name) && !self.is_variant(name, &named) {
                let rule = format!("the table sends {name}, for which the actor has no recipient");
                complaints.push(Complaint::new(&self.source.path, *line, rule));
            }
        }
    }

    fn is(&self, name: &str) -> bool {
        self.names.iter().any(|found| found.of_type == name)
    }

    fn handled(&self) -> impl Iterator<Item = &str> {
        let own = self.handlers.iter().filter(|(_, found)| self.is(&found.of_type));
        own.filter_map(|(_, found)| found.argument.as_deref())
    }

    /// True for a word in the definition of an enum that the table names.
    fn is_variant(&self, name: &str, named: &[&str]) -> bool {
        let definitions = named.iter().filter_map(|other| self.definitions.get(*other));
        definitions.into_iter().any(|other| other.is_enum && other.words.contains(name))
    }

    /// The actor's file, and the files below it, except those of other actors.
    fn files<'a>(&'a self, tree: &'a Tree) -> impl Iterator<Item = &'a Source> {
        let is_own = |other: &&Source| {
            other.path == self.source.path || self.source.is_above(other) && !is_actor(other)
        };
        tree.production().filter(is_own)
    }

    /// The messages of its ports, of its own recipients, and of the recipients in its messages.
    fn required(&self, tree: &Tree) -> Vec<(String, String, usize)> {
        let handled: BTreeSet<&str> = self.handled().collect();
        let mut required = Vec::new();
        for name in self.ports(tree).union(&handled) {
            let Some(definition) = self.definitions.get(*name) else { continue };
            for (message, line) in &definition.recipients {
                // An actor's own address is among its fields, too.
                if !(self.is(name) && handled.contains(message.as_str())) {
                    required.push((definition.path.clone(), message.clone(), *line));
                }
            }
        }
        required
    }

    /// The structs with its recipients: the actor, its ports, and the ports in them.
    fn ports<'a>(&'a self, tree: &'a Tree) -> BTreeSet<&'a str> {
        let files: BTreeSet<&str> = self.files(tree).map(|file| file.path.as_str()).collect();
        let is_own = |(name, definition): &(&String, &Definition)| {
            let is_ports = name.ends_with("Ports") || self.is(name);
            is_ports && files.contains(definition.path.as_str())
        };
        let own = self.definitions.iter().filter(is_own);
        let mut waiting: Vec<&str> = own.map(|(name, _)| name.as_str()).collect();
        let mut ports = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if let Some(definition) = self.definitions.get(name)
                && ports.insert(name)
            {
                let words = definition.words.iter().map(String::as_str);
                waiting.extend(words.filter(|word| word.ends_with("Ports")));
            }
        }
        ports
    }

    /// All messages that it may have an address for.
    fn allowed(&self, tree: &Tree) -> BTreeSet<String> {
        let mut allowed: BTreeSet<String> =
            self.required(tree).into_iter().map(|(_, message, _)| message).collect();
        for file in self.files(tree) {
            let tokens: Vec<Token> =
                file.tokens.iter().filter(|token| !token.is_test).cloned().collect();
            allowed.extend(arguments(&tokens, "Recipient").into_keys());
            for actor in arguments(&tokens, "Addr").into_keys() {
                let taken = self.handlers.iter().filter(|(_, found)| found.of_type == actor);
                allowed.extend(taken.filter_map(|(_, found)| found.argument.clone()));
            }
        }
        // The recipients in the messages that it takes, and in their parts.
        let mut waiting: Vec<&str> = self.handled().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if let Some(definition) = self.definitions.get(name)
                && seen.insert(name)
            {
                allowed.extend(definition.recipients.keys().cloned());
                waiting.extend(definition.words.iter().map(String::as_str));
            }
        }
        allowed
    }
}

/// True for a type that only this file knows.
fn is_private(source: &Source, name: &str) -> bool {
    let tokens = &source.tokens;
    (0..tokens.len().saturating_sub(1)).any(|at| {
        matches!(tokens[at].text.as_str(), "struct" | "enum")
            && tokens[at + 1].text == name
            && !(at > 0 && matches!(tokens[at - 1].text.as_str(), "pub" | ")"))
    })
}

fn define(source: &Source, definitions: &mut Definitions) {
    if !source.path.starts_with("src/actors/") && !is_actor(source) {
        return;
    }
    let tokens = &source.tokens;
    for at in 0..tokens.len().saturating_sub(1) {
        let is_definition = matches!(tokens[at].text.as_str(), "struct" | "enum")
            && tokens[at + 1].is_word()
            && !tokens[at].is_test;
        if !is_definition {
            continue;
        }
        let body = &tokens[at + 2..=lex::item_end(tokens, at)];
        let words = body.iter().filter(|token| token.is_word()).map(|token| token.text.clone());
        let definition = Definition {
            is_enum: tokens[at].text == "enum",
            path: source.path.clone(),
            recipients: arguments(body, "Recipient"),
            words: words.collect(),
        };
        // A private type of the same name elsewhere is no message.
        let name = &tokens[at + 1].text;
        if !(definitions.contains_key(name) && is_private(source, name)) {
            definitions.insert(name.clone(), definition);
        }
    }
}

/// The names in `generic<name>`, each with its first line.
fn arguments(tokens: &[Token], generic: &str) -> Names {
    let mut names = Names::new();
    for at in 0..tokens.len().saturating_sub(2) {
        if tokens[at].text == generic && tokens[at + 1].text == "<" {
            let mut inner = at + 2;
            if let Some(name) = path_name(tokens, &mut inner) {
                names.entry(name).or_insert(tokens[at].line);
            }
        }
    }
    names
}

/// The table in a file's doc whose first column is `in`.
fn read_table(source: &Source) -> Option<Table> {
    let doc = source.comments.iter().find(|comment| comment.kind == CommentKind::Inner)?;
    let rows = doc.lines.iter().enumerate().filter_map(|(number, line)| {
        let row = line.trim().strip_prefix('|')?.trim_end_matches('|');
        Some((doc.line + number, row.split('|').map(str::trim).collect::<Vec<_>>()))
    });
    let mut table = None;
    let mut out_column = None;
    for (line, cells) in rows {
        if cells[0] == "in" {
            out_column = cells.iter().position(|cell| matches!(*cell, "out" | "answer"));
            table = Some(Table::default());
        } else if let Some(table) = &mut table {
            let takes = message_names(cells[0]).map(|name| (name, line));
            table.takes.extend(takes);
            let out = out_column.and_then(|column| cells.get(column)).unwrap_or(&"");
            table.sends.extend(message_names(out).map(|name| (name, line)));
        }
    }
    table
}

/// The types in backquotes.
fn message_names(cell: &str) -> impl Iterator<Item = String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    let names = quoted.map(|path| path.rsplit("::").next().unwrap_or(path));
    let is_type = |name: &&str| {
        first_word(name) == *name && name.starts_with(|c: char| c.is_ascii_uppercase())
    };
    names.filter(is_type).map(str::to_owned)
}

#[test]
fn the_tables_of_actors_match_handlers_and_ports() {
    report::assert_none("tables", tables);
}

fn caught(table: &str) -> Vec<String> {
    let doc: String = table.lines().map(|line| format!("//! {line}\n")).collect();
    let actor = "pub struct LogPorts {\n raft: Recipient<LogPersisted>, peers: PeerPorts\n}\n\
                 impl Actor for LogActor {}\nimpl Handler<LogCommand> for LogActor {}\n\
                 impl Handler<Flush> for LogActor {}\nstruct Flush;\n";
    let messages = "pub enum LogCommand { Append(Append), Compact }\npub struct Append;\n\
                    pub struct ReadEntries { pub reply_to: Recipient<raft::EntriesRead> }\n\
                    pub struct PeerPorts { pub link: Recipient<SendRpc> }\n";
    let files = [
        ("src/actors/log/mod.rs", format!("{doc}\n{actor}")),
        ("src/actors/log/reads.rs", "impl Handler<ReadEntries> for LogActor {}\n".to_owned()),
        ("src/actors/messages/log.rs", messages.to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    report::found(tables, &files)
}

#[test]
fn a_table_that_matches_is_right() {
    let table = "Duty.\n\n| in | from | out | to |\n|---|---|---|---|\n\
                 | [`LogCommand`]: `Append`, `Compact` | x | `LogPersisted`, `SendRpc` | x |\n\
                 | `ReadEntries` | RaftActor | [`raft::EntriesRead`] | `RaftActor` |";
    assert_eq!(caught(table), Vec::<String>::new());
    let with_private = table.replace("`Append`, `Compact`", "`Flush`");
    assert_eq!(caught(&with_private), Vec::<String>::new());
}

#[test]
fn a_table_that_differs_is_found_on_its_line() {
    let log = "src/actors/log/mod.rs";
    assert_eq!(caught("Duty."), [format!("{log}:6: LogActor has no table of its messages")]);
    let table = "| in | from | out | to |\n|---|---|---|---|\n\
                 | `LogCommand` | x | `LogPersisted`, `EntriesRead`, `SendRpc` | x |\n\
                 | `ReadEntries`, `Tick` | x | `Applied` | x |";
    assert_eq!(
        caught(table),
        [
            format!("{log}:4: the table sends Applied, for which the actor has no recipient"),
            format!("{log}:4: the table takes Tick, which has no Handler"),
        ]
    );
    let table = "| in | from | answer |\n|---|---|---|\n| `Append` | x | `Flush` to y |";
    let missing = "the actor's table does not say that it";
    assert_eq!(
        caught(table),
        [
            format!("{log}:3: the table sends Flush, for which the actor has no recipient"),
            format!("{log}:3: the table takes Append, which has no Handler"),
            format!("{log}:6: {missing} sends LogPersisted"),
            format!("{log}:9: {missing} takes LogCommand"),
            "src/actors/log/reads.rs:1: ".to_owned() + missing + " takes ReadEntries",
            "src/actors/messages/log.rs:3: ".to_owned() + missing + " sends EntriesRead",
            "src/actors/messages/log.rs:4: ".to_owned() + missing + " sends SendRpc",
        ]
    );
}
