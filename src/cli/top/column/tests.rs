//! Cells, and the order in which columns give way.

use super::*;

#[test]
fn a_number_has_the_form_of_its_column() {
    for (column, number, cell) in [
        (Column::Term, 7.0, "7"),
        (Column::Lag, 10_400.0, "10,400"),
        (Column::Writes, 0.0, "0.0"),
        (Column::Writes, 9.94, "9.9"),
        (Column::Writes, 9.96, "10"),
        (Column::Reads, 12_345.6, "12,346"),
        (Column::Commit, 0.44, "0.4 ms"),
        (Column::Fsync, 1_200.0, "1,200 ms"),
        (Column::Log, 1_572_864.0, "1.5 MiB"),
        (Column::Seen, 61_000.0, "61 s"),
        (Column::Unapplied, -1.0, "0"),
    ] {
        assert_eq!(column.cell(number), cell, "{column:?} {number}");
    }
}

#[test]
fn every_column_but_the_lag_gives_way_once() {
    let mut columns = Column::GIVE_WAY.to_vec();
    columns.push(Column::Lag);
    columns.sort();
    let mut all = Column::ALL.to_vec();
    all.sort();
    assert_eq!(columns, all);
}
