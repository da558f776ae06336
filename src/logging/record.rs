//! Records of the `log` crate, and the facts in them.

use log::kv::{Error, Key, Source, ToValue, Value, VisitSource, VisitValue};
use log::{Level, Record};

use crate::types::{Fact, Format, LogIndex, LogLine, NodeId, Term};

/// The message and the facts of a record. A fact without a value (`None`) is left out.
pub fn line_of(record: &Record<'_>) -> LogLine {
    let mut line = LogLine::new(record.args().to_string());
    // The visitors here return no errors, and a source that does has told what it could.
    let _ = record.key_values().visit(&mut Facts(&mut line));
    line
}

/// Logs a line whose keys are not the same each time, under the name of a module.
pub fn log_line(level: Level, module: &'static str, line: &LogLine) {
    if level <= log::max_level() {
        log::logger().log(
            &Record::builder()
                .level(level)
                .target(module)
                .module_path_static(Some(module))
                .args(format_args!("{}", line.message))
                .key_values(line)
                .build(),
        );
    }
}

/// Adds the facts that it sees to a line.
struct Facts<'a>(&'a mut LogLine);

impl<'kvs> VisitSource<'kvs> for Facts<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut fact = FactOf(None);
        value.visit(&mut fact)?;
        if let FactOf(Some(fact)) = fact {
            self.0.facts.push((key.as_str().to_owned().into(), fact));
        }
        Ok(())
    }
}

/// The fact that a value is; `None` for no value.
struct FactOf(Option<Fact>);

impl FactOf {
    fn set(&mut self, fact: Fact) -> Result<(), Error> {
        self.0 = Some(fact);
        Ok(())
    }
}

impl<'v> VisitValue<'v> for FactOf {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.set(Fact::Text(value.to_string()))
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.0 = None;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.set(Fact::Number(value))
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.set(u64::try_from(value).map_or(Fact::Signed(value), Fact::Number))
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), Error> {
        self.set(u64::try_from(value).map_or_else(|_| Fact::Text(value.to_string()), Fact::Number))
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        self.set(Fact::Fraction(value))
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.set(Fact::Flag(value))
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.set(Fact::Text(value.to_owned()))
    }
}

impl Source for LogLine {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        for (key, fact) in &self.facts {
            visitor.visit_pair(Key::from_str(key), fact.to_value())?;
        }
        Ok(())
    }
}

impl ToValue for Fact {
    fn to_value(&self) -> Value<'_> {
        match self {
            Fact::Flag(flag) => flag.to_value(),
            Fact::Number(number) => number.to_value(),
            Fact::Signed(number) => number.to_value(),
            Fact::Fraction(number) => number.to_value(),
            Fact::Text(text) => text.as_str().to_value(),
        }
    }
}

impl ToValue for NodeId {
    fn to_value(&self) -> Value<'_> {
        self.0.to_value()
    }
}

impl ToValue for Term {
    fn to_value(&self) -> Value<'_> {
        self.0.to_value()
    }
}

impl ToValue for LogIndex {
    fn to_value(&self) -> Value<'_> {
        self.0.to_value()
    }
}

impl ToValue for Format {
    fn to_value(&self) -> Value<'_> {
        self.0.to_value()
    }
}
