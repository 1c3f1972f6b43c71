//! The page, looked at by a browser.

use std::path::Path;
use std::process::Command;

use adjunct_tests::need;
use adjunct_tests::process::{Finished, run};
use tempfile::TempDir;

use crate::clients::COMMON;
use crate::site::Site;

/// Opens a page and gives back its document and what the browser says. Scripts run, the network
/// does not exist.
fn open(browser: &Path, page: &Path) -> Finished {
    let profile = TempDir::new().expect("a temporary directory");
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()));
    run(&mut command, b"")
}

/// Messages of the console.
fn console(finished: &Finished) -> Vec<&str> {
    finished.stderr.lines().filter(|line| line.contains(":CONSOLE")).collect()
}

#[test]
fn the_page_opens_in_a_browser_without_complaint() {
    let browser = need!("chromium");
    let _ = need!("openssl");
    let site = Site::start("");
    let _ = site.visit(&[COMMON[0], COMMON[3], COMMON[10], COMMON[13], COMMON[16]]);
    let log = site.log().to_string_lossy().into_owned();
    let page = site.evidence(&["--html", &log]).success().stdout;
    let path = site.directory.path().join("evidence.html");
    std::fs::write(&path, &page).unwrap();
    let done = open(&browser, &path).success();
    assert_eq!(console(&done), [""; 0], "{}", done.stderr);
    // The script has run: it was not refused, and came to its end.
    for made in ["<output>3 of 3 rows</output>", "<button type=\"button\">Protocol</button>"] {
        assert!(done.stdout.contains(made), "{made} is missing in\n{}", done.stdout);
    }
    // A page that does complain is noticed, and so is a script that is not the page's own.
    let evil = page.replace("</main>", "<script>alert(1)</script></main>");
    std::fs::write(&path, evil).unwrap();
    let done = open(&browser, &path);
    assert!(console(&done).iter().any(|line| line.contains("Content Security Policy")));
}

#[test]
fn the_hashes_in_the_page_are_those_of_its_style_and_script() {
    let page = adjunct::evidence::html::page(&adjunct::evidence::Report::default());
    for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = page.split(&open).nth(1).and_then(|rest| rest.split(&close).next()).unwrap();
        let digest = cpacf::digest::digest(cpacf::digest::Algorithm::Sha256, text.as_bytes());
        let expected = format!("{directive} 'sha256-{}'", base64(digest.unwrap().as_ref()));
        assert!(page.contains(&expected), "write this into html.rs: {expected}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let number = (0..3).fold(0, |n, at| n << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        let digit = |at: usize| {
            let shown = at <= group.len();
            let index = (number >> (18 - 6 * at)) as usize & 63;
            if shown { char::from(DIGITS[index]) } else { '=' }
        };
        [0, 1, 2, 3].map(digit)
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[test]
fn base64_is_that_of_rfc_4648() {
    let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
    for (text, expected) in cases {
        assert_eq!(base64(text.as_bytes()), expected);
    }
}
