use rand::SeedableRng;

use super::*;

fn drawn(workload: &Workload, count: usize) -> (usize, String) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut output = Vec::new();
    let reads =
        (0..count).filter(|_| workload.put_any(&mut rng, &mut output) == Kind::Read).count();
    (reads, String::from_utf8(output).unwrap())
}

fn uniform(keys: u64, value_bytes: usize, read_percent: u32) -> Workload {
    Workload::new(keys, Distribution::Uniform, value_bytes, read_percent)
}

#[test]
fn a_write_is_a_set_with_its_data_block() {
    let mut output = Vec::new();
    uniform(10, 30, 0).put_write(7, &mut output);
    assert_eq!(output, b"set k0000007 0 30\r\nabcdefghijklmnopqrstuvwxyzabcd\r\n");
}

#[test]
fn every_key_has_eight_bytes() {
    for (key, bytes) in [(0, b"k0000000"), (1_234_567, b"k1234567"), (9_999_999, b"k9999999")] {
        assert_eq!(&key_bytes(key), bytes);
    }
}

#[test]
fn reads_and_writes_come_in_the_given_proportion() {
    assert_eq!(drawn(&uniform(10, 1, 0), 100).0, 0);
    assert_eq!(drawn(&uniform(10, 1, 100), 100).0, 100);
    let reads = drawn(&uniform(10, 1, 90), 10_000).0;
    assert!((8_800..9_200).contains(&reads), "{reads} of 10,000 at 90 percent");
}

#[test]
fn every_key_is_drawn_and_none_beyond() {
    for distribution in Distribution::value_variants() {
        for keys in [1, 3] {
            let text = drawn(&Workload::new(keys, *distribution, 1, 100), 200).1;
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.dedup();
            let all = ["get k0000000", "get k0000001", "get k0000002"];
            assert_eq!(lines, all[..keys as usize], "{distribution:?}");
        }
    }
}

#[test]
fn keys_in_sequence_go_on_over_connections_and_begin_again() {
    let workload = Workload::new(5, Distribution::Sequential, 1, 50);
    let mut clients = [StdRng::seed_from_u64(1), StdRng::seed_from_u64(2)];
    let keys: Vec<u64> = (0..7).map(|turn| workload.draw(&mut clients[turn % 2]).1).collect();
    assert_eq!(keys, [0, 1, 2, 3, 4, 0, 1]);
}

#[test]
fn zipf_prefers_the_first_keys_as_it_should() {
    let workload = Workload::new(10_000, Distribution::Zipf, 1, 0);
    let mut rng = StdRng::seed_from_u64(1);
    let mut counts = [0_u32; 10_000];
    for _ in 0..100_000 {
        counts[workload.draw(&mut rng).1 as usize] += 1;
    }
    // The first key's share is one over the sum of n^-0.99: 0.0981. The tenth key's share is
    // 10^0.99 times smaller.
    assert!((9_300..10_300).contains(&counts[0]), "the first: {}", counts[0]);
    assert!((850..1_150).contains(&counts[9]), "the tenth: {}", counts[9]);
}
