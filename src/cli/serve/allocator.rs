//! The options of libc's allocator with which a server runs (docs/adr/0041).
//!
//! glibc reads them from the environment before a program's first instruction. So a server that was
//! started without them puts them there and executes its own program again, in the same process.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The variable from which glibc reads its options.
const OPTIONS_VARIABLE: &str = "GLIBC_TUNABLES";

/// Huge pages, where the kernel leaves them to the program: what a put touches lies anywhere in a
/// history of many megabytes. And up to 128 free blocks of each small size at hand, so that a batch
/// of writes is not handed to the slower lists; the default is seven.
const OPTIONS: &str = "glibc.malloc.hugetlb=1:glibc.malloc.tcache_count=128";

/// A variable of the second execution. [`OPTIONS_VARIABLE`] alone would not tell it from the first:
/// the loader removes that one from programs with privileges of their own.
const SECOND_VARIABLE: &str = "CORACLE_EXECUTED_AGAIN";

/// Executes this program again with the options, unless it runs with options of whoever started it,
/// or for the second time. Nothing else may have been begun: all threads end.
///
/// # Errors
/// When that is not possible. The server does all that it should without the options, at the
/// price that docs/adr/0041 tells.
pub(super) fn execute_with_options() -> io::Result<()> {
    let has_options = |name| env::var_os(name).is_some();
    let is_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
    if !is_glibc || [OPTIONS_VARIABLE, SECOND_VARIABLE].into_iter().any(has_options) {
        return Ok(());
    }
    let mut words = env::args_os();
    let mut command = Command::new(env::current_exe()?);
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words).env(OPTIONS_VARIABLE, OPTIONS).env(SECOND_VARIABLE, "1");
    Err(command.exec())
}
