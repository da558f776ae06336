use tempfile::TempDir;

use super::*;

#[test]
fn a_lock_that_is_dropped_is_free_although_a_child_still_has_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("lock");
    let file = File::create(&path).unwrap();
    // A child that was forked has this.
    let inherited = file.try_clone().unwrap();
    file.try_lock().unwrap();
    let lock: DiskLock = Box::new(LockedFile(file));
    assert!(lock.is_at(&path).unwrap());
    assert!(RealDisk.lock(&path).unwrap().is_none());
    drop(lock);
    assert!(RealDisk.lock(&path).unwrap().is_some());
    drop(inherited);
}
