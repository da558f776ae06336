//! Answers of servers that are none, too long, or broken off.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Fetches from a server that says this to one request.
async fn fetched(says: &'static [u8], body_bytes_max: usize) -> Result<Fetched, FetchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(says).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let address = Address { host: "127.0.0.1".into(), port };
    let answer = fetch(&address, "/path?verbose", body_bytes_max).await;
    let request = server.await.unwrap();
    assert!(request.starts_with("GET /path?verbose HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
    answer
}

#[tokio::test]
async fn an_answer_is_its_status_and_its_body() {
    let says = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nno\n";
    let fetched = fetched(says, 3).await.unwrap();
    assert_eq!(fetched, Fetched { status: 503, body: Bytes::from_static(b"no\n") });
}

#[tokio::test]
async fn a_body_has_its_bound_whether_its_length_is_told_or_not() {
    let told = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour";
    let untold = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfour";
    for says in [&told[..], &untold[..]] {
        let error = fetched(says, 3).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLong { bytes_max: 3, .. }), "{error}");
        assert_eq!(fetched(says, 4).await.unwrap().body, "four");
    }
}

#[tokio::test]
async fn what_is_no_answer_has_a_reason() {
    let error = fetched(b"ERR_CMD_ERR\r\n", 3).await.unwrap_err().to_string();
    assert!(error.starts_with("broke the connection: "), "{error}");
    let error = fetched(b"", 3).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let nobody = Address { host: "127.0.0.1".into(), port };
    let error = fetch(&nobody, "/", 1).await.unwrap_err().to_string();
    assert_eq!(error, "refused the connection");
    let unknown = Address { host: "no-such-host.invalid".into(), port: 1 };
    let error = fetch(&unknown, "/", 1).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot be reached: "), "{error}");
}
