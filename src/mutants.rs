//! Bugs that Rafts have had, to be put back one at a time (docs/mutants.md,
//! docs/adr/0007).
//!
//! `mutant!(B18)` stands beside the rule that keeps that bug out. In every build
//! but one it is false, and nothing of it is left in the program;
//! with `--cfg mutants`, which only scripts/mutants.sh sets and which no server can
//! be built with, a thread can have one of them. The simulation has to notice.

/// True while the named bug is put back: see the module.
#[cfg(not(mutants))]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_put_back()
    };
}

/// Never, in this build. A function, because lints would take a rule with a literal
/// in it for a slip of the pen.
#[cfg(not(mutants))]
#[inline(always)]
pub(crate) const fn is_put_back() -> bool {
    false
}

/// True while the named bug is put back: see the module.
#[cfg(mutants)]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_put_back($crate::mutants::Mutant::$name)
    };
}

#[cfg(mutants)]
mod table;

#[cfg(mutants)]
pub use table::{LEFT_TO_TESTS, MUTANTS, Mutant};

#[cfg(all(mutants, not(feature = "testing")))]
compile_error!("`--cfg mutants` is for scripts/mutants.sh alone: a build with it loses data");

#[cfg(mutants)]
thread_local! {
    static PUT_BACK: std::cell::Cell<Option<Mutant>> = std::cell::Cell::new(of_environment());
}

/// The bug that every thread begins with: `scripts/mutants.sh --tests` puts it back for
/// a run of the tests, whose threads are their own.
#[cfg(mutants)]
fn of_environment() -> Option<Mutant> {
    let name = std::env::var("CORACLE_MUTANT").ok()?;
    let found = MUTANTS.iter().find(|mutant| format!("{:?}", mutant.0) == name);
    Some(found.unwrap_or_else(|| panic!("CORACLE_MUTANT is {name:?}: no such bug")).0)
}

/// Puts one bug back on this thread, or none.
#[cfg(mutants)]
pub fn put_back(mutant: Option<Mutant>) {
    PUT_BACK.set(mutant);
}

/// Whether this thread has the bug.
#[cfg(mutants)]
pub fn is_put_back(mutant: Mutant) -> bool {
    PUT_BACK.get() == Some(mutant)
}
