//! The outcome of a check.

use anstyle::Style;
use coracle::types::NodeId;

use super::super::json::{Object, json_list, json_text};
use super::super::paint::{BAD, DOUBTFUL, GOOD, Paint};
use super::super::text::{plural, shown};

/// The weight of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is to be done.
    Ok,
    /// It works, and may not under load or after the next failure.
    Warn,
    /// It does not work, or will not.
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }

    fn style(self) -> Style {
        match self {
            Level::Ok => GOOD,
            Level::Warn => DOUBTFUL,
            Level::Fail => BAD,
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// The name of the check.
    pub check: &'static str,
    /// The server that it is about; `None` for the cluster or this machine.
    pub server: Option<NodeId>,
    /// A clause with the value that was found and its bound.
    pub text: String,
    /// A clause that says what to change; none when all is well.
    pub advice: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, check, server: None, text: text.into(), advice: None }
    }

    /// Something is to be changed soon.
    pub fn warn(
        check: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        let advice = Some(advice.into());
        Finding { level: Level::Warn, advice, ..Finding::ok(check, text) }
    }

    /// Something is to be changed now.
    pub fn fail(
        check: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Fail, ..Finding::warn(check, text, advice) }
    }

    /// The same finding about a server.
    #[must_use]
    pub fn of(self, server: NodeId) -> Finding {
        Finding { server: Some(server), ..self }
    }

    /// The name of the check, with its server.
    fn name(&self) -> String {
        self.server.map_or(self.check.to_owned(), |id| format!("{} of {id}", self.check))
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    pub findings: Vec<Finding>,
    /// A clause for each thing that could not be checked, and why.
    pub unchecked: Vec<String>,
}

impl Diagnosis {
    /// The names of the checks that fail.
    pub fn failed(&self) -> Vec<String> {
        let failed = self.findings.iter().filter(|finding| finding.level == Level::Fail);
        failed.map(Finding::name).collect()
    }

    fn count(&self, level: Level) -> u64 {
        self.findings.iter().filter(|finding| finding.level == level).count() as u64
    }

    /// A line for each finding, one for each advice, and their number.
    pub fn text(&self, paint: Paint) -> String {
        let names: Vec<String> = self.findings.iter().map(Finding::name).collect();
        let width = names.iter().map(String::len).max().unwrap_or(0);
        let mut text = String::new();
        for (finding, name) in self.findings.iter().zip(names) {
            let (level, said) = (finding.level, shown(&finding.text));
            let word = paint.text(level.style(), &format!("{:<4}", level.word()));
            text += &format!("{word}  {name:<width$}  {said}\n");
            if let Some(advice) = &finding.advice {
                text += &format!("{:<4}  {:<width$}  -> {}\n", "", "", shown(advice));
            }
        }
        for clause in &self.unchecked {
            text += &format!("not checked: {}\n", shown(clause));
        }
        let (warned, failed) = (self.count(Level::Warn), self.count(Level::Fail));
        let warnings = plural("warning", warned);
        let failures = plural("failure", failed);
        text +=
            &format!("{} ok, {warned} {warnings}, {failed} {failures}\n", self.count(Level::Ok));
        text
    }

    /// The same as one object.
    pub fn json(&self) -> Object {
        let finding = |finding: &Finding| {
            Object::new()
                .text("level", finding.level.word())
                .text("check", finding.check)
                .optional("server", finding.server)
                .text("text", &finding.text)
                .optional_text("advice", finding.advice.as_deref())
        };
        Object::new()
            .raw("ok", self.count(Level::Ok))
            .raw("warn", self.count(Level::Warn))
            .raw("fail", self.count(Level::Fail))
            .raw("findings", json_list(self.findings.iter().map(finding)))
            .raw("unchecked", json_list(self.unchecked.iter().map(|it| json_text(it))))
    }
}

#[cfg(test)]
mod tests;
