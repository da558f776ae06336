//! The rules that hold for every source file: who imports whom, the shape of files and
//! functions, where tests lie, and how comments are written. Each rule has a test of the
//! tree and a test that shows a breach to be found on its line. A failure names the file,
//! the line and the rule.

/// One file for each kind of rule.
mod tidy {
    mod lex;
    mod report;
    mod source;

    mod actors;
    mod circles;
    mod features;
    mod habits;
    mod imports;
    mod paths;
    mod prose;
    mod rooms;
    mod shapes;
    mod tables;
    mod test_files;
}
