use super::super::survey::tests::members;
use super::*;

const LEADER: &str = "MEMBERS 3 2 3 1 4 leader 17 yes\n\
                      MEMBER 1 voter follower 10.0.0.1:9001 10.0.0.1:9000 seen_ms=3 behind=0\n\
                      MEMBER 2 voter leader 10.0.0.2:9001 10.0.0.2:9000\n\
                      MEMBER 7 voter unseen 10.0.0.7:9001 unknown";

fn answer(address: &str, id: u64, lines: Option<&str>) -> Introduction {
    (address.to_owned(), Ok((NodeId(id), lines.map(members))))
}

fn silent(address: &str) -> Introduction {
    (address.to_owned(), Err(Error::Unavailable { last: format!("{address}: refused") }))
}

/// The servers as `id=address`, and the ids without an address.
fn found(introductions: &[Introduction]) -> (Vec<String>, Vec<u64>) {
    let (targets, unknown) = targets(introductions);
    let named = targets.iter().map(|target| format!("{}={}", target.id, target.client)).collect();
    (named, unknown.iter().map(|id| id.0).collect())
}

#[test]
fn one_server_names_the_others_and_keeps_the_address_at_which_it_answers() {
    let (servers, unknown) = found(&[answer("127.0.0.1:1", 1, Some(LEADER)), silent("h:1")]);
    assert_eq!(servers, ["1=127.0.0.1:1", "2=10.0.0.2:9000"]);
    assert_eq!(unknown, [7]);
}

#[test]
fn the_members_that_the_leader_names_are_taken_before_those_of_another() {
    let other = "MEMBERS 1 1 unknown unknown 4 1 99 no\n\
                 MEMBER 9 voter unknown 10.0.0.9:9001 10.0.0.9:9000";
    let (servers, _) = found(&[answer("a:1", 1, Some(other)), answer("b:1", 2, Some(LEADER))]);
    assert_eq!(servers, ["1=a:1", "2=b:1"]);
}

#[test]
fn a_server_that_does_not_tell_its_members_stands_for_itself() {
    assert_eq!(found(&[answer("a:1", 4, None)]), (vec!["4=a:1".to_owned()], vec![]));
    assert_eq!(found(&[silent("a:1")]), (vec![], vec![]));
}

#[tokio::test]
async fn when_nobody_answers_the_last_reason_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let source = Source::Addresses(vec![address.clone()]);
    let failure = Roster::of(source, Duration::from_secs(60), Duration::ZERO).await.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    let said = failure.to_string();
    assert!(said.starts_with(&format!("no server answered (last: {address}: ")), "{said}");
}
