use std::time::{Duration, Instant};

use crate::client::tests::{Act, Fake, client, patient, say};
use crate::client::{Error, LeaseLost};

/// Waits until a server has received so many commands that begin with `word`.
async fn received(fake: &Fake, word: &str, count: usize) {
    let has_come = || fake.received().iter().filter(|line| line.starts_with(word)).count() >= count;
    while !has_come() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn id_in(line: &str) -> &str {
    line.split_whitespace().last().unwrap()
}

#[tokio::test]
async fn the_commands_of_leases_pass_as_the_protocol_says() {
    let script = vec![
        say("LEASE 7 10"),
        say("LEASE 7 10"),
        say("LEASE 7 9\r\nKEY a\r\nKEY b\r\nEND"),
        say("REVOKED"),
        say("ERR_NO_LEASE"),
        say("ERR_NO_LEASE"),
        say("ERR_LEASE_EXISTS"),
        say("OK 5"),
        say("ERR_NO_LEASE"),
    ];
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    assert_eq!(client.grant_as(7, 10).await, Ok(()));
    assert_eq!(client.renew(7).await, Ok(10));
    let info = client.lease_info(7).await.unwrap();
    assert_eq!((info.id, info.left, info.more), (7, 9, false));
    assert_eq!(info.keys, [b"a", b"b"]);
    assert_eq!(client.revoke(7).await, Ok(true));
    assert_eq!(client.revoke(7).await, Ok(false));
    assert_eq!(client.renew(7).await, Err(Error::NoLease));
    assert_eq!(client.grant_as(7, 10).await, Err(Error::LeaseExists));
    assert_eq!(client.set_with_lease("a", 0, b"x", 7).await, Ok(5));
    assert_eq!(client.add_with_lease("a", 3, b"x", 7).await, Err(Error::NoLease));
    assert!(matches!(client.grant_as(0, 10).await, Err(Error::InvalidArgument(_))));
    let received = fake.received();
    let expected = ["grant 10 7", "renew 7", "lease 7", "revoke 7", "revoke 7", "renew 7"];
    assert_eq!(received[..6], expected.map(|line| format!("{line}\r\n")));
    assert!(received[7].ends_with(" set a 0 1 lease 7\r\nx\r\n"), "{}", received[7]);
    assert!(received[8].ends_with(" add a 3 1 lease 7\r\nx\r\n"), "{}", received[8]);
}

/// The first try has granted the lease, and its reply was lost: no second one is granted.
#[tokio::test]
async fn a_lease_whose_grant_got_no_reply_is_found_by_the_next_try() {
    let fake = Fake::start(vec![Act::Close, say("ERR_LEASE_EXISTS")]).await;
    let mut client = client(&[&fake], patient()).await;
    let id = client.grant(10).await.unwrap();
    let received = fake.received();
    assert_eq!(received, [format!("grant 10 {id}\r\n"), format!("grant 10 {id}\r\n")]);
}

#[tokio::test]
async fn a_lease_whose_revocation_got_no_reply_is_gone_at_the_next_try() {
    let fake = Fake::start(vec![Act::Close, say("ERR_NO_LEASE")]).await;
    let mut client = client(&[&fake], patient()).await;
    assert_eq!(client.revoke(7).await, Ok(false));
}

#[tokio::test]
async fn a_lease_is_renewed_for_longer_than_its_time() {
    let fake = Fake::start(vec![say("LEASE 7 1")]).await;
    let mut client = client(&[&fake], patient()).await;
    let begun = Instant::now();
    let lease = client.lease(1).await.unwrap();
    received(&fake, "renew", 5).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "a third of it lies between two");
    assert!(lease.is_alive());
    assert!(lease.remaining() <= Duration::from_millis(980));
}

#[tokio::test]
async fn a_lease_that_the_servers_have_ended_is_lost() {
    let fake = Fake::start(vec![say("LEASE 7 1"), say("LEASE 7 1"), say("ERR_NO_LEASE")]).await;
    let mut client = client(&[&fake], patient()).await;
    let lease = client.lease(1).await.unwrap();
    lease.ended().await;
    assert_eq!(lease.lost().await, LeaseLost::Ended);
    assert!(!lease.is_alive());
    assert_eq!(lease.revoke().await, Ok(false));
}

#[tokio::test]
async fn a_lease_that_nobody_renews_is_lost_before_its_time_and_may_be_found_again() {
    let script = vec![say("LEASE 7 1"), Act::Ignore, Act::Ignore, Act::Ignore, Act::Ignore];
    let silent = Fake::start(script).await;
    let mut client = client(&[&silent], patient()).await;
    let begun = Instant::now();
    let lease = client.lease(1).await.unwrap();
    assert_eq!(lease.lost().await, LeaseLost::Unconfirmed);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(!lease.is_alive());
    // The task has not given up: a lease outlives an outage by the time of the outage.
    drop(lease);
    received(&silent, "revoke", 1).await;
}

#[tokio::test]
async fn a_lease_that_is_renewed_after_an_outage_is_alive_again() {
    let mut script = vec![say("LEASE 7 1")];
    script.extend((0..40).map(|_| say("ERR_NO_LEADER")));
    script.push(say("LEASE 7 60"));
    let fake = Fake::start(script).await;
    let mut client = client(&[&fake], patient()).await;
    let lease = client.lease(1).await.unwrap();
    assert_eq!(lease.lost().await, LeaseLost::Unconfirmed);
    while !lease.is_alive() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(lease.remaining() > Duration::from_secs(50));
}

#[tokio::test]
async fn a_lease_that_is_dropped_is_revoked_and_one_that_is_left_is_not() {
    let fake = Fake::start(vec![say("LEASE 7 60")]).await;
    let mut client = client(&[&fake], patient()).await;
    let lease = client.lease(60).await.unwrap();
    let id = lease.id().to_string();
    drop(lease);
    received(&fake, "revoke", 1).await;
    let revoke = fake.received().pop().unwrap();
    assert_eq!(id_in(&revoke), id);

    let lease = client.lease(60).await.unwrap();
    let id = lease.id().to_string();
    lease.leave();
    // A lease that is left does not come to the server any more, a later one does.
    drop(client.lease(60).await.unwrap());
    received(&fake, "revoke", 2).await;
    let revoked: Vec<String> =
        fake.received().into_iter().filter(|line| line.starts_with("revoke")).collect();
    assert!(revoked.iter().all(|line| id_in(line) != id), "{revoked:?}");
}

#[tokio::test]
async fn a_revocation_waits_for_its_answer() {
    let fake = Fake::start(vec![say("LEASE 7 60"), say("REVOKED")]).await;
    let mut client = client(&[&fake], patient()).await;
    let lease = client.lease(60).await.unwrap();
    assert_eq!(lease.revoke().await, Ok(true));
    assert_eq!(fake.received().len(), 2);
}
