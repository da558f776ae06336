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
    B18: "a leader commits an entry of an earlier term by counting its copies",
}
