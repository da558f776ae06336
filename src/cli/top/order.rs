//! The order of the rows.

use std::cmp::Ordering;

use super::column::Column;
use super::view::Row;

/// The columns that `s` goes through, after the ids.
const SORTED: [Column; 7] = [
    Column::Lag,
    Column::Writes,
    Column::Reads,
    Column::Commit,
    Column::Fsync,
    Column::Log,
    Column::DiskFree,
];

/// The column by which the rows are sorted; `None` for the ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order(Option<Column>);

impl Order {
    /// The order after this one. After the last comes the first.
    #[must_use]
    pub fn next(self) -> Order {
        let Some(column) = self.0 else { return Order(Some(SORTED[0])) };
        let after = SORTED.iter().skip_while(|it| **it != column).nth(1);
        Order(after.copied())
    }

    /// True when the rows are sorted by this column.
    pub fn is_by(self, column: Column) -> bool {
        self.0 == Some(column)
    }

    /// The name of the column.
    pub fn name(self) -> &'static str {
        self.0.map_or("id", Column::heading)
    }

    /// Sorts rows: the number to look at first comes first, an unknown one last. Equal ones are in
    /// the order of their ids.
    pub fn sort(self, rows: &mut [Row]) {
        rows.sort_by_key(|row| row.id);
        if let Some(column) = self.0 {
            rows.sort_by(|one, other| compare(column, one, other));
        }
    }
}

fn compare(column: Column, one: &Row, other: &Row) -> Ordering {
    match (one.numbers.get(&column), other.numbers.get(&column)) {
        (Some(one), Some(other)) if column.is_worst_when_small() => one.total_cmp(other),
        (Some(one), Some(other)) => other.total_cmp(one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests;
