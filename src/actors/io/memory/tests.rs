use super::*;

#[test]
fn a_dropped_reservation_frees_its_bytes() {
    let budget = MemoryBudget::new(100);
    let mut one = budget.reserve(30);
    let two = budget.reserve(50);
    assert_eq!((budget.used_bytes(), budget.free_bytes()), (80, 20));
    one.set(10);
    let again = two.clone();
    assert_eq!((budget.used_bytes(), budget.free_bytes()), (110, 0), "more than there is");
    drop((one, two));
    assert_eq!(budget.used_bytes(), 50);
    drop(again);
    assert_eq!((budget.used_bytes(), budget.free_bytes()), (0, 100));
}

#[test]
fn reservations_of_many_threads_add_up_to_nothing_in_the_end() {
    let budget = MemoryBudget::new(1000);
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let budget = budget.clone();
            scope.spawn(move || {
                let mut reservation = budget.reserve(seed);
                for step in 0..10_000 {
                    reservation.set(step * seed % 97);
                }
            });
        }
    });
    assert_eq!(budget.used_bytes(), 0);
}
