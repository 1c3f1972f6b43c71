//! The rules of the house as tests; the checks are in `adjunct_tests::tidy`, each with a unit test
//! that shows it can fail.

use std::collections::BTreeSet;

use adjunct_tests::tidy::{File, Tree, assert_none, manifest, markdown, source};

/// Applies one check to every Rust file.
fn every_rust_file(check: fn(&File) -> Vec<adjunct_tests::tidy::Fault>) {
    assert_none(&Tree::read().rust().flat_map(check).collect::<Vec<_>>());
}

/// The package manifests, without the root's.
fn manifests(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|f| f.path.ends_with("/Cargo.toml") && !f.path.contains("/fuzz/"))
}

#[test]
fn no_file_is_too_long() {
    every_rust_file(source::too_long);
}

#[test]
fn no_line_is_too_wide() {
    every_rust_file(source::too_wide);
}

#[test]
fn nothing_is_left_unfinished_and_no_test_is_switched_off_without_a_reason() {
    every_rust_file(source::leftovers);
}

#[test]
fn only_the_command_line_prints() {
    every_rust_file(source::printing);
}

#[test]
fn every_module_says_what_it_is_for() {
    every_rust_file(source::missing_module_docs);
}

#[test]
fn unsafe_code_stays_in_the_named_files() {
    let tree = Tree::read();
    let mut faults: Vec<_> = tree
        .rust()
        .flat_map(|f| source::unsafe_outside_the_list(f, source::UNSAFE_FILES))
        .collect();
    faults.extend(source::stale_unsafe_entries(&tree.files, source::UNSAFE_FILES));
    assert_none(&faults);
}

#[test]
fn only_the_server_opens_sockets() {
    every_rust_file(source::sockets_below_the_server);
}

#[test]
fn the_raw_crypto_library_has_one_home() {
    assert_none(&source::raw_library_users(&Tree::read().files));
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    assert_none(&Tree::read().files.iter().flat_map(source::machine_paths).collect::<Vec<_>>());
}

#[test]
fn no_private_key_is_in_the_tree() {
    assert_none(&Tree::read().files.iter().flat_map(source::private_keys).collect::<Vec<_>>());
}

#[test]
fn dependencies_point_downwards_only() {
    let tree = Tree::read();
    assert_none(&manifests(&tree).flat_map(manifest::crossed_layers).collect::<Vec<_>>());
}

#[test]
fn versions_stand_in_the_root_alone() {
    let tree = Tree::read();
    assert_none(&manifests(&tree).flat_map(manifest::own_versions).collect::<Vec<_>>());
}

#[test]
fn every_dependency_earns_its_place_in_a_sentence() {
    let tree = Tree::read();
    assert_none(&manifest::unreasoned(tree.file("Cargo.toml").expect("the root manifest")));
}

#[test]
fn relative_links_lead_somewhere() {
    let tree = Tree::read();
    let faults: Vec<_> =
        tree.markdown().flat_map(|file| markdown::broken_links(file, &tree)).collect();
    assert_none(&faults);
}

#[test]
fn every_promise_names_the_test_that_keeps_it() {
    let tree = Tree::read();
    let functions: BTreeSet<String> = tree.rust().flat_map(markdown::functions).collect();
    let specification = tree.file("SPECIFICATION.md").expect("SPECIFICATION.md at the root");
    assert_none(&markdown::unproven_promises(specification, &functions));
}

#[test]
fn the_root_holds_what_a_newcomer_looks_for() {
    let tree = Tree::read();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "SPECIFICATION.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE",
        "deny.toml",
        "rustfmt.toml",
        "clippy.toml",
        ".ci/run",
    ] {
        assert!(tree.file(name).is_some_and(|f| !f.text.is_empty()), "{name} is missing or empty");
    }
}
