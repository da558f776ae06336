//! The bugs themselves; docs/mutants.md shows what notices each.

/// Declares [`Mutant`] and [`MUTANTS`].
macro_rules! mutants {
    ($($name:ident: $what:literal,)*) => {
        /// A bug, by its number in the list of docs/mutants.md; a letter tells
        /// those of one number apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $(#[doc = $what] $name,)*
        }

        /// All of them, with what each does.
        pub const MUTANTS: &[(Mutant, &str)] = &[$((Mutant::$name, $what),)*];
    };
}

mutants! {
    B01a: "a vote is written, and then, in another write, its term",
    B01b: "a term is written, and its vote only by the next write",
    B02: "votes, and requests for them, do not wait for the disk",
    B03: "a node that starts again has lost its vote",
    B04: "stepping down within a term takes the vote back",
    B05a: "a vote of an earlier election is counted",
    B05b: "the answer to an earlier pre-vote is counted",
    B06a: "a candidate that was heard of counts as voted for, whatever its log",
    B06b: "a refusal is counted as a vote",
    B07: "logs are compared by length, and only then by term",
    B08a: "a leader that hears of a higher term takes it, and goes on leading",
    B08b: "the term of a leader changes under it, and it leads on",
    B11a: "a node without a vote stands for election",
    B11b: "a node without a vote votes",
    B12: "who refuses a pre-vote does not tell its term",
    B13a: "a pre-vote is taken for a word of the leader",
    B13b: "a former leader, or candidate, refuses all others in its term",
    B15: "a pre-vote that comes late starts an election on the leader",
    B16a: "a leader that hears no quorum stays",
    B16b: "a node that hears its leader grants votes all the same",
    B17: "a leader whose disk does not answer stays",
    B18: "a leader commits an entry of an earlier term by counting its copies",
    B19a: "an entry is committed by one copy less than a quorum",
    B19b: "the copies of an entry are counted in no order",
    B20: "the write of entries that were replaced meanwhile confirms those in their place",
    B21: "a leader counts its own copy before it is durable",
    B22a: "a follower acknowledges entries before they are durable",
    B22b: "the log acknowledges a write without a sync",
    B23: "a follower commits entries of its own that the leader's request did not cover",
    B24a: "a request with entries that are known replaces them and drops all behind",
    B24b: "a request with entries that are known drops all behind them",
    B27: "the next entry to send may be one that was acknowledged",
    B28a: "entries that were truncated stay at hand in the core",
    B28b: "entries that were replaced stay in the batch for the disk",
    B29: "what was under way on a lost connection stays in the window for ever",
    B31: "the search for the place where the logs part takes no step back",
    B32a: "after a restart the rest of what did not fit into a page is skipped",
    B32b: "the commit index of a follower falls",
    B33: "a completion of the disk that stands for several writes is taken for one",
    B34: "entries are applied before they are durable here",
    B35: "the hard state is written but not synced",
    B36: "a connection whose other side is silent is kept for ever",
    B52: "a node that has lost its disk takes part at once",
    B61a: "damage before the end of the log is cut like a torn tail",
    B61b: "a torn tail is a refusal to start",
    B61c: "the checksum of the hard state is not looked at",
    B61d: "the checksum of a record's body is not looked at",
    B62a: "an error of a sync is ignored",
    B62b: "a sync that failed is tried again, and then trusted",
    B63a: "no sync of the directory after a file was made and renamed",
    B63b: "no sync of the directories above a new data directory",
    B65: "a segment is begun before the one before it is durable",
    B66: "entries that were replaced are found again",
    B67a: "a failed write leaves a hole, and the next goes behind it",
    B67b: "a start needs room on the disk",
    B68: "the end of the log is not held against the seal, so lost writes go unnoticed",
    B81a: "a read whose leadership was lost is never answered",
    B81b: "a write whose leadership was lost is never answered",
    B82: "a leader whose disk is busy sends no heartbeats",
    B83: "ticks that were missed come all at once",
    B84a: "a node that starts takes all that is on its disk for committed",
    B84b: "a node that has started asks for one page of its log and for no other",
    S1: "the log is not sealed by a start, nor when it is idle",
    S2: "a torn tail is kept, and the next entries are written over its beginning",
    S3: "a start trusts what the page cache holds of a failed or interrupted sync",
    S4: "both copies of the hard state are written before either is synced",
}
