//! The fault matrix of the server names tests that exist.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_test_that_the_matrix_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for folder in ["tests/serve", "tests/fleet", "cli/src/serve"] {
        collect(&root.join(folder), &mut sources);
    }
    let matrix = fs::read_to_string(root.join("tests/serve/matrix.md")).unwrap();
    let mut named = 0;
    for row in matrix.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in cell.split(", ").filter_map(|name| name.strip_prefix('`')) {
            let (module, function) = test.trim_end_matches('`').split_once("::").unwrap();
            let heading = format!("#[test]\nfn {function}() {{");
            let inner = format!("#[test]\n    fn {function}() {{");
            let paused = format!("#[tokio::test(start_paused = true)]\nasync fn {function}() {{");
            let exists = sources.iter().any(|source| {
                let is_module = source
                    .with_extension("")
                    .iter()
                    .any(|part| part.to_str() == Some(module));
                let text = fs::read_to_string(source).unwrap();
                is_module
                    && [&heading, &inner, &paused]
                        .iter()
                        .any(|one| text.contains(*one))
            });
            assert!(exists, "{test}");
            named += 1;
        }
    }
    assert!(named > 25, "{named}");
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}
