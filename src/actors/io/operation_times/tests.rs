use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn parts(times: &OperationTimes, ended_ms: u64) -> Vec<(Part, u64)> {
    let in_ms = |(part, took): (Part, Duration)| (part, took.as_millis() as u64);
    times.parts(ms(ended_ms)).map(in_ms).collect()
}

#[test]
fn the_parts_of_a_write_are_between_its_moments() {
    let mut times = OperationTimes::arrived("set", ms(100));
    times.propose(Some(ms(103)), Some(ms(153)));
    times.release(ms(160));
    let expected = [(Part::Queue, 3), (Part::Disk, 50), (Part::Network, 7), (Part::Apply, 1)];
    assert_eq!(parts(&times, 161), expected);
    assert_eq!(times.longest(ms(161)), Part::Disk);
}

#[test]
fn a_quorum_that_was_quicker_than_the_own_disk_adds_nothing_to_the_network() {
    let mut times = OperationTimes::arrived("set", ms(0));
    times.propose(Some(ms(1)), Some(ms(300)));
    times.release(ms(300));
    let expected = [(Part::Queue, 1), (Part::Disk, 299), (Part::Network, 0), (Part::Apply, 0)];
    assert_eq!(parts(&times, 300), expected);
}

#[test]
fn a_write_without_an_end_is_in_the_part_that_it_has_reached() {
    let mut times = OperationTimes::arrived("set", ms(0));
    assert_eq!(times.longest(ms(500)), Part::Queue);
    times.propose(None, None);
    assert_eq!(times.longest(ms(500)), Part::Queue);
    times.propose(Some(ms(1)), None);
    assert_eq!(parts(&times, 500)[1], (Part::Disk, 499));
    assert_eq!(times.longest(ms(500)), Part::Disk);
    times.propose(Some(ms(1)), Some(ms(2)));
    assert_eq!(parts(&times, 500)[2], (Part::Network, 498));
    assert_eq!(times.longest(ms(500)), Part::Network);
    times.release(ms(3));
    assert_eq!(times.longest(ms(500)), Part::Apply);
}

#[test]
fn a_read_that_is_asked_again_goes_on_from_its_first_round() {
    let mut times = OperationTimes::arrived("get", ms(10));
    times.read(ms(12));
    times.read(ms(200));
    times.release(ms(250));
    assert_eq!(parts(&times, 251), [(Part::Queue, 2), (Part::Round, 238), (Part::Apply, 1)]);
}

#[test]
fn a_forwarded_command_waits_for_its_entry_to_come_back() {
    let mut times = OperationTimes::arrived("set", ms(0));
    times.forward(ms(1));
    assert_eq!(times.longest(ms(90)), Part::Forward);
    times.release(ms(80));
    assert_eq!(parts(&times, 81), [(Part::Queue, 1), (Part::Forward, 79), (Part::Apply, 1)]);
}

#[test]
fn moments_of_two_threads_that_came_in_another_order_make_no_part_negative() {
    let mut times = OperationTimes::arrived("set", ms(10));
    // The sync ended before the batch was noted.
    times.propose(Some(ms(20)), Some(ms(19)));
    times.release(ms(30));
    assert_eq!(parts(&times, 31).iter().map(|(_, ms)| ms).sum::<u64>(), 21);
    assert_eq!(parts(&times, 31)[1], (Part::Disk, 0));
}
