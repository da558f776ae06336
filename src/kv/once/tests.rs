use bytes::Bytes;

use super::*;

impl OnceTable {
    /// Changes the number that is remembered of a client, and nothing else.
    pub(in crate::kv) fn change_seq(&mut self, name: &[u8], seq: u64) {
        self.by_name.get_mut(name).unwrap().seq = seq;
    }

    /// The digest, computed from the records.
    pub(in crate::kv) fn recomputed_digest(&self) -> u64 {
        self.by_name.iter().fold(0, |sum, (name, client)| {
            let ClientRecord { seq, outcome, last_used_ms, .. } = client;
            sum.wrapping_add(client_hash(name, *seq, outcome, *last_used_ms))
        })
    }
}

fn once(client: &'static str, seq: u64) -> Once {
    Once { client: Bytes::from(client), seq }
}

#[test]
fn a_full_table_takes_only_clients_that_it_knows() {
    let mut table = OnceTable::new(2);
    for client in ["a", "b"] {
        assert_eq!(table.outcome_without_executing(&once(client, 1), 0), Ok(None));
        table.executed(&once(client, 1), Outcome::Deleted.into(), 0).unwrap();
    }
    assert_eq!(table.outcome_without_executing(&once("c", 1), 0), Ok(Some(Outcome::Busy.into())));
    assert_eq!(table.outcome_without_executing(&once("a", 2), 0), Ok(None));
    assert_eq!(table.stored_len(), 2, "a refused client leaves no trace");

    // Two are hidden, and one makes room.
    assert_eq!(table.outcome_without_executing(&once("c", 1), CLIENT_SILENCE_MS), Ok(None));
    assert_eq!(table.stored_len(), 1);
    table.remove_hidden(CLIENT_SILENCE_MS, 10);
    assert_eq!(table.digest(), 0);
}

#[test]
fn a_hidden_client_counts_as_forgotten() {
    let mut table = OnceTable::new(1);
    table.executed(&once("a", 5), Outcome::Deleted.into(), 0).unwrap();
    let now = CLIENT_SILENCE_MS;
    assert!(!table.has_hidden(now - 1) && table.has_hidden(now));
    assert_eq!(
        table.outcome_without_executing(&once("a", 5), now),
        Ok(None),
        "it is executed again"
    );
    table.executed(&once("a", 5), Outcome::Full.into(), now).unwrap();
    assert_eq!(table.stored_len(), 0, "its place was given up for it");
    table.executed(&once("a", 5), Outcome::NotFound.into(), now).unwrap();
    let mut fresh = OnceTable::new(1);
    fresh.executed(&once("a", 5), Outcome::NotFound.into(), now).unwrap();
    assert_eq!(table, fresh);
}

#[test]
fn a_step_removes_so_many_clients_in_the_order_of_their_silence() {
    let mut table = OnceTable::new(CLIENTS_MAX);
    for (client, last_used_ms) in [("a", 3), ("b", 2), ("c", 1), ("d", 4)] {
        table.executed(&once(client, 1), Outcome::Deleted.into(), last_used_ms).unwrap();
    }
    table.remove_hidden(CLIENT_SILENCE_MS + 3, 2);
    let names = table.stored_from(Bound::Unbounded).map(|(name, _)| name[0]);
    assert_eq!(names.collect::<Vec<u8>>(), b"ad");
    table.remove_hidden(CLIENT_SILENCE_MS + 3, 2);
    assert_eq!((table.stored_len(), table.digest()), (1, table.recomputed_digest()));
}

#[test]
fn a_client_is_forgotten_an_hour_after_it_last_spoke_and_not_before() {
    let mut table = OnceTable::new(CLIENTS_MAX);
    table.executed(&once("a", 5), Outcome::Deleted.into(), 0).unwrap();
    // A retry, a stale number and a refusal each end the silence.
    assert_eq!(
        table.outcome_without_executing(&once("a", 5), 1),
        Ok(Some(Outcome::Deleted.into()))
    );
    table.remove_hidden(CLIENT_SILENCE_MS, 10);
    assert_eq!(table.outcome_without_executing(&once("a", 4), 2), Ok(Some(Outcome::Stale.into())));
    table.remove_hidden(CLIENT_SILENCE_MS + 1, 10);
    table.executed(&once("a", 6), Outcome::Full.into(), 3).unwrap();
    table.remove_hidden(CLIENT_SILENCE_MS + 2, 10);
    assert_eq!(table.digest(), table.recomputed_digest());
    assert_eq!(table.stored_len(), 1);
    table.remove_hidden(CLIENT_SILENCE_MS + 3, 10);
    assert_eq!((table.stored_len(), table.digest()), (0, 0));
}

#[test]
fn a_client_that_ends_leaves_nothing_and_ends_as_often_as_it_likes() {
    let mut table = OnceTable::new(2);
    for client in ["a", "b"] {
        table.executed(&once(client, 5), Outcome::Deleted.into(), 0).unwrap();
    }
    assert_eq!(table.outcome_without_executing(&once("c", 1), 0), Ok(Some(Outcome::Busy.into())));
    // The number may be that of its last command, or a higher one.
    for seq in [5, 5, 4, 1] {
        assert_eq!(table.end(&once("a", seq), 1), Ok(Outcome::Ended));
    }
    assert_eq!(table.outcome_without_executing(&once("c", 1), 1), Ok(None));
    assert_eq!(table.end(&once("b", 9), 1), Ok(Outcome::Ended));
    assert_eq!((table.stored_len(), table.digest()), (0, 0));
    assert_eq!(table, OnceTable::new(2), "nothing is left of them");
    // An unknown client has ended, although the table is full.
    for client in ["d", "e"] {
        table.executed(&once(client, 1), Outcome::Deleted.into(), 2).unwrap();
    }
    assert_eq!(table.end(&once("f", 1), 2), Ok(Outcome::Ended));
}

/// An old `end` may come late. It must not forget what the client has sent since (docs/bugs.md
/// C16).
#[test]
fn an_end_with_an_old_number_is_stale_and_forgets_nothing() {
    let mut table = OnceTable::new(CLIENTS_MAX);
    table.executed(&once("a", 5), Outcome::Deleted.into(), 0).unwrap();
    assert_eq!(table.end(&once("a", 4), 7), Ok(Outcome::Stale));
    assert_eq!(
        table.outcome_without_executing(&once("a", 5), 7),
        Ok(Some(Outcome::Deleted.into()))
    );
    table.remove_hidden(CLIENT_SILENCE_MS + 6, 10);
    assert_eq!(table.stored_len(), 1, "it has shown that it is alive");
    assert_eq!(table.digest(), table.recomputed_digest());
}

#[test]
fn a_command_that_is_refused_by_a_full_store_uses_no_number() {
    let mut table = OnceTable::new(CLIENTS_MAX);
    table.executed(&once("new", 1), Outcome::Full.into(), 0).unwrap();
    assert_eq!(table.stored_len(), 0);
    table.executed(&once("old", 1), Outcome::Deleted.into(), 0).unwrap();
    table.executed(&once("old", 2), Outcome::Full.into(), 0).unwrap();
    assert_eq!(table.outcome_without_executing(&once("old", 2), 0), Ok(None));
    assert_eq!(
        table.outcome_without_executing(&once("old", 1), 0),
        Ok(Some(Outcome::Deleted.into()))
    );
}
