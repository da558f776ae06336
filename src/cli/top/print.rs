//! A view as a table of text, and as JSON.

use super::super::json::{Object, json_list, json_text};
use super::super::member::list::counts;
use super::super::output::table;
use super::column::Column;
use super::view::{Row, View};

/// Number of columns: the id, the role and the state, those of numbers, and the address.
const COLUMNS: usize = 3 + Column::ALL.len() + 1;

/// The table with all columns, and the sentences around it.
pub fn text(view: &View) -> String {
    let mut rows = vec![header()];
    rows.extend(view.rows.iter().map(cells));
    let notes: String = view.notes.iter().map(|note| format!("{note}\n")).collect();
    format!("{}\n{}\n{}{notes}", view.answers(), view.tolerance(), table(&rows))
}

fn header() -> [String; COLUMNS] {
    let numbers = Column::ALL.map(Column::heading);
    let all = ["id", "role", "state"].into_iter().chain(numbers).chain(["client address"]);
    array(all.map(str::to_owned))
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let numbers = Column::ALL.map(|column| cell(row, column));
    let first = [row.id.to_string(), row.role.clone(), state(row)];
    array(first.into_iter().chain(numbers).chain([row.address.clone()]))
}

fn array(mut cells: impl Iterator<Item = String>) -> [String; COLUMNS] {
    [(); COLUMNS].map(|()| cells.next().unwrap_or_default())
}

/// The cell of a number.
pub fn cell(row: &Row, column: Column) -> String {
    row.numbers.get(&column).map_or("-".into(), |number| column.cell(*number))
}

/// The cell of the state.
pub fn state(row: &Row) -> String {
    row.state.clone().unwrap_or_else(|| "-".into())
}

/// The view as one object.
pub fn json(view: &View) -> Object {
    let leader = view.leader();
    let object = Object::new().text("cluster", &view.cluster);
    let object = object.optional("leader", leader.map(|(id, _)| id));
    let object = object.optional("term", leader.map(|(_, term)| term));
    let object = match &view.members {
        Some(members) => counts(object, members),
        None => ["voters", "needed", "here", "can_lose"]
            .into_iter()
            .fold(object, |object, name| object.raw(name, "null")),
    };
    object
        .raw("servers", json_list(view.rows.iter().map(json_row)))
        .raw("notes", json_list(view.notes.iter().map(|note| json_text(note))))
}

fn json_row(row: &Row) -> Object {
    let object = Object::new()
        .raw("id", row.id)
        .raw("is_down", row.is_down)
        .text("role", &row.role)
        .optional_text("state", row.state.as_deref())
        .text("client_address", &row.address);
    Column::ALL.into_iter().fold(object, |object, column| {
        object.optional(column.json_name(), row.numbers.get(&column))
    })
}

#[cfg(test)]
mod tests;
