//! Random calls in a random order, compared with a plain list of entries.

use proptest::prelude::*;

use super::*;
use crate::storage::log::files::spare_numbers;
use crate::storage::log::pool::POOL_FILES_MAX;

#[derive(Clone, Debug)]
enum Step {
    /// Appends entries that begin `back` entries before the end of the log.
    Append {
        back: u64,
        count: u64,
    },
    Sync,
    RecordEnd,
    /// Compacts up to `back` entries before the end of the log.
    Compact {
        back: u64,
    },
    /// Resets to `ahead` entries after the end of the log.
    Reset {
        ahead: u64,
    },
    Save,
    Read {
        from: u64,
        count: u64,
        bytes_max: u64,
    },
    Kill,
    Crash {
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![3 => Just(0), 1 => 0_u64..30], 1_u64..12)
            .prop_map(|(back, count)| Step::Append { back, count }),
        4 => Just(Step::Sync),
        1 => Just(Step::RecordEnd),
        2 => (0_u64..30).prop_map(|back| Step::Compact { back }),
        1 => (1_u64..20).prop_map(|ahead| Step::Reset { ahead }),
        1 => Just(Step::Save),
        2 => (0_u64..80, 0_u64..20, 0_u64..3000)
            .prop_map(|(from, count, bytes_max)| Step::Read { from, count, bytes_max }),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
    ]
}

proptest! {
    #[test]
    fn a_storage_is_a_list_of_entries(steps in proptest::collection::vec(step(), 1..60)) {
        let disk = SimDisk::new();
        let (mut storage, _) = reopen(&disk);
        let mut model = Model::default();
        for step in steps {
            let log = model.newest();
            let current = model.saved.current_term.0;
            match step {
                Step::Append { back, count } => {
                    let kept = (log.len() as u64).saturating_sub(back);
                    let first = model.base.index.0 + kept + 1;
                    model.save(&mut storage, term(current + 1)).unwrap();
                    let new = entries(first..=first + count - 1, current + 1);
                    model.append(&mut storage, &new).unwrap();
                }
                Step::Sync => model.sync(&mut storage).unwrap(),
                Step::RecordEnd => storage.record_durable_end().unwrap(),
                Step::Compact { back } => {
                    // A snapshot never holds an entry that is not durable.
                    model.sync(&mut storage).unwrap();
                    let limit = model.last().index.0.saturating_sub(back);
                    model.compact(&mut storage, LogIndex(limit)).unwrap();
                }
                Step::Reset { ahead } => {
                    let index = LogIndex(model.last().index.0 + ahead);
                    let base = LogPosition { index, term: model.saved.current_term };
                    model.reset(&mut storage, base).unwrap();
                }
                Step::Save => model.save(&mut storage, term(current + 1)).unwrap(),
                Step::Read { from, count, bytes_max } => {
                    let read = storage
                        .read(LogIndex(from), LogIndex(from + count), bytes_max)
                        .unwrap();
                    let mut bytes = 0;
                    let expected = log
                        .iter()
                        .filter(|_| from > model.base.index.0)
                        .filter(|entry| (from..=from + count).contains(&entry.index.0))
                        .enumerate()
                        .take_while(|(at, entry)| {
                            bytes += entry.weight_bytes();
                            *at == 0 || bytes <= bytes_max
                        });
                    let expected: Vec<Entry> = expected.map(|(_, entry)| entry.clone()).collect();
                    prop_assert_eq!(read, expected);
                    continue;
                }
                Step::Kill => {
                    drop(storage);
                    let recovered;
                    (storage, recovered) = reopen(&disk);
                    prop_assert_eq!(&recovered.log, &summary_after(model.base, &log));
                    model.check(&mut storage, &recovered);
                    prop_assert_eq!(recovered.notes.len(), 0);
                }
                Step::Crash { seed } => {
                    drop(storage);
                    disk.crash(Crash::Seeded(seed));
                    let recovered;
                    (storage, recovered) = reopen(&disk);
                    model.check(&mut storage, &recovered);
                }
            }
            prop_assert_eq!(storage.last(), model.last());
            prop_assert_eq!(storage.base(), model.base);
            prop_assert!(spare_numbers(&disk, dir()).unwrap().len() as u64 <= POOL_FILES_MAX);
        }
        prop_assert_eq!(all(&mut storage), model.newest());
    }
}
