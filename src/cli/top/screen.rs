//! A view as a frame of a terminal.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, Wrap};

use coracle::protocol::CanLose;

use super::super::text::shown;
use super::column::Column;
use super::order::Order;
use super::print::{cell, state};
use super::view::{Row, View};

/// The columns between two columns.
const GAP: u16 = 2;
/// Minimum width of a column of numbers, so that it does not move with each digit.
const WIDTH_MIN: u16 = 8;

/// The meaning of the columns, and the keys.
const HELP: &str = "\
role        in the server's own words; down: it answers nothing
state       in the words of the leader, who hears it or not
lag         entries that the leader has and it lacks; - when nobody knows
unapplied   entries that are committed and not yet applied by it
writes/s    commands of its clients that write; reads/s: that read
commit p99  the time in which 99 of 100 writes are committed
fsync p99   the time in which 99 of 100 syncs of its log are done
log, store  bytes of its log, and of keys and values
memory      bytes that its process occupies
disk free   bytes that the disk of its data has left
seen        the time since the leader heard it

q, Ctrl-C   end                s   sort by the next column
p           pause, and go on   ?   this text, and back";

/// The wishes of the person who looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    pub order: Order,
    pub is_paused: bool,
    pub is_help: bool,
}

/// Draws the view.
pub fn draw(frame: &mut Frame<'_>, view: &View, wishes: Wishes) {
    let notes = view.notes.len().min(usize::from(frame.area().height / 3)) as u16;
    let parts = [
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(notes),
        Constraint::Length(1),
    ];
    let [head, _, body, foot, keys] = Layout::vertical(parts).areas(frame.area());
    let lines = [
        Line::styled(view.answers(), Style::new().add_modifier(Modifier::BOLD)),
        Line::styled(view.tolerance(), tolerance_style(view)),
    ];
    frame.render_widget(Text::from_iter(lines), head);
    if wishes.is_help {
        frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }), body);
    } else {
        table(frame, body, view, wishes.order);
    }
    let notes = view.notes.iter().map(|note| Line::from(note.as_str()));
    frame.render_widget(Text::from_iter(notes), foot);
    let keys_line = format!("q end   s sort: {}   p pause   ? help", wishes.order.name());
    frame.render_widget(Line::from(keys_line).style(Modifier::DIM), keys);
    if wishes.is_paused {
        let paused = Line::styled(" paused ", Modifier::REVERSED).alignment(Alignment::Right);
        frame.render_widget(paused, keys);
    }
}

/// The color of the sentence on how many servers can be lost.
fn tolerance_style(view: &View) -> Style {
    match view.members.as_ref().map(|members| members.can_lose) {
        Some(CanLose::Voters(1..)) => Style::new(),
        Some(CanLose::Voters(0)) => Style::new().fg(Color::Yellow),
        Some(CanLose::NoQuorum | CanLose::Unknown) | None => Style::new().fg(Color::Red),
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, view: &View, order: Order) {
    let mut rows = view.rows.clone();
    order.sort(&mut rows);
    let shape = Shape::fitting(&rows, area.width);
    let widths = shape.widths(&rows);
    // Below the headings. The last line tells of the servers for which there is no room.
    let room = usize::from(area.height.saturating_sub(1));
    let kept = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
    let lines = rows[..kept].iter().map(|row| line(row, &shape));
    if kept < rows.len() {
        let more = format!("and {} more: the terminal is too low", rows.len() - kept);
        let last = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
        frame.render_widget(Line::from(more), last);
    }
    let heading = |column: &Column| {
        let heading = Line::from(column.heading()).alignment(Alignment::Right);
        let style = if order.is_by(*column) { Modifier::REVERSED } else { Modifier::UNDERLINED };
        Cell::from(heading).style(style)
    };
    let word = |word: &'static str| Cell::from(word).style(Modifier::UNDERLINED);
    let mut headings = vec![word("id"), word("role")];
    headings.extend(shape.has_state.then(|| word("state")));
    headings.extend(shape.numbers.iter().map(heading));
    headings.extend(shape.has_address.then(|| word("client address")));
    let table = Table::new(lines, widths).header(TableRow::new(headings)).column_spacing(GAP);
    frame.render_widget(table, area);
}

/// The row of a server.
fn line<'a>(row: &'a Row, shape: &Shape) -> TableRow<'a> {
    let mut cells = vec![Cell::from(row.id.to_string()), Cell::from(shown(&row.role))];
    cells.extend(shape.has_state.then(|| Cell::from(state(row))));
    let number = |column: &Column| Line::from(cell(row, *column)).alignment(Alignment::Right);
    cells.extend(shape.numbers.iter().map(|column| Cell::from(number(column))));
    cells.extend(shape.has_address.then(|| Cell::from(row.address.as_str())));
    let style = match row.role.as_str() {
        _ if row.is_down => Style::new().fg(Color::Red),
        "leader" => Style::new().add_modifier(Modifier::BOLD),
        "follower" => Style::new(),
        _ => Style::new().fg(Color::Yellow),
    };
    TableRow::new(cells).style(style)
}

/// The columns that there is room for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    has_state: bool,
    numbers: Vec<Column>,
    has_address: bool,
}

impl Shape {
    /// As many columns as fit. First the address gives way, then the numbers in their order, and
    /// then the state; the id, the role and the lag stay.
    fn fitting(rows: &[Row], width: u16) -> Shape {
        let all = Column::ALL.to_vec();
        let mut shape = Shape { has_state: true, numbers: all, has_address: true };
        let mut next = Column::GIVE_WAY.into_iter();
        while shape.width(rows) > width {
            if shape.has_address {
                shape.has_address = false;
            } else if let Some(column) = next.next() {
                shape.numbers.retain(|it| *it != column);
            } else if shape.has_state {
                shape.has_state = false;
            } else {
                break;
            }
        }
        shape
    }

    fn width(&self, rows: &[Row]) -> u16 {
        let widths = self.widths(rows);
        widths.iter().sum::<u16>() + GAP * (widths.len() as u16 - 1)
    }

    fn widths(&self, rows: &[Row]) -> Vec<u16> {
        let widest = |least: usize, cell: &dyn Fn(&Row) -> String| {
            let cells = rows.iter().map(|row| cell(row).chars().count());
            u16::try_from(cells.fold(least, usize::max)).unwrap_or(u16::MAX)
        };
        let mut widths = vec![
            widest("id".len(), &|row| row.id.to_string()),
            widest("follower".len(), &|row| shown(&row.role)),
        ];
        widths.extend(self.has_state.then(|| widest("follower".len(), &state)));
        let numbers = self.numbers.iter().map(|column| {
            let least = column.heading().len().max(usize::from(WIDTH_MIN));
            widest(least, &|row| cell(row, *column))
        });
        widths.extend(numbers);
        let address = || widest("client address".len(), &|row| row.address.clone());
        widths.extend(self.has_address.then(address));
        widths
    }
}

#[cfg(test)]
mod tests;
