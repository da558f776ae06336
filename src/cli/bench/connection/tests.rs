use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use super::super::workload::Distribution;
use super::*;

/// A run that reads its keys one after the other.
fn run(servers: &[&TcpListener], pipeline: usize, count: u64, beats: Option<Beats>) -> Run {
    let address = |server: &&TcpListener| server.local_addr().unwrap().to_string();
    let servers: Vec<String> = servers.iter().map(address).collect();
    let mut recorder = Recorder::new();
    recorder.begin(Instant::now());
    Run {
        workload: Workload::new(1000, Distribution::Sequential, 1, 100),
        pipeline,
        silence_max: Duration::from_secs(10),
        recorder: RefCell::new(recorder),
        target: RefCell::new(servers[0].clone()),
        servers,
        left: Cell::new(count),
        beats,
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Answers every line of a connection, and returns how many came.
async fn serve(listener: &TcpListener, reply: &str) -> u64 {
    let mut stream = BufReader::new(listener.accept().await.unwrap().0);
    let mut lines = 0;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
        lines += 1;
        line.clear();
        if stream.write_all(reply.as_bytes()).await.is_err() {
            break;
        }
    }
    lines
}

#[tokio::test]
async fn a_closed_loop_sends_what_is_left_and_ends() {
    let server = listener().await;
    let run = run(&[&server], 3, 100, None);
    let (lines, ()) =
        tokio::join!(serve(&server, "VALUE 1\r\nx\r\n"), run.client(Client::new(0, 0)));
    assert_eq!(lines, 100);
    assert_eq!(run.recorder.borrow().so_far(), (100, 0));
}

#[tokio::test]
async fn no_more_are_in_flight_than_may_be() {
    let server = listener().await;
    let run = run(&[&server], 3, 100, None);
    let serve = async {
        let mut stream = server.accept().await.unwrap().0;
        let mut bytes = [0; 1000];
        let mut came = 0;
        while came < 3 * "get k0000000\r\n".len() {
            came += stream.read(&mut bytes).await.unwrap();
        }
        // The client gets this one reply before the connection ends.
        stream.write_all(b"OK 1\r\n").await.unwrap();
        came = 0;
        while came < "get k0000000\r\n".len() {
            came += stream.read(&mut bytes).await.unwrap();
        }
        came
    };
    tokio::select! {
        came = serve => assert_eq!(came, "get k0000003\r\n".len()),
        () = run.client(Client::new(0, 0)) => panic!("it is not answered"),
    }
    assert_eq!(run.left.get(), 96);
}

#[tokio::test]
async fn latencies_of_an_open_loop_count_from_the_time_that_was_meant() {
    let server = listener().await;
    let begin = Instant::now() - Duration::from_secs(5);
    // All commands are due, the first for five seconds: as if the server had been stalled.
    let beats = Beats::new(Schedule::new(begin, 100.0, 1), 1);
    let run = run(&[&server], 1, 400, Some(beats));
    tokio::join!(serve(&server, "OK 1\r\n"), run.client(Client::new(0, 0)));
    let curves = run.recorder.borrow().curves();
    let (least, greatest) = (curves[0].points[0].1, curves[0].points.last().unwrap().1);
    assert!(greatest >= 4_990.0, "the first had waited for 5 s: {greatest} ms");
    assert!(least >= 990.0, "the last for 1 s: {least} ms");
}

#[tokio::test]
async fn an_open_loop_waits_until_a_command_is_due() {
    let server = listener().await;
    let begin = Instant::now();
    let run = run(&[&server], 10, 30, Some(Beats::new(Schedule::new(begin, 1000.0, 1), 1)));
    let client = async {
        tokio::select! {
            () = run.client(Client::new(0, 0)) => {}
            () = run.keep_time() => {}
        }
    };
    tokio::join!(serve(&server, "OK 1\r\n"), client);
    assert_eq!(run.recorder.borrow().so_far(), (30, 0));
    assert!(begin.elapsed() >= Duration::from_millis(29), "the last is due after 29 ms");
}

#[tokio::test]
async fn clients_go_where_they_are_sent() {
    let (old, new) = (listener().await, listener().await);
    let run = run(&[&old, &new], 1, 10, None);
    let redirect = format!("ERR_REDIRECT {}\r\n", new.local_addr().unwrap());
    let (before, after, ()) = tokio::join!(
        serve(&old, &redirect),
        serve(&new, "OK 1\r\n"),
        run.client(Client::new(0, 0)),
    );
    assert_eq!((before, after), (1, 9));
    assert!(run.recorder.borrow().json().contains(r#""errors":{"ERR_REDIRECT":1}"#));
}

#[tokio::test]
async fn clients_try_the_next_server_when_one_knows_no_leader_or_is_gone() {
    let (gone, without, leader) = (listener().await, listener().await, listener().await);
    let run = run(&[&gone, &without, &leader], 1, 10, None);
    drop(gone);
    let (refused, done, ()) = tokio::join!(
        serve(&without, "ERR_NO_LEADER\r\n"),
        serve(&leader, "OK 1\r\n"),
        run.client(Client::new(0, 0)),
    );
    assert_eq!((refused, done), (1, 9));
    let json = run.recorder.borrow().json();
    assert!(json.contains(r#"{"ERR_NO_LEADER":1,"connection refused":1}"#), "{json}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (silent, leader) = (listener().await, listener().await);
    let mut run = run(&[&silent, &leader], 2, u64::MAX, None);
    run.silence_max = Duration::from_millis(20);
    let answered = async {
        while run.recorder.borrow().so_far().0 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    // On a slow machine the leader may be given up as well, even more than once.
    let serve = async {
        loop {
            serve(&leader, "OK 1\r\n").await;
        }
    };
    tokio::select! {
        () = answered => {}
        () = serve => {}
        () = run.client(Client::new(0, 0)) => panic!("something is left"),
    }
    assert!(run.recorder.borrow().json().contains(r#""no answer":"#));
    drop(silent);
}

#[tokio::test]
async fn busy_and_late_answers_are_counted_and_the_connection_goes_on() {
    for error in ["ERR_BUSY", "ERR_TIMEOUT"] {
        let server = listener().await;
        let run = run(&[&server], 2, 10, None);
        let reply = format!("{error}\r\n");
        let (lines, ()) = tokio::join!(serve(&server, &reply), run.client(Client::new(0, 0)));
        assert_eq!(lines, 10);
        let json = run.recorder.borrow().json();
        assert!(json.contains(&format!("\"errors\":{{\"{error}\":10}}")), "{json}");
    }
}

#[test]
fn slow_ones_are_as_many_as_asked_for_and_spread() {
    let slow = |clients: u64, percent| {
        let all = (0..clients).map(|number| Client::new(number, percent));
        all.filter(|client| client.is_slow).map(|client| client.number).collect::<Vec<u64>>()
    };
    assert!(slow(1000, 0).is_empty());
    assert_eq!(slow(5000, 10), (0..500).collect::<Vec<u64>>());
    assert_eq!(slow(4, 50), [0, 1]);
    let fast: Vec<u64> = (0..4)
        .map(|number| Client::new(number, 50))
        .filter(|client| !client.is_slow)
        .map(|client| client.number)
        .collect();
    assert_eq!(fast, [0, 1], "numbered without gaps, for the schedule");
}

#[tokio::test]
async fn a_slow_one_is_counted_apart() {
    let server = listener().await;
    let run = run(&[&server], 1, 5, None);
    let client = async {
        let slow = run.client(Client::new(1, 50));
        tokio::pin!(slow);
        while run.recorder.borrow().json().contains(r#""slow_commands":0,"#) {
            tokio::select! {
                () = &mut slow => panic!("something is left"),
                () = sleep(Duration::from_millis(1)) => {}
            }
        }
    };
    tokio::select! {
        _ = serve(&server, "OK 1\r\n") => panic!("the client is there"),
        () = client => {}
    }
    assert_eq!(run.left.get(), 5, "they are beside the count");
    assert_eq!(run.recorder.borrow().so_far(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_reads_a_little_after_each_pause() {
    let mut input = Input::default();
    let mut reader = &[b'x'; 2000][..];
    let begin = tokio::time::Instant::now();
    for turn in 1..=2 {
        let pause = Instant::now() + SLOW_PAUSE;
        input.read(&mut reader, Some(pause)).await.unwrap();
        assert_eq!(input.bytes.len(), turn * SLOW_READ_BYTES);
    }
    assert!(begin.elapsed() >= SLOW_PAUSE);
    input.read(&mut reader, None).await.unwrap();
    assert_eq!(input.bytes.len(), 2000);
}
