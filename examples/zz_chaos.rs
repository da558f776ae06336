use coracle::client::{Client, Error, Options};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};
use std::time::{Duration, Instant};
fn opts() -> Options {
    Options { deadline: Duration::from_secs(60), ..Options::default() }
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let secs: u64 = args[1].parse().unwrap();
    let servers: Vec<String> = args[2..].to_vec();
    let run = format!("{:x}", std::process::id());
    let stop = Arc::new(AtomicBool::new(false));
    let ops = Arc::new(AtomicU64::new(0));
    let gap = Arc::new(AtomicU64::new(0));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut counters = vec![];
            for _ in 0..4 {
                let (servers, stop, ops, run, gap) =
                    (servers.clone(), stop.clone(), ops.clone(), run.clone(), gap.clone());
                counters.push(tokio::task::spawn_local(async move {
                    let mut c = Client::connect(servers, opts()).await.unwrap();
                    let key = format!("counter{run}");
                    let (mut sure, mut unknown) = (0u64, 0u64);
                    while !stop.load(SeqCst) {
                        let t = Instant::now();
                        let (n, v) = match c.getm(&key).await {
                            Ok(i) => (
                                String::from_utf8(i.value).unwrap().parse::<u64>().unwrap(),
                                i.version,
                            ),
                            Err(Error::NotFound) => (0, 0),
                            Err(e) => {
                                println!("getm: {e}");
                                continue;
                            }
                        };
                        match c.cas(&key, 0, v, (n + 1).to_string().as_bytes()).await {
                            Ok(_) => {
                                sure += 1;
                                ops.fetch_add(1, SeqCst);
                            }
                            Err(Error::VersionMismatch { .. }) => {}
                            Err(Error::Unknown { last }) => {
                                println!("unknown {last}");
                                unknown += 1;
                            }
                            Err(e) => println!("cas: {e}"),
                        }
                        gap.fetch_max(t.elapsed().as_millis() as u64, SeqCst);
                    }
                    (sure, unknown)
                }));
            }
            let mut adders = vec![];
            for w in 0..8 {
                let (servers, stop, ops, run) =
                    (servers.clone(), stop.clone(), ops.clone(), run.clone());
                adders.push(tokio::task::spawn_local(async move {
                    let mut c = Client::connect(servers, opts()).await.unwrap();
                    let mut acked = vec![];
                    for n in 0.. {
                        if stop.load(SeqCst) {
                            break;
                        }
                        let key = format!("w{run}-{w}-{n}");
                        match c.add(&key, 0, key.as_bytes()).await {
                            Ok(v) => {
                                acked.push((key, v));
                                ops.fetch_add(1, SeqCst);
                            }
                            Err(e @ (Error::Unknown { .. } | Error::Unavailable { .. })) => {
                                println!("{key} {e}")
                            }
                            Err(e) => panic!("{key} {e}"),
                        }
                    }
                    acked
                }));
            }
            let mut appends = vec![];
            for w in 0..3 {
                let (servers, stop, run) = (servers.clone(), stop.clone(), run.clone());
                appends.push(tokio::task::spawn_local(async move {
                    let mut c = Client::connect(servers, opts()).await.unwrap();
                    let key = format!("hist{run}");
                    let mut mine = vec![];
                    for n in 0.. {
                        if stop.load(SeqCst) {
                            break;
                        }
                        let (old, v) = match c.getm(&key).await {
                            Ok(i) => (i.value, i.version),
                            Err(Error::NotFound) => (vec![], 0),
                            Err(e) => {
                                println!("{e}");
                                continue;
                            }
                        };
                        let item = format!("{w}.{n} ");
                        let new = [&old[..], item.as_bytes()].concat();
                        if new.len() > 200_000 {
                            break;
                        }
                        match c.cas(&key, 0, v, &new).await {
                            Ok(_) => mine.push(item),
                            Err(Error::VersionMismatch { .. }) => {}
                            Err(e) => println!("append {e}"),
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    mine
                }));
            }
            let start = Instant::now();
            let mut last = 0;
            while start.elapsed() < Duration::from_secs(secs) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let now = ops.load(SeqCst);
                println!(
                    "t={} ops/s={} slowest={}ms",
                    start.elapsed().as_secs(),
                    now - last,
                    gap.swap(0, SeqCst)
                );
                last = now;
            }
            stop.store(true, SeqCst);
            let (mut sure, mut unknown) = (0, 0);
            for c in counters {
                let (s, u) = c.await.unwrap();
                sure += s;
                unknown += u;
            }
            let mut acked = vec![];
            for a in adders {
                acked.extend(a.await.unwrap());
            }
            let mut c = Client::connect(servers, opts()).await.unwrap();
            let n: u64 = String::from_utf8(c.get(format!("counter{run}")).await.unwrap())
                .unwrap()
                .parse()
                .unwrap();
            let mut ok = n >= sure && n <= sure + unknown;
            println!("counter {n} sure {sure} unknown {unknown}");
            let mut missing = 0;
            let mut found = std::collections::HashMap::new();
            let mut after: Option<Vec<u8>> = None;
            loop {
                let p = c.scan(format!("w{run}-"), 10000, after.as_deref()).await.unwrap();
                after = p.items.last().map(|i| i.key.clone());
                for i in p.items {
                    found.insert(i.key, (i.value, i.version));
                }
                if !p.more {
                    break;
                }
            }
            for (k, v) in &acked {
                match found.get(k.as_bytes()) {
                    Some((val, ver)) if val == k.as_bytes() && ver == v => {}
                    other => {
                        missing += 1;
                        println!("BAD {k}@{v} {:?}", other.map(|o| o.1));
                    }
                }
            }
            ok &= missing == 0;
            println!("acked {} found {} bad {missing}", acked.len(), found.len());
            let hist = String::from_utf8(c.get(format!("hist{run}")).await.unwrap()).unwrap();
            let items: Vec<&str> = hist.split_whitespace().collect();
            let mut set = std::collections::HashSet::new();
            for i in &items {
                if !set.insert(*i) {
                    ok = false;
                    println!("DUP {i}");
                }
            }
            let mut total = 0;
            for a in appends {
                for i in a.await.unwrap() {
                    total += 1;
                    if !set.contains(i.trim()) {
                        ok = false;
                        println!("LOST append {i}");
                    }
                }
            }
            println!("hist {} acked {total}", items.len());
            println!("{}", if ok { "RESULT OK" } else { "RESULT BAD" });
        })
        .await;
}
