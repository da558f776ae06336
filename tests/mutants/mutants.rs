//! Bugs that Rafts have had, to be put back one at a time (docs/mutants.md). This module and the
//! lines that name one of its bugs are only in the copy of the tree that scripts/mutants.sh makes
//! (docs/adr/0015).
//!
//! `mutant!(B18)` is true on a thread on which bug B18 is put back. At most one bug is, and none
//! at the start.

/// True while the named bug is put back on this thread.
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_put_back($crate::mutants::Mutant::$name)
    };
}

mod table;

pub use table::{LEFT_TO_TESTS, MUTANTS, Mutant};

#[cfg(not(any(test, feature = "testing")))]
compile_error!("this copy of the tree holds bugs that lose data: it is built for tests only");

thread_local! {
    static PUT_BACK: std::cell::Cell<Option<Mutant>> = std::cell::Cell::new(of_environment());
}

/// The bug that every thread begins with. `scripts/mutants.sh --tests` puts a bug back for a whole
/// run of the tests, each of which has a thread of its own.
fn of_environment() -> Option<Mutant> {
    let name = std::env::var("CORACLE_MUTANT").ok()?;
    let found = MUTANTS.iter().find(|mutant| format!("{:?}", mutant.0) == name);
    Some(found.unwrap_or_else(|| panic!("CORACLE_MUTANT is {name:?}: no such bug")).0)
}

/// Puts one bug back on this thread, or none.
pub fn put_back(mutant: Option<Mutant>) {
    PUT_BACK.set(mutant);
}

/// Returns true if this thread has the bug.
pub fn is_put_back(mutant: Mutant) -> bool {
    PUT_BACK.get() == Some(mutant)
}
