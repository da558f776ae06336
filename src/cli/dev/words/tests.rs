use super::*;

const IDS: [NodeId; 2] = [NodeId(1), NodeId(12)];

#[test]
fn commands_are_a_letter_and_a_server() {
    for (line, word) in [
        ("k 1", Some(Word::Kill(NodeId(1)))),
        (" k12 ", Some(Word::Kill(NodeId(12)))),
        ("r 12", Some(Word::Restart(NodeId(12)))),
        ("l", Some(Word::Leader)),
        ("?", Some(Word::Help)),
        ("q\r", Some(Word::Quit)),
        ("", None),
        ("  ", None),
    ] {
        assert_eq!(parse(line, &IDS), Ok(word), "{line:?}");
    }
}

#[test]
fn a_wrong_command_is_told_what_is_right() {
    for line in ["k", "k 2", "r x", "k 1 12"] {
        let said = parse(line, &IDS).unwrap_err();
        assert!(said.starts_with("there is no server"), "{said}");
        assert!(said.ends_with("takes one of 1, 12"), "{said}");
    }
    for line in ["x 1", "leader", "quit", "?1"] {
        let said = parse(line, &IDS).unwrap_err();
        assert_eq!(said, format!("{line:?} is no command: {HELP}"));
    }
}
