//! The lines of a page and those of a run, without what differs from run to run.

use std::collections::BTreeMap;

/// Words after which a number differs from run to run.
const BEFORE_NUMBERS: &[&str] = &["change", "term", "entry", "wait", "cancel", "seconds_left"];
/// Names of values that differ from run to run: `name=value`.
const FIELDS: &[&str] = &[
    "last_included_index",
    "last_included_term",
    "bytes",
    "digest",
    "store_digest",
    "origin",
    "seconds",
    "keys_per_second",
];
/// Words after a number that is a time.
const TIMES: &[&str] = &["us", "ms", "s", "min", "h"];
/// Words after a number that is a size.
const SIZES: &[&str] = &["B", "KiB", "MiB", "GiB"];

/// The first of the characters that stand for words of a pattern. They are in no text.
const FIRST_MARK: u32 = 0xe000;

/// Replaces each word of a table by the other one, where it is not a part of a longer word.
pub fn replace(text: &str, table: &BTreeMap<String, String>) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut replaced = String::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_start = !text[..at].ends_with(is_part);
        let fits = |word: &&String| {
            rest.strip_prefix(word.as_str()).is_some_and(|rest| !rest.starts_with(is_part))
        };
        match table.keys().filter(fits).max_by_key(|word| word.len()) {
            Some(word) if is_start => {
                replaced += &table[word];
                at += word.len();
            }
            _ => {
                replaced.push(next);
                at += next.len_utf8();
            }
        }
    }
    replaced
}

/// Puts a mark into a text for each of the words, in the order of the words.
pub fn mark(text: &str, words: &[String]) -> String {
    let marks = (FIRST_MARK..).filter_map(char::from_u32).map(String::from);
    replace(text, &words.iter().cloned().zip(marks).collect())
}

/// The number of the word for which a character stands.
fn marked(character: char) -> Option<usize> {
    let number = u32::from(character).checked_sub(FIRST_MARK)?;
    (number < 0x1000).then_some(number as usize)
}

/// The words that marks stand for, by their numbers.
pub type Found = BTreeMap<usize, String>;

/// True when lines are those of a pattern. In a pattern the line `...` stands for any number of
/// lines, `...` in a line for any text, and a mark for a word. With `is_open`, more lines may
/// follow.
pub fn fit(pattern: &[String], lines: &[String], is_open: bool, found: &mut Found) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return is_open || lines.is_empty();
    };
    if first == "..." {
        return (0..=lines.len()).any(|left_out| fit(rest, &lines[left_out..], is_open, found));
    }
    let Some((line, other_lines)) = lines.split_first() else { return false };
    let (first, line): (Vec<char>, Vec<char>) = (first.chars().collect(), line.chars().collect());
    let mut in_line = found.clone();
    if fits(&first, &line, &mut in_line) && fit(rest, other_lines, is_open, &mut in_line) {
        *found = in_line;
        return true;
    }
    false
}

fn fits(pattern: &[char], text: &[char], found: &mut Found) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['.', '.', '.', rest @ ..] => (0..=text.len()).any(|at| fits(rest, &text[at..], found)),
        [mark, rest @ ..] if marked(*mark).is_some() => {
            let is_word = |c: &&char| c.is_ascii_alphanumeric() || ".:_-/".contains(**c);
            let longest = text.iter().take_while(is_word).count();
            let end = (1..=longest).rev().find(|end| fits(rest, &text[*end..], found));
            let word = end.map(|end| text[..end].iter().collect());
            let Some((number, word)) = marked(*mark).zip(word) else { return false };
            found.insert(number, word);
            true
        }
        [character, rest @ ..] => text
            .split_first()
            .is_some_and(|(first, text)| first == character && fits(rest, text, found)),
    }
}

/// The line without numbers: each number, and each `-` in the place of one, is `N`, also with a
/// unit after it.
pub fn without_numbers(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let bare = word.trim_matches(is_mark);
        let is_unit = TIMES.contains(&bare) || SIZES.contains(&bare) || bare == "%";
        match words.last_mut() {
            Some(before) if is_unit && before.ends_with('N') => {
                *before += &word.replace(bare, "");
            }
            _ if word == "-" => words.push("N".to_owned()),
            _ => words.push(without_digits(word)),
        }
    }
    words.join(" ")
}

/// A word with `N` for each number in it.
fn without_digits(word: &str) -> String {
    let mut kept = String::new();
    for character in word.chars() {
        let is_digit = character.is_ascii_digit();
        let goes_on = kept.ends_with('N') && (character == '.' || character == ',');
        match is_digit || goes_on {
            true if kept.ends_with('N') => {}
            true => kept.push('N'),
            false => kept.push(character),
        }
    }
    kept
}

/// The line without times, versions and the numbers of changes and entries, and with single
/// spaces.
pub fn normal(line: &str) -> String {
    let line = line.trim_end();
    let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.trim().is_empty()).collect();
    let is_member = cells.len() == 8 && cells[0].trim().parse::<u64>().is_ok();
    let of_a_moment = is_member.then_some(cells.get(5)).flatten().map(|cell| cell.trim());
    let line = cells.iter().map(|cell| {
        let is_behind = Some(cell.trim()) == of_a_moment && cell.trim().parse::<u64>().is_ok();
        if is_behind { "N" } else { cell }
    });
    let line = line.collect::<Vec<_>>().join(" ");
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    for at in 0..words.len() {
        let number = words[at].trim_matches(is_mark).to_owned();
        let previous = at.checked_sub(1).map(|before| words[before].trim_matches(is_mark));
        let next = words.get(at + 1).map(|next| next.trim_matches(is_mark));
        let is_number = number.parse::<u64>().is_ok();
        let is_counted = previous.is_some_and(|word| BEFORE_NUMBERS.contains(&word));
        let is_time = next.is_some_and(|word| TIMES.contains(&word));
        let is_version = number.split('.').count() == 3
            && number.split('.').all(|part| part.parse::<u64>().is_ok());
        if is_number && is_time {
            words[at] = words[at].replace(&number, "TIME");
            let unit = words[at + 1].trim_matches(is_mark).to_owned();
            words[at + 1] = words[at + 1].replace(&unit, "UNIT");
        } else if is_number && next.is_some_and(|word| word.trim_end_matches('s') == "round") {
            words[at] = "N".into();
            words[at + 1] = "rounds".into();
        } else if let Some((name, _)) =
            words[at].split_once('=').filter(|it| FIELDS.contains(&it.0))
        {
            words[at] = format!("{name}=V");
        } else if (is_number && is_counted) || is_version {
            words[at] = words[at].replace(&number, "N");
        }
    }
    words.join(" ")
}

fn is_mark(character: char) -> bool {
    "(),.;:`~".contains(character)
}
