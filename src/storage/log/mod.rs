//! The journal on disk: segment files, and the records of the log in them.
//!
//! | file | content |
//! |---|---|
//! | `header` | the first sector of a segment |
//! | `files` | names of segment files, and how they are created and opened |
//! | `sectors` | how the stream of records is spread over the sectors of a file |
//! | `record` | one entry of the log as bytes |
//! | `segment` | a reader of the records of one segment |
//! | `tail` | the last segment, which is written to |
//! | `index` | the way from an entry's index to its record |
//! | `pool` | files of old segments that are used again |
//! | `recovery` | reading and checking the whole log at a start |
//! | `repair` | a damaged log in a cluster whose other servers have the entries |

pub(crate) mod files;
pub(crate) mod header;
pub(super) mod index;
pub(crate) mod pool;
pub(super) mod record;
pub(super) mod recovery;
pub(super) mod repair;
pub(crate) mod sectors;
pub(crate) mod segment;
pub(super) mod tail;
