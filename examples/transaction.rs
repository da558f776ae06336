//! Money moves between two accounts, all of it or nothing.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example transaction`, as often as you
//! like and several at once; kill a server meanwhile. The sum never changes.

use coracle::client::{Client, Error, OperationResult, Options, Transaction};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];
const ACCOUNTS: [&str; 2] = ["account/ada", "account/bob"];
const TRANSFERS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut client = Client::connect(SERVERS, Options::default()).await?;
    // Both accounts are opened at one moment, if nobody has opened them yet.
    let open = Transaction::new()
        .check(ACCOUNTS[0], 0)
        .check(ACCOUNTS[1], 0)
        .set(ACCOUNTS[0], 0, b"100")
        .set(ACCOUNTS[1], 0, b"100");
    match client.transaction(open).await {
        Ok(_) => println!("opened the accounts"),
        Err(Error::Aborted { .. }) => println!("the accounts are open"),
        Err(error) => return Err(error),
    }
    let mut conflicts = 0;
    for _ in 0..TRANSFERS {
        while !transfer(&mut client).await? {
            conflicts += 1;
        }
    }
    let [(ada, _), (bob, _)] = balances(&mut client).await?;
    println!("{TRANSFERS} transfers, {conflicts} of them again: ada {ada}, bob {bob}");
    assert_eq!(ada + bob, 200);
    client.close().await
}

/// Moves one from the first account to the other, unless somebody has changed them meanwhile.
async fn transfer(client: &mut Client) -> Result<bool, Error> {
    let [(from, from_version), (to, to_version)] = balances(client).await?;
    let transaction = Transaction::new()
        .check(ACCOUNTS[0], from_version)
        .check(ACCOUNTS[1], to_version)
        .set(ACCOUNTS[0], 0, (from - 1).to_string().as_bytes())
        .set(ACCOUNTS[1], 0, (to + 1).to_string().as_bytes());
    match client.transaction(transaction).await {
        Ok(_) => Ok(true),
        Err(Error::Aborted { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Both balances as of one moment, with their versions.
async fn balances(client: &mut Client) -> Result<[(i64, u64); 2], Error> {
    let read = Transaction::new().getm(ACCOUNTS[0]).getm(ACCOUNTS[1]);
    let committed = client.transaction(read).await?;
    let balance = |result: &OperationResult| match result {
        OperationResult::Item(Some(item)) => {
            let text = String::from_utf8_lossy(&item.value);
            (text.parse().expect("only this example writes here"), item.version)
        }
        _ => unreachable!("the accounts are open, and never closed"),
    };
    Ok([balance(&committed.results[0]), balance(&committed.results[1])])
}
