//! The servers' replies to `set` and `get`, taken from the bytes that have come.

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It was executed.
    Done,
    /// It was executed, and the key is absent.
    NotFound,
    /// The leader is at this address.
    Redirect(&'a str),
    /// Another error: its first word.
    Error(&'a str),
}

/// The bytes are no reply to any of our commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// No line of a reply is longer.
const LINE_BYTES_MAX: usize = 4096;
/// The largest value that the protocol can carry.
const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first reply in `input` and how many bytes it takes; `None` until it is
/// there as a whole.
pub fn first_reply(input: &[u8]) -> Result<Option<(usize, Outcome<'_>)>, Malformed> {
    let Some(line_bytes) = input.iter().position(|byte| *byte == b'\n') else {
        return if input.len() > LINE_BYTES_MAX { Err(Malformed) } else { Ok(None) };
    };
    let line = str::from_utf8(&input[..line_bytes]).map_err(|_| Malformed)?.trim_ascii_end();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let taken = line_bytes + 1;
    let outcome = match word {
        "OK" => Outcome::Done,
        "ERR_NOT_FOUND" => Outcome::NotFound,
        "VALUE" => {
            let value_bytes = rest.parse::<usize>().ok().filter(|bytes| *bytes <= VALUE_BYTES_MAX);
            let value_bytes = value_bytes.ok_or(Malformed)?;
            let taken = taken + value_bytes + b"\r\n".len();
            return Ok((input.len() >= taken).then_some((taken, Outcome::Done)));
        }
        "ERR_REDIRECT" => Outcome::Redirect(rest),
        error if error.starts_with("ERR_") => Outcome::Error(error),
        _ => return Err(Malformed),
    };
    Ok(Some((taken, outcome)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_is_taken_only_as_a_whole() {
        let whole = b"VALUE 5\r\nab\ncd\r\n";
        for end in 0..whole.len() {
            assert_eq!(first_reply(&whole[..end]), Ok(None), "of {end} bytes");
        }
        assert_eq!(first_reply(whole), Ok(Some((whole.len(), Outcome::Done))));
        assert_eq!(first_reply(b"OK 1"), Ok(None));
        assert_eq!(first_reply(b"OK 1\r\nOK 2\r\n"), Ok(Some((6, Outcome::Done))));
    }

    #[test]
    fn errors_are_told_apart() {
        let outcome = |input: &'static [u8]| first_reply(input).unwrap().unwrap().1;
        assert_eq!(outcome(b"ERR_NOT_FOUND\r\n"), Outcome::NotFound);
        assert_eq!(outcome(b"ERR_REDIRECT [::1]:9000\r\n"), Outcome::Redirect("[::1]:9000"));
        assert_eq!(outcome(b"ERR_BUSY\r\n"), Outcome::Error("ERR_BUSY"));
        assert_eq!(outcome(b"ERR_INTERNAL of some kind\r\n"), Outcome::Error("ERR_INTERNAL"));
    }

    #[test]
    fn a_length_that_no_value_has_is_malformed() {
        for length in [VALUE_BYTES_MAX + 1, usize::MAX - 10, usize::MAX] {
            assert_eq!(first_reply(format!("VALUE {length}\r\n").as_bytes()), Err(Malformed));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_that_are_not_there_are_taken(
            start in prop::sample::select(vec!["", "OK 1", "VALUE ", "VALUE 5\r\nab", "ERR_BUSY"]),
            rest in prop::collection::vec(
                prop_oneof![any::<u8>(), Just(b'9'), Just(b'\r'), Just(b'\n')],
                0..40,
            ),
        ) {
            let input = [start.as_bytes(), &rest].concat();
            if let Ok(Some((taken, _))) = first_reply(&input) {
                prop_assert!(taken <= input.len());
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_malformed() {
        assert_eq!(first_reply(b"HTTP/1.1 400 Bad Request\r\n"), Err(Malformed));
        assert_eq!(first_reply(b"VALUE many\r\n"), Err(Malformed));
        assert_eq!(first_reply(b"\xff\r\n"), Err(Malformed));
        assert_eq!(first_reply(&[b'x'; LINE_BYTES_MAX + 1]), Err(Malformed));
    }
}
