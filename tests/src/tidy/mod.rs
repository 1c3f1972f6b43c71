//! Repository checks that are tests.
//!
//! Purpose: the rules of the house that no compiler and no linter knows: sizes, layering, module
//! documentation, links, reasons beside dependencies, promises beside tests.
//!
//! Invariants: a check is a pure function from text to faults, so each is shown, by a unit test
//! on a bad sample, to be able to fail; only [`Tree::read`] touches the disk.
//!
//! Deliberately not here: function length (clippy's `too_many_lines`), formatting (rustfmt),
//! licences and banned crates (`deny.toml`).
//!
//! Source: the idea of tidiness as a unit test is TigerBeetle's and rust-analyzer's.

mod lexer;
pub mod manifest;
pub mod markdown;
pub mod source;

use std::fmt;
use std::path::{Path, PathBuf};

pub use lexer::blank_comments_and_literals;

/// One broken rule, with the place and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path below the repository root.
    pub path: String,
    /// Line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl Fault {
    /// A fault at `path:line`.
    pub fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Fails the calling test with every fault, one per line.
///
/// # Panics
///
/// When there is a fault.
pub fn assert_none(faults: &[Fault]) {
    let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{} fault(s):\n{}", faults.len(), text.join("\n"));
}

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct File {
    /// Path below the repository root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// A file that exists only for a test of a check.
    pub fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether the name ends in `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }

    /// The package directory the file lives in (`cex`, `engine`, …), or the empty string.
    #[must_use]
    pub fn package(&self) -> &str {
        self.path.split_once('/').map_or("", |(package, _)| package)
    }
}

/// All text files of the working tree.
#[derive(Debug)]
pub struct Tree {
    /// Where the repository starts on this machine.
    pub root: PathBuf,
    /// Its text files, sorted by path.
    pub files: Vec<File>,
}

impl Tree {
    /// Reads the repository this package belongs to; build output, version control, and files that
    /// are not UTF-8 are left out.
    ///
    /// # Panics
    ///
    /// When the tree cannot be read.
    #[must_use]
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package directory");
        let mut files = Vec::new();
        let mut pending = vec![root.to_path_buf()];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(&directory).expect("a readable directory") {
                let entry = entry.expect("a readable entry");
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = entry.path();
                if entry.file_type().expect("a file type").is_dir() {
                    if !matches!(name.as_str(), "target" | ".git" | "corpus" | "node_modules") {
                        pending.push(path);
                    }
                } else if name == ".git" {
                    // A linked worktree keeps a file of that name.
                } else if let Ok(text) = std::fs::read_to_string(&path) {
                    let below = path.strip_prefix(root).expect("below the root");
                    files.push(File { path: below.to_string_lossy().replace('\\', "/"), text });
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { root: root.to_path_buf(), files }
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.has_extension("rs"))
    }

    /// The Markdown files.
    pub fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.has_extension("md"))
    }

    /// One file by its path below the root.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_holds_this_file_and_no_build_output() {
        let tree = Tree::read();
        assert!(tree.file("tests/src/tidy/mod.rs").is_some());
        assert!(tree.files.iter().all(|f| !f.path.starts_with("target/")));
    }

    #[test]
    #[should_panic(expected = "a.rs:7: too long")]
    fn a_fault_fails_the_test_that_found_it() {
        assert_none(&[Fault::new("a.rs", 7, "too long")]);
    }
}
