//! `coracle member`, `leader` and `drain` against a server that a test speaks for: what is printed
//! and with which exit code, whatever the server says.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use common::code;

const BINARY: &str = env!("CARGO_BIN_EXE_coracle");

/// A server that gives the answers of a test.
struct Fake {
    address: String,
    /// The commands that it was given, in their order.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// A server that answers each command with what `answer` makes of it: lines without their
    /// ends, which are added.
    fn start(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let fake = Fake { address: address.clone(), heard: Arc::clone(&heard) };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, address) = (stream.unwrap(), address.clone());
                let (answer, heard) = (Arc::clone(&answer), Arc::clone(&heard));
                std::thread::spawn(move || {
                    let answer = |command: &str| {
                        heard.lock().unwrap().push(command.to_owned());
                        answer(command, &address)
                    };
                    serve(stream, answer)
                });
            }
        });
        fake
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(BINARY);
        command.args(line.split(' ')).args(["--server", &self.address]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// True when it was given this command, in so many words.
    fn was_asked(&self, command: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|heard| heard == command)
    }
}

fn serve(stream: TcpStream, answer: impl Fn(&str) -> String) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let reply: String =
            answer(line.trim_end()).lines().map(|line| format!("{line}\r\n")).collect();
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Checks the exit code, and that both outputs together have all these parts.
#[track_caller]
fn assert_says(output: &Output, exit_code: i32, parts: &[&str]) {
    let said = said(output);
    assert_eq!(code(output), exit_code, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

/// A report of three voters, of which 2 leads and answers at `address`, with further lines.
fn report(address: &str, further: &str) -> String {
    format!(
        "MEMBERS 3 2 3 1 3 leader 17 yes\n\
         MEMBER 1 voter follower 10.0.0.1:9001 10.0.0.1:1 seen_ms=0 behind=0 formats=1..3 \
         version=0.3.0\n\
         MEMBER 2 voter leader 10.0.0.2:9001 {address} formats=1..3 version=0.3.0\n\
         MEMBER 3 voter unseen 10.0.0.3:9001 10.0.0.3:1 seen_ms=240000 formats=1..2 \
         version=0.2.0\n{further}END\n"
    )
}

#[test]
fn the_table_has_all_members_and_the_sentences_below_it_who_counts() {
    let fake = Fake::start(|command, address| match command {
        "status" => "format 2\nupgrade_waits_for server 3 is not connected\nEND\n".into(),
        _ => report(
            address,
            "CHANGE 17 12000 add 6 as a voter; waits for: snapshot\nREMOVED 5 912\n",
        ),
    });
    let output = fake.run("member list");
    let expected = [
        "id  counts as  is        servers address  seen   behind   reads formats  binary\n",
        "1   voter      follower  10.0.0.1:9001    0 ms   0        1..3           0.3.0\n",
        "2   voter      leader    10.0.0.2:9001    -      -        1..3           0.3.0\n",
        "3   voter      unseen    10.0.0.3:9001    4 min  unknown  1..2           0.2.0\n",
        "3 voters, 2 needed, 3 here: can lose 1. ",
        "Format 3; format 4 waits: server 3 is not connected.\n",
        "change 17: add 6 as a voter; running 12 s; waits for: snapshot.\n",
        "removed: 5 (entry 912).\n",
    ];
    assert_says(&output, 0, &expected);
    let json = fake.run("member list --json");
    let said = said(&json);
    assert!(said.starts_with("{\"voters\":3,\"needed\":2,\"here\":3,\"can_lose\":1,"), "{said}");
    assert!(said.contains("\"waits_for\":\"snapshot\"") && said.lines().count() == 1, "{said}");
}

#[test]
fn without_a_leader_each_server_says_what_it_knows_and_that_it_may_be_old() {
    let fake = Fake::start(|_, _| {
        "MEMBERS 2 2 unknown unknown 3 1 31 no\n\
         MEMBER 1 voter unknown 10.0.0.1:9001 unknown\n\
         MEMBER 4 voter unknown 10.0.0.4:9001 unknown\nEND\n"
            .into()
    });
    let parts = [
        "No leader answered.\nAs server 1 knows it (entry 31, perhaps not committed):\n",
        "2 voters, 2 needed; who is here only a leader knows. Format 3.\n",
    ];
    assert_says(&fake.run("member list"), 0, &parts);
    assert_says(&fake.run("member list --json"), 0, &["\"is_leading\":false", "\"here\":null"]);
}

#[test]
fn a_text_of_a_server_cannot_move_the_cursor() {
    let fake = Fake::start(|command, address| match command {
        "member list" => {
            report(address, "CHANGE 17 1 add \u{1b}[2J as a voter; waits for: \u{202e}tob\u{7}\n")
                .replace("0.2.0", "\u{1b}]0;owned\u{7}")
        }
        "status" => "upgrade_waits_for \u{1b}[1m\nEND\n".into(),
        _ => "ERR_REFUSED no\u{1b}[2J\u{9b}1m\n".into(),
    });
    for command in
        ["member list", "member list --json", "member remove 1", "leader transfer", "drain 2"]
    {
        let said = said(&fake.run(command));
        let is_harmless = |it: char| it == '\n' || (!it.is_control() && it != '\u{202e}');
        assert!(said.chars().all(is_harmless), "{command}: {said:?}");
        assert!(said.contains("1b"), "{command}: {said:?}");
    }
}

#[test]
fn a_refusal_is_a_sentence_and_ends_with_1() {
    let fake = Fake::start(|command, address| match command {
        "member list" => report(address, ""),
        _ => "ERR_REFUSED one more failure stops all writes; bring 3 back; anyway: x\n".into(),
    });
    let parts = ["refused: one more failure stops all writes.\n  bring 3 back\n  anyway: x\n"];
    for command in [
        "member remove 1",
        "member remove 10.0.0.1:9001",
        "member demote 1 --can-lose 0",
        "member add 10.0.0.6:9001",
        "member replace 3 10.0.0.7:9001 --client 10.0.0.7:80",
        "member promote 1 --dry-run",
        "member update 1 --log 10.0.0.1:9005",
        "member cancel 17",
        "leader transfer --to 10.0.0.3:9001",
        "leader transfer --avoid 2",
    ] {
        assert_says(&fake.run(command), 1, &parts);
    }
    for asked in [
        "member remove 1",
        "member demote 1 can-lose 0",
        "member add 10.0.0.6:9001 10.0.0.6:9000",
        "member replace 3 10.0.0.7:9001 10.0.0.7:80",
        "member promote 1 dry-run",
        "member update 1 log 10.0.0.1:9005",
        "member cancel 17",
        "leader transfer to 3",
        "leader transfer avoid 2",
    ] {
        assert!(fake.was_asked(asked), "{asked}: {:?}", fake.heard.lock().unwrap());
    }
    assert_says(&fake.run("member remove 10.0.0.9:9001"), 1, &["no member has that address"]);
    assert_says(&fake.run("drain 9"), 1, &["refused: 9 is no member"]);
}

#[test]
fn the_same_again_is_already_so_and_a_plan_changes_nothing() {
    let fake = Fake::start(|command, address| match command {
        "member list" => report(address, ""),
        "member remove 1 dry-run" => "PLAN voters=3,2 needed=2,2 here=2,1 can_lose=0,none\n".into(),
        _ => "ALREADY\n".into(),
    });
    assert_says(&fake.run("member remove 4"), 0, &["already so: 4 is no member.\n"]);
    let add = fake.run("member add 10.0.0.1:9001");
    assert_says(&add, 0, &["already so: 1 is a voter at 10.0.0.1:9001.\n"]);
    assert_says(&fake.run("member promote 1 --json"), 0, &["{\"outcome\":\"already\"}\n"]);
    assert_says(&fake.run("leader transfer --to 2"), 0, &["already so: 2 leads.\n"]);
    let plan = "now:         3 voters, 2 needed, 2 here: can lose 0.\n\
                afterwards:  2 voters, 2 needed, 1 here: too few: writes wait.\n\
                Nothing was changed.\n";
    assert_says(&fake.run("member remove 1 --dry-run"), 0, &[plan]);
    let json = fake.run("member remove 1 --dry-run --json");
    assert_says(&json, 0, &["\"after\":{\"voters\":2,\"needed\":2,\"here\":1,\"can_lose\":-1}"]);
}

/// A server at which the change 17, add 6 as a voter, goes on and on.
fn busy() -> Fake {
    let learner = "MEMBER 6 learner catching 10.0.0.6:9001 10.0.0.6:1 seen_ms=1 behind=5 \
                   snapshot=62/100\nCHANGE 17 9 add 6 as a voter; waits for: snapshot\n";
    Fake::start(move |command, address| match command {
        "member list" => report(address, learner),
        "member add 10.0.0.6:9001 10.0.0.6:9000" => "CHANGE 17 6\n".into(),
        _ => "ERR_REFUSED change 17 (add 6 as a voter) is under way\n".into(),
    })
}

const GOES_ON: [&str; 2] = ["`coracle member wait 17`", "`coracle member cancel 17`"];

#[test]
fn a_change_that_is_waited_for_no_longer_goes_on_and_has_a_number() {
    let fake = busy();
    let add = "member add 10.0.0.6:9001";
    let first = "6 is a learner (change 17). On that machine:  coracle serve --join 10.0.0.2:9001 \
                 --id 6 --data-dir DIR\n";
    for line in [format!("{add} --timeout 0.3"), "member wait 17 --timeout 0.3".into()] {
        let output = fake.run(&line);
        assert_says(&output, 3, &GOES_ON);
        assert_says(&output, 3, &["not waited for any longer"]);
        // It was connected before `member wait` looked.
        assert_eq!(said(&output).contains("connected after"), line.contains("add"));
    }
    assert_says(&fake.run(&format!("{add} --timeout 0.3")), 3, &[first]);
    let no_wait = fake.run(&format!("{add} --no-wait"));
    assert_says(&no_wait, 0, &[first]);
    assert_eq!(said(&no_wait), first);
    let json = fake.run(&format!("{add} --timeout 0.3 --json"));
    assert_says(&json, 3, &["{\"outcome\":\"begun\",\"change\":17,\"id\":6,\"serve\":\"coracle "]);
    assert_says(&json, 3, &["{\"outcome\":\"running\",\"change\":17}\n"]);
}

#[test]
fn an_interrupt_stops_the_waiting_only() {
    let fake = busy();
    let mut waiting = fake.command("member add 10.0.0.6:9001").spawn().unwrap();
    let mut output = BufReader::new(waiting.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("connected after") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended");
    }
    interrupt(&waiting);
    let mut said = String::new();
    waiting.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(3), "{said}");
    assert!(GOES_ON.iter().all(|part| said.contains(part)), "{said}");
    assert!(said.starts_with("coracle: interrupted: change 17 goes on; "), "{said}");
}

fn interrupt(process: &Child) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

/// The server begins no change twice, so the command may be given again.
#[test]
fn a_change_whose_answer_was_lost_is_asked_for_again() {
    let tries = Mutex::new(0);
    let fake = Fake::start(move |command, address| {
        let mut tries = tries.lock().unwrap();
        *tries += u32::from(command.starts_with("member promote"));
        match command {
            "member list" => report(address, "ENDED 17 done promote 6\n"),
            _ if *tries == 1 => "ERR_TIMEOUT\n".into(),
            _ => "CHANGE 17 6\n".into(),
        }
    });
    assert_says(&fake.run("member promote 6"), 0, &["change 17: promote 6\nvoter. 3 voters, "]);
    let silent = Fake::start(|command, address| match command {
        "member list" => report(address, ""),
        _ => "ERR_TIMEOUT\n".into(),
    });
    let lost = silent.run("member promote 6 --timeout 0.5");
    assert_says(
        &lost,
        3,
        &["no answer, and no change is known to have begun", "`coracle member list`"],
    );
    let transfer = silent.run("leader transfer --timeout 0.5");
    assert_says(&transfer, 3, &["the leadership may have been handed over or not"]);
}

#[test]
fn a_change_that_was_taken_back_or_is_not_known_ends_with_1() {
    let fake = Fake::start(|_, address| report(address, "ENDED 17 cancelled add 6 as a voter\n"));
    assert_says(&fake.run("member wait 17"), 1, &["change 17 was taken back\n"]);
    assert_says(&fake.run("member wait 17 --json"), 1, &["{\"outcome\":\"cancelled\","]);
    assert_says(&fake.run("member wait 18"), 1, &["the leader knows no change 18: "]);
}

#[test]
fn a_new_voter_is_done_with_all_its_stages() {
    let looks = Mutex::new(0);
    let fake = Fake::start(move |command, address| {
        if command != "member list" {
            return "CHANGE 17 6\n".into();
        }
        let mut looks = looks.lock().unwrap();
        *looks += 1;
        let member = |kind: &str, state: &str, rest: &str| {
            format!("MEMBER 6 {kind} {state} 10.0.0.6:9001 10.0.0.6:1{rest}\n")
        };
        let running = "CHANGE 17 9 add 6 as a voter; waits for: round 1\n";
        let further = match *looks {
            ..=5 => member("learner", "unseen", "") + running,
            6..=7 => member("learner", "catching", " seen_ms=1 behind=9 snapshot=1/100") + running,
            8..=9 => member("learner", "catching", " seen_ms=1 behind=9") + running,
            10 => member("incoming", "follower", " seen_ms=1 behind=0") + running,
            _ => {
                member("voter", "follower", " seen_ms=1 behind=0")
                    + "ENDED 17 done add 6 as a voter\n"
            }
        };
        let report = report(address, &further);
        if *looks > 10 { report.replace("MEMBERS 3 2 3 1", "MEMBERS 4 3 3 0") } else { report }
    });
    let output = fake.run("member add 10.0.0.6:9001");
    let said = said(&output);
    assert_eq!(code(&output), 0, "{said}");
    let begins =
        ["6 is a learner", "connected after ", "snapshot ", "1 round", "voter. 4 voters, 3"];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{said}");
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{said}");
    let last = "voter. 4 voters, 3 needed, 3 here: can lose 0. (An even number tolerates no more.)";
    assert_eq!(lines[4], last);
}

/// The removed leader serves until a new one does. Its answer alone is not enough.
#[test]
fn a_removal_of_the_leader_is_done_when_a_leader_of_the_new_set_answers() {
    let looks = Mutex::new((0, 0));
    let fake = Fake::start(move |command, address| {
        let mut looks = looks.lock().unwrap();
        match command {
            "member list" => {
                looks.0 += 1;
                let ended = report(address, "ENDED 17 done remove 9\n");
                if looks.0 < 4 { ended.replace("voter leader", "voter follower") } else { ended }
            }
            "get coracle" => {
                looks.1 += 1;
                assert!(looks.0 >= 4, "a read proves nothing while no member leads");
                if looks.1 == 1 { "ERR_TIMEOUT\n".into() } else { "ERR_NOT_FOUND\n".into() }
            }
            _ => "CHANGE 17 9\n".into(),
        }
    });
    let output = fake.run("member remove 9");
    assert_says(&output, 0, &["change 17: remove 9\n9 is removed. 3 voters, 2 needed, 3 here"]);
    assert!(fake.was_asked("get coracle"));
}

#[test]
fn a_leader_that_has_committed_nothing_yet_is_asked_again_for_a_second() {
    let tries = Mutex::new(0);
    let too_early = "ERR_REFUSED this leader has committed nothing in its term yet: try again in a \
                     second\n";
    let fake = Fake::start(move |command, address| {
        let mut tries = tries.lock().unwrap();
        *tries += u32::from(command.starts_with("member remove"));
        match command {
            "member list" => report(address, ""),
            "member remove 1 dry-run" if *tries == 3 => {
                "PLAN voters=3,2 needed=2,2 here=3,2 can_lose=1,0\n".into()
            }
            _ => too_early.into(),
        }
    });
    assert_says(&fake.run("member remove 1 --dry-run"), 0, &["Nothing was changed."]);
    let again = fake.run("member remove 1");
    assert_says(&again, 1, &["refused: this leader has committed nothing in its term yet"]);
}

#[test]
fn all_are_in_step_when_each_was_heard_after_the_command_began() {
    let silent = Fake::start(|_, address| report(address, ""));
    let wait = "member wait --all-in-step";
    let output = silent.run(&format!("{wait} --timeout 0.5"));
    assert_says(&output, 3, &["coracle: not in step: 3 is not here\n"]);
    let looks = Mutex::new(0);
    let fake = Fake::start(move |_, address| {
        let mut looks = looks.lock().unwrap();
        *looks += 1;
        let (seen, behind) = match *looks {
            // It was stopped, and is still taken for living.
            ..=3 => ("999999", "0"),
            4 => ("0", "5000"),
            _ => ("0", "12"),
        };
        let three =
            format!("voter follower 10.0.0.3:9001 10.0.0.3:1 seen_ms={seen} behind={behind}");
        report(address, "").replace("voter unseen 10.0.0.3:9001 10.0.0.3:1 seen_ms=240000", &three)
    });
    let output = fake.run(wait);
    assert_says(&output, 0, &["all are in step. 3 voters, 2 needed, 3 here: can lose 1.\n"]);
    assert_eq!(fake.heard.lock().unwrap().len(), 5);
}

#[test]
fn a_server_is_drained_when_another_one_leads() {
    let looks = Mutex::new(0);
    let fake = Fake::start(move |command, address| {
        let mut looks = looks.lock().unwrap();
        *looks += u32::from(command == "member list");
        match command {
            "drain" | "undrain" => "OK\n".into(),
            _ if *looks < 4 => report(address, ""),
            _ => report(address, "")
                .replace("2 voter leader", "2 voter draining")
                .replace("1 voter follower", "1 voter leader"),
        }
    });
    assert_says(&fake.run("drain 2"), 0, &["2 is drained: ", "`coracle undrain 2` ends this.\n"]);
    assert!(fake.was_asked("drain"));
    assert_says(&fake.run("undrain 10.0.0.2:9001"), 0, &["2 can lead again.\n"]);
    let stuck = Fake::start(|command, address| match command {
        "drain" => "OK\n".into(),
        _ => report(address, ""),
    });
    assert_says(&stuck.run("drain 2 --timeout 0.3"), 3, &["2 is drained, and still leads: "]);
}

#[test]
fn no_answer_ends_with_3_and_a_wrong_command_with_2() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let run = |line: &str| common::coracle(&line.split(' ').collect::<Vec<_>>());
    for command in [
        "member list",
        "member add 10.0.0.6:9001",
        "member remove 10.0.0.6:9001",
        "member wait 17",
        "member wait --all-in-step",
        "leader transfer",
        "drain 2",
    ] {
        let output = run(&format!("{command} --timeout 0.3 --server {nobody}"));
        assert_eq!(code(&output), 3, "{command}: {}", said(&output));
    }
    for command in [
        "member",
        "member add",
        "member add 10.0.0.6",
        "member add 10.0.0.6:9001 --id 0",
        "member add 10.0.0.6:1",
        "member add 10.0.0.6:9001 --dry-run --no-wait",
        "member remove 0",
        "member remove 1 --force",
        "member update 1",
        "member wait",
        "member wait 17 --all-in-step",
        "member wait 17 --timeout -1",
        "leader transfer --to 1 --avoid 2",
        "drain",
        "member list --server nowhere",
        "member list --config /no/such/file",
    ] {
        let output = run(command);
        assert_eq!(code(&output), 2, "{command}: {}", said(&output));
    }
}
