use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use super::super::workload::Distribution;
use super::*;

/// A server that says that it leads, and answers nothing else.
async fn idle_leader() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                    if line.starts_with("status") {
                        let status = b"role leader\r\nterm 1\r\nEND\r\n";
                        stream.get_mut().write_all(status).await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

async fn find(server: &str, read_percent: u32) -> Result<String, Failure> {
    let time = Duration::from_millis(300);
    let workload = Workload::new(100, Distribution::Uniform, 10, read_percent);
    find_ready_leader(
        &[server.to_owned()],
        Patience { try_time: time, time },
        &workload,
        &LoadBar::new(),
    )
    .await
}

#[tokio::test]
async fn a_leader_that_does_not_write_the_keys_is_told_from_no_leader() {
    let leader = idle_leader().await;
    assert_eq!(find(&leader, 0).await.unwrap(), leader);
    let Err(Failure::Unavailable(reason)) = find(&leader, 50).await else {
        panic!("no key can be read");
    };
    let expected = format!("{leader} leads, and does not write the keys that are to be read: ");
    assert!(reason.starts_with(&expected), "{reason}");
    let Err(Failure::Unavailable(reason)) = find("127.0.0.1:1", 0).await else {
        panic!("nobody is there");
    };
    assert_eq!(reason, "no server says that it leads");
}
