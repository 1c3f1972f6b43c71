//! On a terminal: what is asked, and what is shown of the answers.

use std::process::Command;

use adjunct_tests::process::run;

use crate::{PASSWORD, Place};

/// Runs a command on a terminal of its own, answers each prompt in turn, and prints what the
/// terminal showed. A prompt comes when what is typed is no longer shown.
const ON_A_TERMINAL: &str = r#"
import os, pty, select, sys, time
answers = [pair.split("=>", 1) for pair in sys.argv[1].split("|")]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
searched = 0
deadline = time.time() + 50
while time.time() < deadline:
    ready, _, _ = select.select([fd], [], [], 1)
    if not ready:
        continue
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    while answers and answers[0][0].encode() in shown[searched:]:
        prompt, answer = answers.pop(0)
        searched = len(shown)
        os.write(fd, (chr(3) if answer == "^C" else answer + "\n").encode())
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(status))
"#;

fn on_a_terminal(answers: &str, arguments: &[&str]) -> adjunct_tests::process::Finished {
    let mut python = Command::new("python3");
    python.args(["-c", ON_A_TERMINAL, answers, env!("CARGO_BIN_EXE_adjunct-under-test")]);
    python.args(["keydb"]).args(arguments).env_remove("ADJUNCT_MODE").env_remove("ADJUNCT_CONFIG");
    run(&mut python, b"")
}

#[test]
fn passwords_are_asked_for_and_not_shown() {
    let place = Place::empty();
    let database = place.text("a.p12");
    let answers = format!("database: =>{PASSWORD}|Again: =>{PASSWORD}");
    let done = on_a_terminal(&answers, &["create", &database]).success();
    assert!(!done.output().contains(PASSWORD), "{}", done.output());
    let _ = place.keydb(&["list"]).success();
    let answers = "database: =>one|Again: =>two";
    let other = place.text("b.p12");
    let _ = on_a_terminal(answers, &["create", &other]).exit(64).says("differ");
    let answers = "a.p12: =>wrong";
    let _ = on_a_terminal(answers, &["list", &database]).exit(65).says("password is wrong");
    let _ = on_a_terminal("a.p12: =>^C", &["list", &database]).exit(1).says("interrupted");
}

#[test]
fn the_parts_of_a_subject_are_asked_for_in_the_order_of_gskkyman() {
    let place = Place::new();
    let (database, password) = (place.text("a.p12"), place.text("password"));
    let answers = "(required): =>zvmca|unit (optional): =>ITC|Organization (optional): =>ITC|\
                   Locality (optional): =>|Province (optional): =>|optional): =>US";
    let ca = ["ca", &database, "ZVMCA", "--key", "p256", "--password-file", &password];
    let _ = on_a_terminal(answers, &ca).success();
    let info = place.json(&["show", "ZVMCA"]);
    assert_eq!(info["subject"], "CN=zvmca,OU=ITC,O=ITC,C=US");
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_flag_is_named() {
    let place = Place::new();
    let database = place.text("a.p12");
    let list = adjunct_tests::adjunct!().run(&["keydb", "list", &database]);
    let _ = list.exit(64).says("--password-file").says("--stash");
    let _ = place.keydb(&["ca", "CA"]).exit(64).says("--cn");
    let flag = adjunct_tests::adjunct!().run(&["keydb", "list", &database, "--password", "x"]);
    let _ = flag.exit(64);
}
