//! Screens, as a terminal in memory shows them.

use std::io::Write;

use coracle::protocol::CanLose;
use goldenfile::Mint;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::view::tests::four;
use super::*;

/// The lines of a screen of this size, without the spaces at their ends.
fn screen(view: &View, wishes: Wishes, (width, height): (u16, u16)) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, wishes)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

/// Compares a screen with the one in a file, or writes it there with UPDATE_GOLDENFILES=1.
fn assert_golden(name: &str, wishes: Wishes, size: (u16, u16)) {
    let mut files = Mint::new("src/cli/top/screen");
    let mut file = files.new_goldenfile(name).unwrap();
    writeln!(file, "{}", screen(&four(), wishes, size).join("\n")).unwrap();
}

#[test]
fn a_wide_terminal_has_all_columns() {
    assert_golden("wide.txt", Wishes::default(), (170, 11));
}

#[test]
fn a_terminal_of_80_columns_has_those_that_come_first() {
    let order = Order::default().next();
    assert_golden("narrow.txt", Wishes { order, ..Wishes::default() }, (80, 11));
}

#[test]
fn the_help_and_the_pause_are_shown() {
    let wishes = Wishes { is_help: true, is_paused: true, ..Wishes::default() };
    let lines = screen(&four(), wishes, (80, 24));
    assert_eq!(lines[3], "role        in the server's own words; down: it answers nothing");
    assert!(lines.iter().any(|line| line.starts_with("q, Ctrl-C   end")), "{lines:?}");
    assert!(lines[23].ends_with(" paused"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("10.0.0.1:9000")));
}

#[test]
fn columns_give_way_in_their_order_until_the_lag_is_left() {
    let rows = four().rows;
    let mut before = Shape::fitting(&rows, 1_000);
    assert_eq!(before.numbers, Column::ALL);
    let mut left = Vec::new();
    for width in (0..200).rev() {
        let shape = Shape::fitting(&rows, width);
        if before.has_address && !shape.has_address {
            left.push("client address");
        }
        left.extend(
            before.numbers.iter().filter(|it| !shape.numbers.contains(it)).map(|it| it.heading()),
        );
        if before.has_state && !shape.has_state {
            left.push("state");
        }
        before = shape;
    }
    let mut expected = vec!["client address"];
    expected.extend(Column::GIVE_WAY.map(Column::heading));
    expected.push("state");
    assert_eq!(left, expected);
    assert_eq!(before.numbers, [Column::Lag]);
}

#[test]
fn a_low_terminal_says_how_many_servers_it_does_not_show() {
    let lines = screen(&four(), Wishes::default(), (60, 7));
    assert_eq!(lines[4], "and 4 more: the terminal is too low");
    for height in 0..12 {
        screen(&four(), Wishes::default(), (60, height));
    }
}

#[test]
fn the_number_that_can_be_lost_has_the_color_of_its_danger() {
    let style = |can_lose| {
        let mut view = four();
        view.members.as_mut().unwrap().can_lose = can_lose;
        tolerance_style(&view).fg
    };
    assert_eq!(style(CanLose::Voters(1)), None);
    assert_eq!(style(CanLose::Voters(0)), Some(Color::Yellow));
    assert_eq!(style(CanLose::NoQuorum), Some(Color::Red));
    let unknown = View { members: None, ..four() };
    assert_eq!(tolerance_style(&unknown).fg, Some(Color::Red));
}
