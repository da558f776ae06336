use std::collections::BTreeSet;

use super::*;

#[test]
fn the_table_has_every_file_of_the_page() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/console");
    let in_directory = std::fs::read_dir(directory).unwrap();
    let in_directory: BTreeSet<String> =
        in_directory.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let in_table: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
    assert_eq!(in_directory, in_table);
}

#[test]
fn each_file_has_the_type_of_its_ending() {
    for file in FILES {
        let (_, ending) = file.name.rsplit_once('.').unwrap();
        let expected = match ending {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("no type is known for .{other}"),
        };
        assert_eq!(file.content_type, expected, "{}", file.name);
    }
}
