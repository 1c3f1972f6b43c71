//! Documents that are made from the program: the file in the tree and the program's own text agree.

use adjunct_tests::tidy::Tree;

/// The page of all codes.
const CODES: &str = "server/docs/reference/codes.md";

/// Set to `1`, the test writes the page instead of comparing it.
const REGENERATE: &str = "ADJUNCT_REGENERATE";

/// The page of cipher suites and groups.
const CIPHERS: &str = "server/docs/reference/ciphers.md";

#[test]
fn the_page_of_codes_is_the_one_the_program_makes() {
    compare(CODES, &engine::icsf::reference::reference());
}

#[test]
fn the_page_of_cipher_suites_is_the_one_the_program_makes() {
    compare(CIPHERS, &engine::ciphers::reference::reference());
}

/// Compares a page with what the program makes of it, or writes it.
fn compare(page: &str, made: &str) {
    let tree = Tree::read();
    if std::env::var(REGENERATE).is_ok_and(|value| value == "1") {
        std::fs::write(tree.root.join(page), made).expect("a writable page");
        return;
    }
    let kept = tree.file(page).map_or("", |file| file.text.as_str());
    let differs = made.lines().zip(kept.lines()).position(|(made, kept)| made != kept);
    let line = differs.unwrap_or(made.lines().count().min(kept.lines().count())) + 1;
    assert!(
        made == kept,
        "{page}:{line}: not what the program says any more; make it anew with\n  \
         {REGENERATE}=1 cargo test -p adjunct-tests --test documents"
    );
}
