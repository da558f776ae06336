//! The words of a line as people type it. Quotes keep together what has spaces.
//!
//! Between 'single' quotes each byte means itself. Between "double" quotes `\n`, `\t`, `\r`, `\\`,
//! `\"` and `\xHH` are one byte each. A line that begins with # is a comment.

use super::text::escaped;

/// The reason why a text has no words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// The end of a quote is not there, and may follow.
    #[error("a {kind} quote has no end")]
    Open {
        /// The kind of the quote: `single` or `double`.
        kind: &'static str,
    },
    /// A backslash between double quotes is followed by this, which means nothing there.
    #[error("\\{0} is unknown between double quotes")]
    Escape(String),
    /// A byte is not written by two hexadecimal digits.
    #[error("\\x is followed by two hexadecimal digits")]
    Digits,
}

/// The words of a line; none of an empty line and of a comment.
///
/// # Errors
/// When a quote is open, or has something in it that has no meaning.
pub fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, WordsError> {
    Ok(commands(line)?.into_iter().flatten().collect())
}

/// The commands of a text, each with its words, at least one: a line of the text is a command,
/// unless its end is between quotes.
///
/// # Errors
/// As [`words`].
pub fn commands(text: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, WordsError> {
    let mut reader = Reader { rest: text, words: Vec::new() };
    let mut commands = Vec::new();
    while reader.skip_blanks() {
        match reader.rest[0] {
            b'\n' => commands.push(reader.end_line()),
            b'#' if reader.words.is_empty() => reader.skip_line(),
            _ => {
                let mut word = Vec::new();
                reader.take_word(&mut word)?;
                reader.words.push(word);
            }
        }
    }
    commands.push(reader.words);
    Ok(commands.into_iter().filter(|words| !words.is_empty()).collect())
}

/// The place at the end of a text that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWord {
    /// The words of the same command before it.
    pub before: Vec<Vec<u8>>,
    /// The place in the text at which the word begins, with its quote.
    pub start: usize,
    /// The bytes of the word so far; none when a new one is about to begin.
    pub word: Vec<u8>,
}

impl LastWord {
    /// The end of a text, in which a quote may be open. Returns `None` behind something that has no
    /// meaning, and in a comment.
    pub fn of(text: &[u8]) -> Option<LastWord> {
        let mut reader = Reader { rest: text, words: Vec::new() };
        while reader.skip_blanks() {
            let start = text.len() - reader.rest.len();
            let mut word = Vec::new();
            match reader.rest[0] {
                b'\n' => drop(reader.end_line()),
                b'#' if reader.words.is_empty() => {
                    reader.skip_line();
                    if reader.rest.is_empty() {
                        return None;
                    }
                }
                _ => match reader.take_word(&mut word) {
                    Ok(()) if !reader.rest.is_empty() => reader.words.push(word),
                    Ok(()) | Err(WordsError::Open { .. }) => {
                        return Some(LastWord { before: reader.words, start, word });
                    }
                    Err(_) => return None,
                },
            }
        }
        Some(LastWord { before: reader.words, start: text.len(), word: Vec::new() })
    }
}

/// The word that has to be typed for these bytes.
pub fn typed(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"'\"\\".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(is_plain) => text.to_owned(),
        _ => format!("\"{}\"", escaped(bytes)),
    }
}

/// A text that is read word by word.
struct Reader<'a> {
    rest: &'a [u8],
    /// The words of the command that is being read.
    words: Vec<Vec<u8>>,
}

impl Reader<'_> {
    /// Goes to the next byte that is no blank. Returns false at the end.
    fn skip_blanks(&mut self) -> bool {
        let blanks = self.rest.iter().take_while(|byte| b" \t".contains(byte)).count();
        self.rest = &self.rest[blanks..];
        !self.rest.is_empty()
    }

    /// Goes behind the end of a line, at which the text is. Returns the words of its command.
    fn end_line(&mut self) -> Vec<Vec<u8>> {
        self.rest = &self.rest[1..];
        std::mem::take(&mut self.words)
    }

    /// Goes to the end of the line.
    fn skip_line(&mut self) {
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    /// Reads the word at which the text is, as far as it goes.
    fn take_word(&mut self, word: &mut Vec<u8>) -> Result<(), WordsError> {
        while let Some((byte, behind)) = self.rest.split_first() {
            match byte {
                b' ' | b'\t' | b'\n' => break,
                b'\'' => {
                    let end = behind.iter().position(|byte| *byte == b'\'');
                    word.extend(&behind[..end.unwrap_or(behind.len())]);
                    let end = end.ok_or(WordsError::Open { kind: "single" })?;
                    self.rest = &behind[end + 1..];
                }
                b'"' => {
                    self.rest = behind;
                    self.take_double_quoted(word)?;
                }
                byte => {
                    word.push(*byte);
                    self.rest = behind;
                }
            }
        }
        Ok(())
    }

    /// Reads up to the end of double quotes whose first one is behind us.
    fn take_double_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), WordsError> {
        loop {
            match self.take_quoted_byte()? {
                b'"' => return Ok(()),
                b'\\' => {
                    let escaped = self.take_quoted_byte()?;
                    word.push(self.escaped(escaped)?);
                }
                byte => word.push(byte),
            }
        }
    }

    fn take_quoted_byte(&mut self) -> Result<u8, WordsError> {
        let (byte, behind) = self.rest.split_first().ok_or(WordsError::Open { kind: "double" })?;
        self.rest = behind;
        Ok(*byte)
    }

    /// The byte that is written by a backslash and this one.
    fn escaped(&mut self, byte: u8) -> Result<u8, WordsError> {
        Ok(match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'\\' | b'"' => byte,
            b'x' => {
                let (high, low) = (self.take_digit()?, self.take_digit()?);
                16 * high + low
            }
            other => {
                return Err(WordsError::Escape(char::from(other).escape_default().to_string()));
            }
        })
    }

    fn take_digit(&mut self) -> Result<u8, WordsError> {
        let digit = char::from(self.take_quoted_byte()?).to_digit(16);
        digit.map(|digit| digit as u8).ok_or(WordsError::Digits)
    }
}

#[cfg(test)]
mod tests;
