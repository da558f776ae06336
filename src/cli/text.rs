//! Texts for people: what other machines say, keys and values, numbers, times, and servers.

use std::time::Duration;

use coracle::types::NodeId;

/// A text of another machine, as a terminal may get it: a character that moves the cursor, hides
/// or turns text round is shown by its number.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match is_harmless(character) {
            true => shown.push(character),
            false => shown.extend(character.escape_unicode()),
        }
    }
    shown
}

/// A key or a value on one line that has one meaning. It is printed as it is when it is text
/// without control characters and invisible ones, does not begin with a double quote, and neither
/// begins nor ends with white space. Otherwise it stands between double quotes, where \n, \t, \r,
/// \\, \" and \xHH are one byte each, as in a script of `txn`.
pub fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(text) => text.to_owned(),
        _ => format!("\"{}\"", escaped(bytes)),
    }
}

fn is_plain(text: &str) -> bool {
    let is_bare = !text.is_empty() && text.trim() == text && !text.starts_with('"');
    is_bare && text.chars().all(is_harmless)
}

/// The bytes as they stand between double quotes.
pub fn escaped(bytes: &[u8]) -> String {
    let mut escaped = String::new();
    let by_number = |bytes: &[u8], escaped: &mut String| {
        for byte in bytes {
            *escaped += &format!("\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => escaped += "\\n",
                '\t' => escaped += "\\t",
                '\r' => escaped += "\\r",
                '"' | '\\' => escaped.extend(['\\', character]),
                other if is_harmless(other) => escaped.push(other),
                other => by_number(other.encode_utf8(&mut [0; 4]).as_bytes(), &mut escaped),
            }
        }
        by_number(chunk.invalid(), &mut escaped);
    }
    escaped
}

/// False of control characters, and of those that are invisible or change the direction of text.
pub fn is_harmless(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !character.is_control() && !is_format
}

/// A time in words: the unit that leaves one to three digits.
pub fn time(time: Duration) -> String {
    let ms = time.as_millis();
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{ms} ms"),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of milliseconds, with a digit behind its point while it is small.
pub fn millis(number: f64) -> String {
    if number < 100.0 { format!("{number:.1} ms") } else { format!("{number:.0} ms") }
}

/// A number of bytes in the unit that leaves one to four digits before its point.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1 << 10 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().expect("there are several");
    while size >= 1023.95 {
        let Some(larger) = units.next() else { break };
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{size:.1} {unit}")
}

/// A noun with its number in mind.
pub fn plural(noun: &str, number: u64) -> String {
    if number == 1 { noun.into() } else { format!("{noun}s") }
}

/// The servers in words: `server 3`, `servers 1, 2, 3`.
pub fn named(servers: &[NodeId]) -> String {
    format!("{} {}", plural("server", servers.len() as u64), listed(servers))
}

/// The ids with commas between them.
pub fn listed(servers: &[NodeId]) -> String {
    let ids: Vec<String> = servers.iter().map(NodeId::to_string).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests;
