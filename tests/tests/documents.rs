//! Documents that are made from the program: the file in the tree and the program's own text agree.

use adjunct_tests::tidy::Tree;

/// The page of all codes.
const CODES: &str = "server/docs/reference/codes.md";

/// Set to `1`, the test writes the page instead of comparing it.
const REGENERATE: &str = "ADJUNCT_REGENERATE";

#[test]
fn the_page_of_codes_is_the_one_the_program_makes() {
    let tree = Tree::read();
    let made = engine::icsf::reference::reference();
    if std::env::var(REGENERATE).is_ok_and(|value| value == "1") {
        std::fs::write(tree.root.join(CODES), &made).expect("a writable page");
        return;
    }
    let kept = tree.file(CODES).map_or("", |file| file.text.as_str());
    let differs = made.lines().zip(kept.lines()).position(|(made, kept)| made != kept);
    let line = differs.unwrap_or(made.lines().count().min(kept.lines().count())) + 1;
    assert!(
        made == kept,
        "{CODES}:{line}: not what the program says any more; make it anew with\n  \
         {REGENERATE}=1 cargo test -p adjunct-tests --test documents"
    );
}
