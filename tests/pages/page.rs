//! A page as a story: what happens to the servers, what is typed, and what is printed.

/// Languages of blocks that are no commands.
const LANGUAGES: &[&str] = &["text", "toml", "yaml", "json", "rust"];

/// The beginning of a comment that is for the test.
const COMMENT: &str = "<!-- test: ";

/// A part of a page, and the line where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub line: usize,
    pub part: Part,
    pub rules: Rules,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// The servers do this, or this is done to them.
    Event(String),
    /// A block of `sh`: a script, whose output is not shown.
    Script(String),
    /// A line of a block of `console`, and the lines that are printed.
    Command { typed: String, printed: Vec<String> },
    /// The lines that the program in the background has printed since it was last looked at.
    Printed(Vec<String>),
    /// A block that is not run, and why.
    Skipped { typed: String, reason: String },
}

/// The rules of the comments before a block: they are for this block alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub is_background: bool,
    pub is_printed: bool,
    /// Numbers are not compared.
    pub has_any_numbers: bool,
    /// Words that stand for any other word.
    pub any: Vec<String>,
    /// Words that stand for another word here, in the rest of the page too.
    pub learn: Vec<String>,
    /// The exit codes of which one is expected.
    pub exit: Vec<i32>,
    /// The line that is typed when the program asks.
    pub answer: Option<String>,
    skip: Option<String>,
}

impl Part {
    /// The first line that is typed, if one is.
    pub fn typed(&self) -> &str {
        match self {
            Part::Event(typed) | Part::Script(typed) => typed,
            Part::Command { typed, .. } | Part::Skipped { typed, .. } => typed,
            Part::Printed(_) => "",
        }
    }
}

impl Rules {
    /// Takes in a rule; false when it is none.
    fn take(&mut self, text: &str) -> bool {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let words = || rest.split(' ').map(str::to_owned);
        match name {
            "background" => self.is_background = true,
            "printed" => self.is_printed = true,
            "any" if rest == "numbers" => self.has_any_numbers = true,
            "any" => self.any.extend(words()),
            "learn" => self.learn.extend(words()),
            "exit" => self.exit.extend(words().filter_map(|word| word.parse::<i32>().ok())),
            "answer" => self.answer = Some(rest.to_owned()),
            "skip" => self.skip = Some(rest.to_owned()),
            _ => return false,
        }
        true
    }
}

/// The state of the reader of a page after a line.
#[derive(Default)]
struct Reader {
    steps: Vec<Step>,
    rules: Rules,
    block: Option<Block>,
    /// A comment that goes on in the next line.
    comment: Option<String>,
}

/// A block of which the end has not been read.
struct Block {
    line: usize,
    language: String,
    indent: usize,
    lines: Vec<String>,
}

/// The steps of a page; fails with a line and a reason.
pub fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut reader = Reader::default();
    for (number, line) in page.lines().enumerate() {
        reader.line(number + 1, line).map_err(|reason| format!("{}: {reason}", number + 1))?;
    }
    match reader {
        Reader { block: None, comment: None, rules, steps } if rules == Rules::default() => {
            Ok(steps)
        }
        _ => Err("the page ends within a block, or with a rule for none".to_owned()),
    }
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if let Some(mut block) = self.block.take() {
            if line.trim_start().starts_with("```") {
                return self.end(block);
            }
            let indent = line.len() - line.trim_start_matches(' ').len();
            block.lines.push(line[indent.min(block.indent)..].to_owned());
            self.block = Some(block);
            return Ok(());
        }
        let comment = match self.comment.take() {
            Some(begun) => format!("{begun} {}", line.trim()),
            None => line.trim().to_owned(),
        };
        if let Some(text) = comment.strip_prefix(COMMENT) {
            match text.strip_suffix("-->") {
                Some(text) => return self.directive(number, text.trim_end()),
                None => self.comment = Some(comment),
            }
        } else if let Some(language) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let language = language.to_owned();
            self.block = Some(Block { line: number, language, indent, lines: Vec::new() });
        }
        Ok(())
    }

    /// Takes in a comment for the test.
    fn directive(&mut self, line: usize, text: &str) -> Result<(), String> {
        // These have the rest of the comment for themselves.
        const WHOLE: &[&str] = &["run ", "until ", "skip "];
        let is_whole = WHOLE.iter().any(|name| text.starts_with(name));
        let parts: Vec<&str> = if is_whole { vec![text] } else { text.split("; ").collect() };
        for text in parts {
            if self.rules.take(text) {
                continue;
            }
            if self.rules != Rules::default() {
                return Err(format!("{text:?} comes between a rule and its block"));
            }
            let part = Part::Event(text.to_owned());
            self.steps.push(Step { line, part, rules: Rules::default() });
        }
        Ok(())
    }

    /// Takes in a block.
    fn end(&mut self, block: Block) -> Result<(), String> {
        let rules = std::mem::take(&mut self.rules);
        let has_rules = rules != Rules::default();
        let is_command = |line: &String| line.starts_with("$ ");
        match (block.language.as_str(), &rules.skip) {
            ("sh" | "console", Some(reason)) => {
                let typed = block.lines.first().cloned().unwrap_or_default();
                let reason = reason.clone();
                self.push(block.line, Part::Skipped { typed, reason }, rules);
            }
            ("sh", None) => {
                self.push(block.line, Part::Script(block.lines.join("\n")), rules);
            }
            ("console", None) => return self.end_console(block, &rules),
            ("text", None) if rules.is_printed => {
                self.push(block.line, Part::Printed(block.lines), rules);
            }
            _ if has_rules => return Err("the rules are not for such a block".to_owned()),
            (language, _) if !LANGUAGES.contains(&language) => {
                return Err(format!("a block of {language:?} is neither run nor skipped"));
            }
            _ if block.lines.iter().any(is_command) => {
                return Err("a command is in a block that is not run".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in the commands of a block of `console`, each with its output.
    fn end_console(&mut self, block: Block, rules: &Rules) -> Result<(), String> {
        let first = self.steps.len();
        let mut goes_on = false;
        for (offset, line) in block.lines.into_iter().enumerate() {
            let begun = self.steps[first..].last_mut().map(|step| &mut step.part);
            if let Some(typed) = line.strip_prefix("$ ") {
                goes_on = line.ends_with('\\');
                let part = Part::Command { typed: typed.to_owned(), printed: Vec::new() };
                self.push(block.line + 1 + offset, part, rules.clone());
            } else if let Some(Part::Command { typed, printed }) = begun {
                if goes_on {
                    goes_on = line.ends_with('\\');
                    *typed += &format!("\n{line}");
                } else {
                    printed.push(line);
                }
            } else {
                return Err("a block of console begins with a command".to_owned());
            }
        }
        Ok(())
    }

    fn push(&mut self, line: usize, part: Part, rules: Rules) {
        self.steps.push(Step { line, part, rules });
    }
}
