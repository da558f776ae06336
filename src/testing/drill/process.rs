//! The ports, ends and outputs of processes.

use std::net::TcpListener;
use std::process::{Child, ExitStatus, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::failure::Failure;

/// The pause between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Waits for the end of a process; kills it when that takes too long.
///
/// # Errors
/// When it has not ended after [`PATIENCE`]. `what` says in the failure what was waited for.
pub fn wait_for_exit(process: &mut Child, what: &str) -> Result<ExitStatus, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            process.kill()?;
            process.wait()?;
            let patience = PATIENCE.as_secs();
            return Err(Failure::new(format!("waited {patience} s for {what} in vain")));
        }
        sleep(LOOK);
    }
}

/// The output of a command that must not fail.
///
/// # Errors
/// When it has failed, with all that it said.
pub fn succeeded(what: &str, output: Output) -> Result<String, Failure> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(Failure::new(format!("{what} failed with {}: {said}{error}", output.status)))
        }
    }
}

/// Runs a future to its end on this thread.
///
/// # Panics
/// When the system gives no runtime.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a runtime").block_on(future)
}

/// Returns ports on which no process listens. They are below the range that the system gives to
/// outgoing connections: one of those could take the port of a server while it is down. No two
/// calls in a process return the same port.
///
/// # Errors
/// When all ports are taken.
pub fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const SPAN: u32 = 20_000;
    // Processes that run at the same time start at different ports.
    let start = std::process::id().wrapping_mul(7_919) % SPAN;
    let mut ports = Vec::new();
    while ports.len() < count {
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        if next >= SPAN {
            return Err(Failure::new("all ports are taken"));
        }
        let port = (FIRST + (start + next) % SPAN) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    Ok(ports)
}
