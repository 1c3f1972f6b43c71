//! The page about key databases: every command in it is run, in its order.

use std::os::unix::fs::symlink;
use std::process::Command;

use adjunct_tests::process::run;
use adjunct_tests::tidy::Tree;
use adjunct_tests::{adjunct, need};
use tempfile::TempDir;

#[test]
fn every_command_of_the_page_about_key_databases_works() {
    let _ = need!("openssl");
    // A FIPS database is made by a program that has its digest file.
    let _ = adjunct!();
    let tree = Tree::read();
    let page = &tree.file("server/docs/keydb.md").expect("the page").text;
    let blocks: Vec<&str> = page
        .split("\n```sh\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().expect("an end of the block"))
        .collect();
    assert!(blocks.len() > 15, "{} blocks", blocks.len());
    let script = blocks.join("\n");
    for step in [
        "create", "stash", "ca", "issue", "show", "request", "sign", "export", "import", "receive",
        "verify", "renew", "passwd", "rename", "default", "trust", "delete", "check",
    ] {
        assert!(script.contains(&format!("adjunct keydb {step} ")), "{step} is not shown");
    }
    let directory = TempDir::new().unwrap();
    let programs = directory.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    symlink(env!("CARGO_BIN_EXE_adjunct-under-test"), programs.join("adjunct")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut output = String::new();
    for block in blocks {
        // A shell each, so that each wait is bounded; what a block exports goes on to the next.
        let block = format!("[ ! -e .env ] || . ./.env\n{block}\nexport -p > .env");
        let mut shell = Command::new("sh");
        shell.args(["-eux", "-c", &block]).current_dir(directory.path()).env("PATH", &path);
        for name in ["ADJUNCT_CONFIG", "ADJUNCT_MODE"] {
            shell.env_remove(name);
        }
        output += &run(&mut shell, b"").success().output();
    }
    for line in [
        "FIPS key database",
        "Database password stored in",
        "Signature algorithm: sha512WithRsaEncryption",
        "Public key size: 2048",
        "keyUsage (critical)",
        "The chain holds.",
        "Nothing here breaks a rule of fips-140-3.",
        "outlives its CA",
        "received under the label \"TN3270\"",
        "label \"TN3270\": ",
        "friendlyName: TN3270",
        "changed, in the stash too",
    ] {
        assert!(output.contains(line), "{line:?} is not in\n{output}");
    }
}
