//! No import runs in a circle among the files of src.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::Graph;
use super::report::{self, Complaint};
use super::source::Tree;

/// The lines at which one file imports others.
type Arrows = BTreeMap<usize, BTreeMap<usize, usize>>;

/// Returns one complaint for each set of files that import each other. It names the shortest
/// circle of the set.
fn circles(tree: &Tree) -> Vec<Complaint> {
    let graph = Graph::new(tree);
    let mut arrows = Arrows::new();
    for ((from, to), line) in graph.edges(false) {
        arrows.entry(from).or_default().insert(to, line);
    }
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for file in arrows.keys() {
        let set = circle_set(&arrows, *file);
        if set.is_empty() || !seen.insert(set.clone()) {
            continue;
        }
        let all = set.iter().filter_map(|from| shortest_circle(&arrows, *from));
        let circle = all.min_by_key(Vec::len).expect("each file of the set is in a circle");
        complaints.push(complaint(&graph, &arrows, &set, &circle));
    }
    complaints
}

fn complaint(
    graph: &Graph<'_>,
    arrows: &Arrows,
    set: &BTreeSet<usize>,
    circle: &[usize],
) -> Complaint {
    let name = |file: usize| graph.sources[file].path.as_str();
    let mut text = format!("imports run in a circle of {}", circle.len());
    if set.len() > circle.len() {
        text += &format!(" (the shortest among {} files that import each other)", set.len());
    }
    for (at, from) in circle.iter().enumerate() {
        let to = circle[(at + 1) % circle.len()];
        text += &format!("\n    {}:{} imports {}", name(*from), arrows[from][&to], name(to));
    }
    if set.len() > circle.len() {
        let names: Vec<&str> = set.iter().map(|file| name(*file)).collect();
        text += &format!("\n    all: {}", names.join(" "));
    }
    let line = arrows[&circle[0]][&circle[1 % circle.len()]];
    Complaint::new(name(circle[0]), line, text)
}

/// The files that import `file` and are imported by it, over any number of steps.
fn circle_set(arrows: &Arrows, file: usize) -> BTreeSet<usize> {
    let reached = reachable(arrows, file);
    let both = |other: &usize| reachable(arrows, *other).contains(&file);
    reached.iter().copied().filter(both).collect()
}

fn reachable(arrows: &Arrows, file: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![file];
    while let Some(from) = waiting.pop() {
        for to in arrows.get(&from).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*to) {
                waiting.push(*to);
            }
        }
    }
    reached
}

/// The shortest way from a file back to itself, beginning with the file.
fn shortest_circle(arrows: &Arrows, file: usize) -> Option<Vec<usize>> {
    let mut before = BTreeMap::new();
    let mut waiting = VecDeque::from([file]);
    while let Some(from) = waiting.pop_front() {
        for to in arrows.get(&from).into_iter().flat_map(BTreeMap::keys) {
            if *to == file {
                let mut circle = vec![from];
                while circle[circle.len() - 1] != file {
                    circle.push(before[&circle[circle.len() - 1]]);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(to) {
                before.insert(*to, from);
                waiting.push_back(*to);
            }
        }
    }
    None
}

#[test]
fn no_import_runs_in_a_circle() {
    report::assert_none("circles", circles);
}

#[test]
fn the_shortest_circle_is_found_with_its_lines() {
    let a = ("src/a.rs", "\nuse crate::b::B;\npub struct A;\n");
    let b = ("src/b.rs", "pub struct B;\nfn f() {\n    crate::c::c();\n}\n");
    let c = ("src/c.rs", "use crate::a::A;\nuse crate::d::D;\npub fn c() {}\n");
    let d = ("src/d.rs", "use crate::c;\npub struct D;\nfn d() { c::c() }\n");
    assert_eq!(
        report::found(circles, &[a, b, c]),
        ["src/a.rs:2: imports run in a circle of 3\n    \
          src/a.rs:2 imports src/b.rs\n    src/b.rs:3 imports src/c.rs\n    \
          src/c.rs:1 imports src/a.rs"]
    );
    assert_eq!(
        report::found(circles, &[a, b, c, d]),
        ["src/c.rs:2: imports run in a circle of 2 (the shortest among 4 \
         files that import each other)\n    \
          src/c.rs:2 imports src/d.rs\n    src/d.rs:3 imports src/c.rs\n    \
          all: src/a.rs src/b.rs src/c.rs src/d.rs"]
    );
}

#[test]
fn ways_that_do_not_return_are_no_circle() {
    let parent = "mod child;\npub use child::Child;\npub struct Part;\n\
                  #[cfg(test)]\nmod tests;\n";
    let files = [
        ("src/kv/mod.rs", parent),
        ("src/kv/child.rs", "use super::Part;\npub struct Child(Part);\n"),
        // Tests are exempt.
        ("src/kv/tests.rs", "use super::*;\npub fn helper() { Child; }\n"),
        ("src/user.rs", "use crate::kv::{Child, Part};\n"),
    ];
    assert_eq!(report::found(circles, &files), Vec::<String>::new());
}
