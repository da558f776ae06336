use super::*;

const READS: Durations =
    Durations { name: "took_seconds", label: "command", values: &["get", "scan"] };

fn scrape(fast: u64, slow: u64, other: u64) -> Scrape {
    let all = fast + slow;
    Scrape::parse(&format!(
        "# TYPE took_seconds histogram\n\
         took_seconds_bucket{{command=\"get\",le=\"0.001\"}} {fast}\n\
         took_seconds_bucket{{command=\"get\",le=\"0.002\"}} {all}\n\
         took_seconds_bucket{{command=\"get\",le=\"+Inf\"}} {all}\n\
         took_seconds_bucket{{command=\"set\",le=\"0.001\"}} 0\n\
         took_seconds_bucket{{command=\"set\",le=\"0.002\"}} 0\n\
         took_seconds_bucket{{command=\"set\",le=\"+Inf\"}} {other}\n\
         requests_total{{command=\"get\"}} {all}\n\
         requests_total{{command=\"set\"}} {other}\n\
         requests_totals 99\n\
         raft_term 7\n"
    ))
}

#[test]
fn series_are_found_by_name_and_label() {
    let scrape = scrape(3, 1, 5);
    assert_eq!(scrape.whole("raft_term"), Some(7));
    assert_eq!(scrape.get("raft_ter"), None);
    assert_eq!(scrape.sum("requests_total", "command", &["get"]), Some(4.0));
    assert_eq!(scrape.sum("requests_total", "command", &[]), Some(9.0));
    assert_eq!(scrape.sum("requests", "command", &[]), None);
}

#[test]
fn a_quantile_is_of_what_happened_since_the_scrape_before() {
    let (before, now) = (scrape(100, 0, 3), scrape(150, 50, 9));
    let near = |quantile: f64, expected: f64| {
        let found = quantile_ms(&before, &now, READS, quantile).unwrap();
        assert!((found - expected).abs() < 0.001, "{found} is not {expected}");
    };
    near(0.5, 1.0);
    near(0.25, 0.5);
    near(0.75, 1.5);
    assert_eq!(quantile_ms(&now, &now, READS, 0.5), None, "nothing happened");
}
