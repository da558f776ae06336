use super::*;

#[test]
fn a_column_is_as_wide_as_its_widest_cell() {
    let rows = [["id", "role"], ["10", "leader"], ["2", ""]];
    let rows = rows.map(|row| row.map(str::to_owned));
    assert_eq!(table(&rows), "id  role\n10  leader\n2\n");
}

#[test]
fn a_load_bar_shows_how_far_and_how_fast_the_load_is() {
    let load = LoadBar::to(ProgressDrawTarget::hidden());
    load.doing("measuring", 3, 10);
    load.counted((500, 0), Duration::from_secs(2));
    assert_eq!((load.bar.position(), load.bar.length()), (3, Some(10)));
    assert_eq!(load.bar.message(), "measuring");
    assert_eq!(load.bar.prefix(), "250 per second");
    load.counted((500, 7), Duration::ZERO);
    assert_eq!(load.bar.prefix(), "500000 per second, 7 errors");
    load.doing("measuring", 12, 10);
    assert_eq!(load.bar.position(), 10, "never more than all");
}
