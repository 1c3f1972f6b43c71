//! `adjunct integrity`: checks the program against the file beside it, or writes that file.

use serde_json::json;

use super::args::Integrity;
use super::{complain, print, print_json};
use crate::exit::Exit;
use crate::fips::integrity::{Error, Program};

pub(super) fn integrity(arguments: &Integrity) -> Exit {
    match look(arguments) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&format!("adjunct: {error}"));
            error.exit()
        }
    }
}

fn look(arguments: &Integrity) -> Result<Exit, Error> {
    let program = Program::running()?;
    let mac = if arguments.write { program.write()? } else { program.check()? };
    if arguments.json {
        return Ok(print_json(&json!({
            "program": program.path.display().to_string(),
            "file": program.file.display().to_string(),
            "hmac_sha256": mac.to_string(),
            "written": arguments.write,
        })));
    }
    let done = if arguments.write { "written to" } else { "in order, as in" };
    print(&format!("{}: {mac}, {done} {}\n", program.path.display(), program.file.display()));
    Ok(Exit::Ok)
}
