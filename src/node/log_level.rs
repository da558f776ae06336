//! The level of the log of a running server, read again when a person asks for it.

use log::LevelFilter;

use crate::config::{ConfigError, LevelSource, SettingsFile};

/// Reads the level from its source again, puts it in force, and logs what has changed. Nothing
/// else of the settings can change while a server runs.
pub(super) async fn read_again(source: &LevelSource) {
    let now = log::max_level();
    let level = name(now);
    match source {
        LevelSource::Fixed(fixed) => {
            log::info!(level; "log level not changed, because {fixed} comes before servers.toml");
        }
        LevelSource::Default => log::info!(
            level;
            "log level not changed, because this server was started without a servers.toml"
        ),
        LevelSource::File(file) => match read(file.as_ref().clone()).await {
            Ok(read) if read == now => log::info!(
                level;
                "log level not changed: servers.toml says the same, and its other settings are \
                 read at the start only"
            ),
            Ok(read) => change(now, read),
            Err(error) => log::warn!(level, detail:% = error; "log level not changed"),
        },
    }
}

/// Reads the file on a thread that may block: a file system that hangs must not stop the node.
async fn read(file: SettingsFile) -> Result<LevelFilter, ConfigError> {
    let read = tokio::task::spawn_blocking(move || file.read_logging());
    Ok(read.await.expect("it does not panic and is not aborted")?.level)
}

/// The line about the change is logged if either level has it.
fn change(from: LevelFilter, to: LevelFilter) {
    log::set_max_level(from.max(to));
    log::info!(from = name(from), to = name(to); "log level changed");
    log::set_max_level(to);
}

/// The word for a level, as flags and files have it.
fn name(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}
