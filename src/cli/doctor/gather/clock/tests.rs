//! The difference of two clocks.

use super::*;

#[test]
fn a_clock_is_compared_with_the_middle_of_the_question() {
    assert_eq!(between(1_000, 1_010, 1_020), Clock { ahead_ms: 0, error_ms: 11 });
    assert_eq!(between(1_000, 5_010, 1_020), Clock { ahead_ms: 4_000, error_ms: 11 });
    assert_eq!(between(1_000, 0, 1_000), Clock { ahead_ms: -1_000, error_ms: 1 });
    // Our own clock was set back meanwhile.
    assert_eq!(between(1_000, 500, 0), Clock { ahead_ms: 0, error_ms: 1 });
}
