use super::wants_open_metrics;

#[test]
fn open_metrics_is_printed_for_those_who_prefer_it() {
    for accepted in [
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "text/plain;q=0.3, application/openmetrics-text;q=0.3",
    ] {
        assert!(wants_open_metrics(accepted), "{accepted}");
    }
}

#[test]
fn plain_text_is_printed_for_everybody_else() {
    for accepted in [
        "",
        "*/*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/plain;version=0.0.4",
        "text/plain, application/openmetrics-text;q=0.9",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=nonsense",
    ] {
        assert!(!wants_open_metrics(accepted), "{accepted}");
    }
}
