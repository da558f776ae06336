//! Servers that do not answer as they should.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server of HTTP that answers each request with these bytes.
async fn server(says: Vec<u8>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let says = Arc::new(says);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let says = Arc::clone(&says);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&says).await;
            });
        }
    });
    Address { host: "127.0.0.1".into(), port }
}

async fn parts(http: Option<Address>) -> Vec<(String, Result<Vec<u8>, String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = listener.local_addr().unwrap().to_string();
    drop(listener);
    let target = Target { id: NodeId(3), client, http };
    collect(&[target], Duration::from_secs(60))
        .await
        .into_iter()
        .map(|part| (part.name, part.content))
        .collect()
}

#[tokio::test]
async fn a_check_that_fails_is_a_part_and_any_other_bad_status_is_not() {
    let no = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nno\n".to_vec();
    for (name, content) in parts(Some(server(no).await)).await {
        match name.as_str() {
            "n3/livez.txt" | "n3/readyz.txt" => assert_eq!(content.unwrap(), b"no\n"),
            "n3/status.txt" | "n3/members.json" => {
                assert!(content.unwrap_err().contains("refused"), "{name}");
            }
            _ => assert!(content.unwrap_err().ends_with("the status 503"), "{name}"),
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_taken() {
    let mut long = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    long.resize(BYTES_MAX + 1_000, b'x');
    let parts = parts(Some(server(long).await)).await;
    let (_, metrics) = parts.iter().find(|(name, _)| name == "n3/metrics.txt").unwrap();
    assert!(metrics.as_ref().unwrap_err().contains("more than 4194304 bytes"), "{metrics:?}");
}

#[tokio::test]
async fn a_server_without_an_http_port_says_so_for_each_part() {
    let parts = parts(None).await;
    let without = parts.iter().filter(|(_, content)| {
        *content == Err("no HTTP port of server 3 is known: only servers.toml names it".to_owned())
    });
    assert_eq!((parts.len(), without.count()), (7, 5));
}
