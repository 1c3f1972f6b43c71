//! Checks on Rust source and on any text file: sizes, leftovers, secrets, layering by name.
//!
//! Purpose: keep files short enough to read, and keep out what must never be committed.
//!
//! Invariants: each check names the place and the remedy; lists of exceptions stand here, at the
//! top, so that widening one is a visible change.

use super::{Fault, File, blank_comments_and_literals};

/// Most lines of a Rust file.
pub const LINES_MAX: usize = 600;
/// Most columns of a line of Rust.
pub const COLUMNS_MAX: usize = 100;

/// The only files that may lift `deny(unsafe_code)`, each with what it needs it for.
pub const UNSAFE_FILES: &[(&str, &str)] = &[
    ("cex/src/device/batch/ifma.rs", "vector instructions outside the baseline of the target"),
    ("cex/src/device/raw_rsa.rs", "raw RSA private operation of aws-lc-sys"),
    ("cpacf/src/provider/host/sha256.rs", "chaining value of SHA-256 of aws-lc-sys"),
    ("cpacf/src/x25519/ifma.rs", "vector instructions outside the baseline of the target"),
    ("engine/src/handshake/fiber.rs", "suspends and resumes a coroutine"),
    ("engine/src/handshake/stack.rs", "maps and guards the stacks of coroutines"),
    ("server/src/scheduling.rs", "asks the scheduler for short slices"),
];

/// Places that talk to a person through standard output or standard error.
pub const PRINTING: &[&str] = &["server/src/cli/", "server/src/demo", "benches/", "tests/"];

/// A file that is too long to be read in one sitting.
#[must_use]
pub fn too_long(file: &File) -> Vec<Fault> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![Fault::new(
        &file.path,
        lines,
        format!("{lines} lines, {LINES_MAX} allowed: split it by role, tests into tests.rs"),
    )]
}

/// Lines that are too wide; a line that is wide only because of one address is let through.
#[must_use]
pub fn too_wide(file: &File) -> Vec<Fault> {
    let wide = |line: &str| line.chars().count() > COLUMNS_MAX;
    let only_a_link = |line: &str| {
        line.split_whitespace()
            .any(|word| word.contains("https://") && word.chars().count() > COLUMNS_MAX / 2)
    };
    lines(file)
        .filter(|(_, line)| wide(line) && !only_a_link(line))
        .map(|(n, line)| {
            let columns = line.chars().count();
            Fault::new(&file.path, n, format!("{columns} columns, {COLUMNS_MAX} allowed"))
        })
        .collect()
}

/// Unfinished or left-over code, and tests switched off without a reason.
#[must_use]
pub fn leftovers(file: &File) -> Vec<Fault> {
    let banned = [
        ("todo!", "finish it, or return an error that says what is missing"),
        ("unimplemented!", "finish it, or return an error that says what is missing"),
        ("dbg!", "log through the record, or delete it"),
        ("#[ignore]", "say why: #[ignore = \"reason\"]"),
    ];
    let code = blank_comments_and_literals(&file.text);
    find_in_code(file, &code, &banned)
}

/// Printing anywhere but where a person is being talked to.
#[must_use]
pub fn printing(file: &File) -> Vec<Fault> {
    let is_test = file.path.contains("/tests/");
    if is_test || PRINTING.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let remedy = "only server/src/cli and the demo print; return the text instead";
    let banned = ["println!", "eprintln!", "print!", "eprint!"].map(|word| (word, remedy));
    let code = blank_comments_and_literals(&file.text);
    find_in_code(file, &code, &banned)
}

/// A module without its purpose in the first line.
#[must_use]
pub fn missing_module_docs(file: &File) -> Vec<Fault> {
    if file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![Fault::new(&file.path, 1, "a module starts with `//!`: purpose, invariants, source")]
}

/// Unsafe code allowed in a file that is not on the list.
#[must_use]
pub fn unsafe_outside_the_list(file: &File, list: &[(&str, &str)]) -> Vec<Fault> {
    if list.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let code = blank_comments_and_literals(&file.text);
    let lifts = |line: &str| {
        // One line or several: rustfmt breaks an attribute with a long reason.
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|w| w == "unsafe_code") && !line.contains("deny(") && !line.contains("forbid(")
    };
    code.lines()
        .enumerate()
        .filter(|(_, line)| lifts(line))
        .map(|(n, _)| Fault::new(&file.path, n + 1, "unsafe code needs an entry in UNSAFE_FILES"))
        .collect()
}

/// Entries of the list of unsafe files that no longer need to be there.
#[must_use]
pub fn stale_unsafe_entries(files: &[File], list: &[(&str, &str)]) -> Vec<Fault> {
    let needed = |path: &str| {
        files.iter().any(|f| f.path == path && !unsafe_outside_the_list(f, &[]).is_empty())
    };
    list.iter()
        .filter(|(path, _)| !needed(path))
        .map(|(path, _)| Fault::new(path, 0, "stands in UNSAFE_FILES without need: remove it"))
        .collect()
}

/// Sockets below the server: the layers under it take bytes and give bytes.
#[must_use]
pub fn sockets_below_the_server(file: &File) -> Vec<Fault> {
    if !matches!(file.package(), "cpacf" | "cex" | "engine") || !file.path.contains("/src/") {
        return Vec::new();
    }
    let remedy = "only server opens sockets; engine takes and gives bytes";
    let banned = [
        ("TcpStream", remedy),
        ("TcpListener", remedy),
        ("UdpSocket", remedy),
        ("UnixStream", remedy),
        ("UnixListener", remedy),
    ];
    let code = blank_comments_and_literals(&file.text);
    find_in_code(file, &code, &banned)
}

/// Where the raw library may be named: in one file each.
const RAW_LIBRARY_HOMES: [&str; 2] = ["cex", "cpacf"];

/// The raw library below aws-lc-rs, which has one home in each of the two layers that compute.
#[must_use]
pub fn raw_library_users(files: &[File]) -> Vec<Fault> {
    let users: Vec<&File> = files
        .iter()
        .filter(|f| f.has_extension("rs"))
        .filter(|f| {
            let code = blank_comments_and_literals(&f.text);
            code.contains("aws_lc_sys") || code.contains("aws_lc_fips_sys")
        })
        .collect();
    let mut faults: Vec<Fault> = users
        .iter()
        .filter(|f| !RAW_LIBRARY_HOMES.contains(&f.package()))
        .map(|f| Fault::new(&f.path, 0, "only cex and cpacf may name aws-lc-sys"))
        .collect();
    for home in RAW_LIBRARY_HOMES {
        let here: Vec<&&File> = users.iter().filter(|f| f.package() == home).collect();
        if here.len() > 1 {
            let message = "aws-lc-sys is named in more than one file here: keep it behind one";
            faults.extend(here.iter().map(|f| Fault::new(&f.path, 0, message)));
        }
    }
    faults
}

/// Paths that exist on one machine only.
#[must_use]
pub fn machine_paths(file: &File) -> Vec<Fault> {
    // Written in two pieces so that this file passes its own check.
    let banned: [String; 4] =
        [["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"], ["/wo", "rk/"]].map(|p| p.concat());
    let starts_a_path = |line: &str, at: usize| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}'))
    };
    lines(file)
        .filter(|(_, line)| {
            banned
                .iter()
                .any(|path| line.match_indices(path).any(|(at, _)| starts_a_path(line, at)))
        })
        .map(|(n, _)| Fault::new(&file.path, n, "a path of one machine: make it relative"))
        .collect()
}

/// Private keys: the header line of a container followed by its body.
#[must_use]
pub fn private_keys(file: &File) -> Vec<Fault> {
    let header = |line: &str| line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let body = |line: &str| line.split(|c| !base64(c)).any(|run| run.len() >= 40);
    let all: Vec<&str> = file.text.lines().collect();
    let mut faults: Vec<Fault> = all
        .iter()
        .enumerate()
        .filter(|(n, line)| header(line) && all[*n..].iter().take(4).any(|line| body(line)))
        .map(|(n, _)| Fault::new(&file.path, n + 1, "a private key: make it at run time"))
        .collect();
    if ["key", "p12", "pfx", "jks"].iter().any(|e| file.has_extension(e)) {
        faults.push(Fault::new(&file.path, 0, "a key file: make it at run time"));
    }
    faults
}

fn lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(n, line)| (n + 1, line))
}

/// Every banned word that stands at a word boundary in `code`, the blanked text of `file`.
fn find_in_code(file: &File, code: &str, banned: &[(&str, &str)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (n, line) in code.lines().enumerate() {
        for (word, remedy) in banned {
            let found = line
                .match_indices(word)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if found {
                faults.push(Fault::new(&file.path, n + 1, format!("{word}: {remedy}")));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> File {
        File::sample("engine/src/sample.rs", text)
    }

    #[test]
    fn a_file_one_line_too_long_is_found() {
        assert!(too_long(&sample(&"x\n".repeat(LINES_MAX))).is_empty());
        assert_eq!(too_long(&sample(&"x\n".repeat(LINES_MAX + 1))).len(), 1);
    }

    #[test]
    fn a_line_one_column_too_wide_is_found_but_an_address_is_not() {
        let wide = "ö".repeat(COLUMNS_MAX + 1);
        assert!(too_wide(&sample(&"ö".repeat(COLUMNS_MAX))).is_empty());
        assert_eq!(too_wide(&sample(&format!("//! ok\n{wide}")))[0].line, 2);
        assert!(too_wide(&sample(&format!("// https://{wide}"))).is_empty());
    }

    #[test]
    fn leftovers_are_found_in_code_and_not_in_comments() {
        for bad in ["todo!()", "unimplemented!()", "dbg!(x)", "#[ignore]\nfn f() {}"] {
            assert_eq!(leftovers(&sample(bad)).len(), 1, "{bad}");
        }
        for good in ["// todo!()", "let s = \"dbg!\";", "#[ignore = \"needs a card\"]", "my_dbg!()"]
        {
            assert!(leftovers(&sample(good)).is_empty(), "{good}");
        }
    }

    #[test]
    fn printing_is_allowed_to_the_command_line_alone() {
        for bad in ["println!(\"x\")", "eprint!(\"x\")", "print!(\"x\")"] {
            assert_eq!(printing(&sample(bad)).len(), 1, "{bad}");
        }
        assert_eq!(printing(&sample("eprintln!(\"x\")")).len(), 1);
        assert!(printing(&File::sample("server/src/cli/run.rs", "println!()")).is_empty());
    }

    #[test]
    fn a_module_without_documentation_is_found() {
        assert_eq!(missing_module_docs(&sample("use std::fmt;\n")).len(), 1);
        assert_eq!(missing_module_docs(&sample("// A comment.\n")).len(), 1);
        assert!(missing_module_docs(&sample("//! Purpose.\n")).is_empty());
    }

    #[test]
    fn unsafe_code_is_found_outside_the_list_and_a_stale_entry_inside_it() {
        let file = sample("//! x\n#![allow(unsafe_code, reason = \"y\")]\n");
        let list = [("engine/src/sample.rs", "why")];
        assert_eq!(unsafe_outside_the_list(&file, &[])[0].line, 2);
        assert!(unsafe_outside_the_list(&file, &list).is_empty());
        let split = sample("#![allow(\n    unsafe_code,\n    reason = \"y\"\n)]\n");
        assert_eq!(unsafe_outside_the_list(&split, &[]).len(), 1);
        for good in ["#![deny(unsafe_code)]", "fn unsafe_code_is_rare() {}"] {
            assert!(unsafe_outside_the_list(&sample(good), &[]).is_empty(), "{good}");
        }
        assert!(stale_unsafe_entries(&[file], &list).is_empty());
        assert_eq!(stale_unsafe_entries(&[sample("//! x\n")], &list).len(), 1);
        assert_eq!(stale_unsafe_entries(&[], &list).len(), 1);
    }

    #[test]
    fn a_socket_below_the_server_is_found() {
        assert_eq!(sockets_below_the_server(&sample("use std::net::TcpStream;")).len(), 1);
        let server = File::sample("server/src/net/mod.rs", "use std::net::TcpStream;");
        assert!(sockets_below_the_server(&server).is_empty());
    }

    #[test]
    fn the_raw_library_has_one_home_in_each_layer_that_computes() {
        let user = |path| File::sample(path, "use aws_lc_sys::RSA;");
        assert!(raw_library_users(&[user("cex/src/a.rs")]).is_empty());
        assert!(raw_library_users(&[user("cex/src/a.rs"), user("cpacf/src/a.rs")]).is_empty());
        assert_eq!(raw_library_users(&[user("engine/src/a.rs")]).len(), 1);
        assert_eq!(raw_library_users(&[user("cpacf/src/a.rs"), user("cpacf/src/b.rs")]).len(), 2);
        assert_eq!(raw_library_users(&[user("cex/src/a.rs"), user("cex/src/b.rs")]).len(), 2);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let bad = ["// see /ro", "ot/x"].concat();
        assert_eq!(machine_paths(&sample(&bad)).len(), 1);
        assert!(machine_paths(&sample("GET https://a.example/ho")).is_empty());
        let inside = ["a/ho", "me/b"].concat();
        assert!(machine_paths(&sample(&inside)).is_empty());
    }

    #[test]
    fn a_private_key_is_found_and_a_mere_header_is_not() {
        let header = ["-----BEGIN RSA ", "PRIVATE KEY-----"].concat();
        let key = format!("{header}\n{}\n", "A".repeat(64));
        assert_eq!(private_keys(&sample(&key))[0].line, 1);
        assert!(private_keys(&sample(&format!("let h = \"{header}\";\n"))).is_empty());
        assert_eq!(private_keys(&File::sample("tests/a.key", "x")).len(), 1);
    }
}
