use std::collections::BTreeSet;

use super::*;

fn create(disk: &SimDisk, path: &str) -> Box<dyn DiskFile> {
    disk.open(Path::new(path), OpenMode::Create).expect("the disk is well")
}

fn text(disk: &SimDisk, path: &str) -> String {
    String::from_utf8(disk.contents(Path::new(path))).expect("tests write text")
}

#[test]
fn a_name_needs_its_directory_synced_and_bytes_their_file() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("d")).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    let mut nameless = create(&disk, "d/nameless");
    nameless.write_at(0, b"synced").unwrap();
    nameless.sync_data().unwrap();
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(disk.list(Path::new("d")).unwrap(), Vec::<String>::new());

    let mut named = create(&disk, "d/named");
    disk.sync_dir(Path::new("d")).unwrap();
    named.write_at(0, b"one ").unwrap();
    named.sync_data().unwrap();
    named.write_at(4, b"two").unwrap();
    assert_eq!(text(&disk, "d/named"), "one two");
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(text(&disk, "d/named"), "one ");
    assert!(named.write_at(0, b"x").is_err(), "a handle of an earlier process fails");
}

#[test]
fn a_rename_and_a_removal_come_undone_without_a_sync() {
    let disk = SimDisk::new();
    create(&disk, "a");
    create(&disk, "b");
    disk.sync_dir(Path::new("")).unwrap();
    disk.rename(Path::new("a"), Path::new("c")).unwrap();
    disk.remove(Path::new("b")).unwrap();
    assert_eq!(disk.list(Path::new("")).unwrap(), ["c"]);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(disk.list(Path::new("")).unwrap(), ["a", "b"]);
}

#[test]
fn a_failed_sync_leaves_bytes_that_no_later_sync_writes() {
    let disk = SimDisk::new();
    let mut file = create(&disk, "f");
    disk.sync_dir(Path::new("")).unwrap();
    file.write_at(0, b"lost").unwrap();
    disk.fail_sync(1, io::ErrorKind::Other);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(text(&disk, "f"), "lost");
    disk.crash(Crash::KeepUnsynced);
    assert_eq!(text(&disk, "f"), "");
}

#[test]
fn a_full_disk_takes_what_fits_and_every_overwrite() {
    let disk = SimDisk::new();
    let mut file = create(&disk, "f");
    disk.set_capacity(Some(6));
    file.write_at(0, b"1234").unwrap();
    let error = file.write_at(4, b"5678").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.write_at(0, b"abcdef").unwrap();
    assert_eq!(text(&disk, "f"), "abcdef");
}

#[test]
fn only_the_files_of_a_full_directory_cannot_grow() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("d")).unwrap();
    let (mut within, mut without) = (create(&disk, "d/a"), create(&disk, "b"));
    within.write_at(0, b"1234").unwrap();
    disk.set_full_dir(Some("d".into()));
    let error = within.write_at(4, b"5").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    within.write_at(0, b"4321").unwrap();
    without.write_at(0, b"5").unwrap();
    disk.crash(Crash::KeepUnsynced);
    assert_eq!(disk.file_bytes(Path::new("d/a")), 4);
    let mut within = disk.open(Path::new("d/a"), OpenMode::Write).unwrap();
    assert!(within.write_at(4, b"5").is_err(), "it stays full");
    disk.set_full_dir(None);
    within.write_at(4, b"5").unwrap();
}

#[test]
fn a_disk_returns_to_what_was_durable_when_its_image_was_made() {
    let disk = SimDisk::new();
    disk.keep_removed("segment");
    let mut file = create(&disk, "a.segment");
    file.write_at(0, b"one ").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    file.write_at(4, b"two").unwrap();
    create(&disk, "b");
    let image = disk.durable_image();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    disk.crash(Crash::LoseUnsynced);
    let generation = disk.generation();
    disk.return_to(&image);
    assert_ne!(disk.generation(), generation);
    assert_eq!((disk.paths(), text(&disk, "a.segment")), (vec!["a.segment".into()], "one ".into()));
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(text(&disk, "a.segment"), "one ", "it is durable");
    assert_eq!(disk.written_files(), [b"one two".to_vec(), b"one ".to_vec()]);
}

/// A repair erases the end of a log in place.
#[test]
fn an_archive_keeps_what_is_written_over_later() {
    let disk = SimDisk::new();
    disk.keep_removed("segment");
    let mut files = ["1.segment", "2.segment"].map(|path| create(&disk, path));
    files.iter_mut().for_each(|file| file.write_at(0, b"all").unwrap());
    disk.archive();
    files[0].write_at(1, b"--").unwrap();
    let written = disk.written_files();
    assert_eq!(written, [&b"all"[..], b"all", b"a--", b"all"], "the archive comes first");
}

#[test]
fn a_seed_tears_alike_every_time_and_seeds_differ() {
    let torn = |seed| {
        let disk = SimDisk::new();
        let mut file = create(&disk, "f");
        disk.sync_dir(Path::new("")).unwrap();
        file.write_at(100, &[1; 3000]).unwrap();
        disk.crash(Crash::Seeded(seed));
        disk.contents(Path::new("f"))
    };
    let outcomes: BTreeSet<Vec<u8>> = (0..40).map(torn).collect();
    assert!(outcomes.len() > 8, "nothing, all, prefixes and sectors");
    assert!((0..40).all(|seed| torn(seed) == torn(seed)));
}

#[test]
fn a_sector_never_holds_a_write_without_the_one_before() {
    for seed in 0..100 {
        let disk = SimDisk::new();
        let mut file = create(&disk, "f");
        disk.sync_dir(Path::new("")).unwrap();
        file.write_at(0, b"one ").unwrap();
        file.write_at(4, b"two").unwrap();
        disk.crash(Crash::Seeded(seed));
        let left = disk.contents(Path::new("f"));
        assert!(b"one two".starts_with(&left[..]), "seed {seed} left {left:?}");
    }
}

#[test]
fn without_power_nothing_works_until_it_is_back() {
    let disk = SimDisk::new();
    let mut file = create(&disk, "f");
    disk.cut_power_after(1);
    file.write_at(0, b"x").unwrap();
    assert!(file.sync_data().is_err());
    assert!(file.read_at(0, &mut [0]).is_err());
    assert!(disk.list(Path::new("")).is_err());
    disk.crash(Crash::KeepUnsynced);
    assert_eq!(text(&disk, "f"), "x");
}

#[test]
fn rotten_bytes_are_known_until_they_are_written_again_and_synced() {
    let (disk, path) = (SimDisk::new(), Path::new("f"));
    let mut file = create(&disk, "f");
    disk.sync_dir(Path::new("")).unwrap();
    file.write_at(0, b"abcdef").unwrap();
    file.sync_data().unwrap();
    disk.flip_bit(path, 1, 0);
    disk.damage(path, 3, b"dx");
    assert_eq!(text(&disk, "f"), "acc".to_owned() + "dxf");
    assert_eq!(disk.rot(), [(path.to_owned(), 1), (path.to_owned(), 4)]);
    assert_eq!(text(&disk.undamaged(), "f"), "abcdef");
    assert_eq!(text(&disk.duplicate(), "f"), "accdxf");
    file.write_at(4, b"e").unwrap();
    assert_eq!(disk.rot(), [(path.to_owned(), 1)]);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(disk.rot().len(), 2, "it was written to the cache only");
    disk.flip_bit(path, 1, 0);
    assert_eq!(disk.rot(), [(path.to_owned(), 4)], "flipped back");
}

#[test]
fn a_full_disk_stays_full_and_a_read_fails_once() {
    let disk = SimDisk::new();
    let mut file = create(&disk, "f");
    disk.sync_dir(Path::new("")).unwrap();
    file.write_at(0, b"1234").unwrap();
    file.sync_data().unwrap();
    disk.set_capacity(Some(4));
    disk.crash(Crash::LoseUnsynced);
    let mut file = disk.open(Path::new("f"), OpenMode::Write).unwrap();
    assert!(file.write_at(4, b"5").is_err());
    disk.set_capacity(None);
    file.write_at(4, b"5").unwrap();
    disk.fail_read(2);
    let mut bytes = [0; 5];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), 5);
    assert!(file.read_at(0, &mut bytes).is_err());
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), 5);
}

/// A log that is cut removes its newest files first and uses their names again (found by seed
/// 7002564 at f0e0e69).
#[test]
fn written_files_come_in_the_order_of_their_names_even_when_names_are_used_again() {
    let disk = SimDisk::new();
    disk.keep_removed("segment");
    let write = |path: &str, bytes: &[u8]| create(&disk, path).write_at(0, bytes).unwrap();
    write("1.segment", b"one");
    write("2.segment", b"two");
    write("other", b"no segment");
    disk.remove(Path::new("2.segment")).unwrap();
    write("spare", b"two again");
    disk.rename(Path::new("spare"), Path::new("2.segment")).unwrap();
    let texts = disk.written_files().into_iter().map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(texts.collect::<Vec<_>>(), ["one", "two", "two again"]);
    assert_eq!(disk.removed_files(), 1);
}
