//! Tests that the settings of the actors fit together.

use std::path::Path;

use super::*;

/// A larger chunk could never be sent, and the peer would never catch up.
#[test]
fn a_chunk_of_a_snapshot_fits_into_the_smallest_frame() {
    let text = "[[servers]]\nid = 1\nhostname = \"h\"\nclient_port = 1\nlog_port = 2\n\
                [limits]\nvalue_bytes_max = 1\nkey_bytes_max = 1\nappend_bytes_max = 1\n";
    let settings = Settings::parse(Path::new("servers.toml"), text, &Default::default()).unwrap();
    let piece_bytes = progress_settings(&settings).snapshot_piece_bytes;
    let largest = piece_bytes + piece_bytes / 4;
    assert!(largest + 1024 < settings.limits.frame_bytes_max(), "{largest}");
}
