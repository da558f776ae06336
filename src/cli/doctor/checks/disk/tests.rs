//! Disks on both sides of their bounds.

use super::super::super::finding::Level;
use super::super::tests::{GIB, MIB, assert_one, assert_well, local, run, well_with, without};
use super::*;

/// With these a server may grow to 5 * 10 + 8 * 8 MiB of log and four snapshots.
const TABLES: &str = "[log]\nsegment_bytes = 8388608\n[snapshot]\nbytes_max = 10485760\n";

/// The outcome when server 1 is here and its disk is like this. Its newest snapshot has 1 MiB.
fn disk(free_bytes: u64, bytes: u64, sharers: usize) -> Diagnosis {
    let mut facts = well_with(TABLES);
    let disk = Some(Disk { device: 7, free_bytes, bytes });
    for server in &mut facts.servers[..sharers] {
        server.local = Some(Local { disk, log_bytes: 0, snapshot_bytes: 2 * MIB, ..local() });
    }
    run(check, &facts)
}

#[test]
fn there_is_room_for_the_next_snapshot_and_for_the_most_that_may_come() {
    let (least, most) = (17 * MIB, (114 + 4 - 2) * MIB);
    assert_well(&disk(most, 200 * MIB, 1));
    assert_one(&disk(most - 1, 200 * MIB, 1), Level::Warn, "by which log and snapshots may grow");
    assert_one(&disk(least, 200 * MIB, 1), Level::Warn, "17.0 MiB of 200.0 MiB are free");
    assert_one(&disk(least - 1, 200 * MIB, 1), Level::Fail, "what the next snapshot needs");
}

#[test]
fn a_disk_that_is_shared_by_servers_has_room_for_all() {
    let most = 2 * (114 + 4 - 2) * MIB;
    assert_well(&disk(most, GIB, 2));
    let diagnosis = disk(most - 1, GIB, 2);
    let warned = diagnosis.findings.iter().filter(|it| it.level == Level::Warn);
    assert_eq!(warned.count(), 2, "{diagnosis:?}");
}

#[test]
fn less_than_a_tenth_is_a_warning() {
    assert_well(&disk(10 * GIB, 100 * GIB, 1));
    assert_one(&disk(10 * GIB - 1, 100 * GIB, 1), Level::Warn, "less than a tenth");
}

#[test]
fn a_disk_that_is_not_here_is_judged_by_the_report_of_its_server() {
    let mut facts = well_with(TABLES);
    let Some(Ok(report)) = facts.servers[2].heard.report.as_mut() else { unreachable!() };
    report["disk_free_bytes"] = 0.into();
    let finding = assert_one(&run(check, &facts), Level::Fail, "0 B of 100.0 GiB are free");
    assert_eq!(finding.server.unwrap().0, 3);
    let diagnosis = run(check, &without(well_with(TABLES), 3));
    assert!(diagnosis.unchecked[0].starts_with("the disk of server 3"), "{diagnosis:?}");
}

#[test]
fn a_sync_is_slow_above_10_ms_and_not_to_be_borne_above_100() {
    let sync = |p99_ms: f64| {
        let mut facts = well_with(TABLES);
        let fsync = Ok(Fsync { count: 50, p50_ms: 1.0, p99_ms });
        facts.servers[0].local = Some(Local { fsync, ..local() });
        run(check, &facts)
    };
    assert_well(&sync(10.0));
    assert_one(&sync(10.1), Level::Warn, "50 syncs of 4 KiB at data/1: p50 1.0 ms, p99 10.1 ms");
    assert_one(&sync(100.0), Level::Warn, "more than 10.0 ms");
    assert_one(&sync(100.1), Level::Fail, "more than 100 ms");
}

#[test]
fn a_sync_that_was_reported_is_judged_alike_and_one_that_failed_is_a_warning() {
    let mut facts = well_with(TABLES);
    let Some(Ok(report)) = facts.servers[2].heard.report.as_mut() else { unreachable!() };
    report["fsync_p99_ms"] = 101.0.into();
    assert_one(&run(check, &facts), Level::Fail, "p99 101 ms in the last second");
    let mut facts = well_with(TABLES);
    let fsync = Err("data/1: Permission denied (os error 13)".to_owned());
    facts.servers[0].local = Some(Local { fsync, ..local() });
    assert_one(&run(check, &facts), Level::Warn, "Permission denied");
}
