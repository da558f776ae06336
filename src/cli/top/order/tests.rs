//! The worst comes first, the unknown last.

use super::super::view::tests::four;
use super::*;

fn sorted(order: Order) -> Vec<u64> {
    let mut rows = four().rows;
    rows.reverse();
    order.sort(&mut rows);
    rows.iter().map(|row| row.id.0).collect()
}

#[test]
fn the_number_to_look_at_first_comes_first() {
    assert_eq!(sorted(Order::default()), [1, 2, 3, 4]);
    assert_eq!(sorted(Order(Some(Column::Lag))), [1, 2, 4, 3]);
    // The disk of 2 has half as much free as that of 1.
    assert_eq!(sorted(Order(Some(Column::DiskFree))), [2, 1, 3, 4]);
}

#[test]
fn the_order_goes_through_all_columns_and_back_to_the_ids() {
    let mut order = Order::default();
    let mut names = Vec::new();
    loop {
        names.push(order.name());
        order = order.next();
        if order == Order::default() {
            break;
        }
    }
    let expected =
        ["id", "lag", "writes/s", "reads/s", "commit p99", "fsync p99", "log", "disk free"];
    assert_eq!(names, expected);
}
