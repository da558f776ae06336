//! The bounds on time of one connection, by the clock of the runtime, which is stopped: it moves to
//! the next timer when nothing else is to be done.

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const CONSOLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A time after which a connection that has not ended never will.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A connection to a server with these routes, and the task that serves it.
async fn connect(router: Router) -> (TcpStream, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let serving = serve_connection(stream, router, Arc::default(), CONSOLE_TIMEOUT);
    (client, task::spawn(serving))
}

/// Sends these bytes. Returns all that comes until the server ends the connection, and the time
/// until then.
async fn exchange(router: Router, sent: &str) -> (String, Duration) {
    let began = Instant::now();
    let (mut client, serving) = connect(router).await;
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = timeout(FOR_EVER, client.read_to_end(&mut answer)).await.expect("it ends");
    serving.await.unwrap();
    (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
}

fn assert_about(time: Duration, expected: Duration) {
    assert!(time >= expected && time < expected + Duration::from_secs(1), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_headers_do_not_come_ends() {
    for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let (_, time) = exchange(Router::new(), begun).await;
        assert_about(time, HEADERS_TIMEOUT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_more_ends() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let (answer, time) = exchange(router, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer:?}");
    assert_about(time, HEADERS_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_answered_in_time_is_told_so() {
    let never = || get(std::future::pending::<&str>);
    let router = Router::new().route("/slow", never()).route(&format!("{CONSOLE}/slow"), never());
    for (path, bound) in
        [("/slow".to_owned(), REQUEST_TIMEOUT), (format!("{CONSOLE}/slow"), CONSOLE_TIMEOUT)]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (answer, time) = exchange(router.clone(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
        assert!(answer.ends_with("not answered in time\n"), "{answer:?}");
        assert_about(time, bound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    const BODY_BYTES: usize = 64 << 20;
    let router = Router::new().route("/", get(|| async { vec![b'x'; BODY_BYTES] }));
    let began = Instant::now();
    let (mut client, serving) = connect(router).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    timeout(FOR_EVER, serving).await.expect("it ends").unwrap();
    assert_about(began.elapsed(), WRITE_TIMEOUT);
    let mut taken = Vec::new();
    let _ = client.read_to_end(&mut taken).await;
    assert!(taken.len() < BODY_BYTES, "the answer was sent although nobody took it");
}
