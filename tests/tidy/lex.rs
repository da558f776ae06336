//! The text of a Rust file in its parts: code, comments, tokens.

/// A word, a `::` or a single other character of the code.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    /// The line that it is on, counted from one.
    pub line: usize,
    /// True in a test file and in an item under `#[cfg(test)]`.
    pub is_test: bool,
}

impl Token {
    pub fn is_word(&self) -> bool {
        self.text.starts_with(is_word)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentKind {
    /// `///`
    Outer,
    /// `//!`
    Inner,
    /// `//` and `/* */`
    Plain,
}

/// The comment lines of one kind that follow each other.
#[derive(Debug)]
pub struct Comment {
    pub kind: CommentKind,
    /// The first line, counted from one.
    pub line: usize,
    /// The text of each line without its marker.
    pub lines: Vec<String>,
    /// True when no code stands before the comment on its line.
    is_alone: bool,
}

/// `text` with comments and the contents of string and character literals blanked, lines
/// staying where they are; and the comments.
pub fn split(text: &str) -> (String, Vec<Comment>) {
    let mut code = String::with_capacity(text.len());
    let mut comments: Vec<Comment> = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let length = literal_or_comment(rest);
        if length == 0 {
            line += usize::from(c == '\n');
            code.push(c);
            rest = &rest[c.len_utf8()..];
            // A raw string begins at its r only when that r begins a word.
            if is_word(c) {
                let word = first_word(rest);
                let ends_raw = matches!(c, 'r' | 'b') && word.len() <= 1;
                if !(ends_raw && rest[word.len()..].starts_with(['"', '#', '\''])) {
                    code.push_str(word);
                    rest = &rest[word.len()..];
                }
            }
            continue;
        }
        let part = &rest[..length];
        if part.starts_with('/') {
            let is_alone = code[code.rfind('\n').map_or(0, |at| at + 1)..].trim().is_empty();
            add_comment(&mut comments, part, line, is_alone);
        }
        line += part.matches('\n').count();
        code.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    (code, comments)
}

fn add_comment(comments: &mut Vec<Comment>, text: &str, line: usize, is_alone: bool) {
    let (kind, marker) = if text.starts_with("///") && !text.starts_with("////") {
        (CommentKind::Outer, 3)
    } else if text.starts_with("//!") {
        (CommentKind::Inner, 3)
    } else {
        (CommentKind::Plain, 2)
    };
    let inside = text[marker..].trim_end_matches("*/");
    if let Some(last) = comments.last_mut()
        && (last.kind, last.is_alone && is_alone) == (kind, true)
        && last.line + last.lines.len() == line
    {
        last.lines.push(inside.to_owned());
        return;
    }
    let lines = inside.lines().map(str::to_owned).collect();
    comments.push(Comment { kind, line, lines, is_alone });
}

/// The tokens of code without comments and literals.
pub fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(c) = rest.chars().next() {
            let length = match c {
                c if is_word(c) => first_word(rest).len(),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            let text = rest[..length].to_owned();
            tokens.push(Token { text, line: number + 1, is_test: false });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The place of the bracket that closes the one at `open`, or the last token.
pub fn closing_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

/// The last token of the item that begins at `start`, which may begin with attributes.
pub fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at + 1 < tokens.len() && tokens[at].text == "#" && tokens[at + 1].text == "[" {
        at = closing_bracket(tokens, at + 1) + 1;
    }
    let is_use = (at..tokens.len().min(at + 6)).find(|i| tokens[*i].text == "use").is_some()
        && !tokens[at..].iter().take(6).any(|token| token.text == "{");
    let is_item = at < tokens.len() && is_item_word(&tokens[at].text);
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at,
            "," | "}" if !is_item => return at - usize::from(tokens[at].text == "}"),
            "(" | "[" => at = closing_bracket(tokens, at),
            "{" if is_use => at = closing_bracket(tokens, at),
            "{" => return closing_bracket(tokens, at),
            _ => {}
        }
        at += 1;
    }
    tokens.len() - 1
}

fn is_item_word(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "macro_rules",
        "mod",
        "pub",
        "static",
        "struct",
        "trait",
        "type",
        "unsafe",
        "use",
    ];
    WORDS.contains(&word)
}

pub fn first_word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// True when `code` holds `path` as whole words.
pub fn has_path(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + path.len()..]);
        !before.ends_with(is_word) && (path.ends_with('!') || !after.starts_with(is_word))
    })
}

/// The length of the comment or literal with which `text` begins; 0 for neither.
fn literal_or_comment(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    if text.starts_with("r\"") || text.starts_with("r#") {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        if !text[1 + hashes..].starts_with('"') {
            return 0;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let start = 2 + hashes;
        return text[start..].find(&end).map_or(text.len(), |at| start + at + end.len());
    }
    if text.starts_with('"') {
        return closing_quote(text, '"').unwrap_or(text.len());
    }
    if let Some(inside) = text.strip_prefix('\'') {
        // A lifetime has no second quote right after its first letter.
        let mut chars = inside.chars();
        let is_char = match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        };
        return if is_char { closing_quote(text, '\'').unwrap_or(text.len()) } else { 0 };
    }
    0
}

/// The byte after the closing quote of the literal that begins `text`.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "/// Doc.\n/// More.\n//! Inner.\nlet s = \"// no\"; // Plain.\n// Other.\n\
                let c = '\"';\nlet r = r#\"a \" b\"#; f::<'a>(x);\n";
    let (code, comments) = split(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(!code.contains("no") && !code.contains("Plain") && !code.contains('"'), "{code}");
    let starts: Vec<_> = comments.iter().map(|c| (c.kind, c.line, c.lines.len())).collect();
    assert_eq!(
        starts,
        [
            (CommentKind::Outer, 1, 2),
            (CommentKind::Inner, 3, 1),
            (CommentKind::Plain, 4, 1),
            (CommentKind::Plain, 5, 1),
        ]
    );
    let words: Vec<_> = tokens(&code).iter().map(|token| token.text.clone()).collect();
    assert_eq!(words[words.len() - 10..].concat(), "f::<'a>(x);");
}
