use std::path::Path;

use super::*;
use crate::config::{Overrides, Settings};

const ONE: &str = "[[servers]]\nid = 1\nhostname = \"a\"\nclient_port = 1000\nlog_port = 1001\n";

fn parse(keys: &str) -> Result<LoggingSettings, String> {
    let text = format!("{keys}{ONE}");
    Settings::parse(Path::new("servers.toml"), &text, &Overrides::default())
        .map(|settings| settings.logging)
        .map_err(|error| error.to_string())
}

#[test]
fn both_keys_are_read_and_have_defaults() {
    let settings = |level, format| Ok(LoggingSettings { level, format });
    assert_eq!(parse(""), settings(LevelFilter::Info, LogFormat::Text));
    let both = "log_level = \"debug\"\nlog_format = \"json\"\n";
    assert_eq!(parse(both), settings(LevelFilter::Debug, LogFormat::Json));
    assert_eq!(parse("log_level = \"off\"\n"), settings(LevelFilter::Off, LogFormat::Text));
}

#[test]
fn other_words_are_refused_with_those_that_there_are() {
    assert_eq!(
        parse("log_level = \"loud\"\n").unwrap_err(),
        "servers.toml, line 1: log_level is \"loud\": it must be off, error, warn, info, debug or \
         trace"
    );
    assert_eq!(
        parse("\nlog_format = \"xml\"\n").unwrap_err(),
        "servers.toml, line 2: log_format is \"xml\": it must be text or json"
    );
    assert_eq!(
        parse("log_level = 3\n").unwrap_err(),
        "servers.toml, line 1: log_level is 3: it must be text in quotes"
    );
}

#[test]
fn a_format_is_printed_as_it_is_written() {
    for format in [LogFormat::Text, LogFormat::Json] {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!("JSON".parse::<LogFormat>(), Err(UnknownLogFormat));
}
