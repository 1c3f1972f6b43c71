//! Instructions of the hot paths: runs each in a process of its own under callgrind.

use std::path::Path as FilePath;
use std::process::Command;

use serde_json::{Value, json};

use super::callgrind::{PerOperation, count, per_operation};
use super::class::Class;
use super::path::Path;
use crate::Failure;
use crate::report::{Host, Point, append, today};
use crate::table::Table;

/// Counts one path. `program` is this program: it is started with `arguments` of the path and the
/// times, and goes it.
///
/// # Errors
/// valgrind is not there, or the path fails.
pub fn measure(
    program: &FilePath,
    path: Path,
    arguments: impl Fn(Path, u64) -> Vec<String>,
) -> Result<PerOperation, Failure> {
    let times = path.times();
    let run = |times| count(program, &arguments(path, times), path.collect());
    let (once, twice) = (run(times)?, run(times * 2)?);
    if once.total() == 0 {
        // A marker that was inlined away would make every path cost nothing.
        return Err(format!("{}: nothing was counted", path.name()).into());
    }
    Ok(per_operation(&once, &twice, times))
}

/// One row a path: instructions of an operation, in all and by class.
#[must_use]
pub fn table(counts: &[(Path, PerOperation)]) -> Table {
    let used = |class: &Class| counts.iter().any(|(_, per)| per.classes.contains_key(class));
    let classes: Vec<Class> = Class::ALL.into_iter().filter(used).collect();
    let mut header = vec!["path", "all"];
    header.extend(classes.iter().map(|class| class.name()));
    let mut table = Table::new("Instructions of an operation, user mode", &header);
    for (path, per) in counts {
        let of = |class| per.classes.get(class).map_or("-".to_owned(), |c| format!("{c:.0}"));
        let mut cells = vec![path.name().to_owned(), format!("{:.0}", per.total)];
        cells.extend(classes.iter().map(of));
        table.cells(cells);
    }
    table
}

/// Adds the counts to the trend, under the version of the counter in place of a processor.
///
/// # Errors
/// The file cannot be read or written.
pub fn record(trend: &FilePath, counts: &[(Path, PerOperation)]) -> Result<(), Failure> {
    let host = Host::now();
    let points = counts.iter().map(|(path, per)| Point {
        scenario: format!("instructions/{}", path.name()),
        commit: host.commit.clone(),
        dirty: host.dirty,
        date: today(),
        report: String::new(),
        cpu_model: counter(),
        values: [("instructions".to_owned(), per.total.round())].into(),
    });
    append(trend, points)
}

/// The counter with its version, by which figures are comparable.
fn counter() -> String {
    let output = Command::new("valgrind").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("callgrind of {}", version.as_deref().unwrap_or("valgrind"))
}

/// What one path came to as JSON.
#[must_use]
pub fn line(path: Path, per: &PerOperation) -> Value {
    let classes: serde_json::Map<String, Value> =
        per.classes.iter().map(|(class, count)| (class.name().to_owned(), json!(count))).collect();
    let functions: Vec<Value> = per
        .functions
        .iter()
        .take(12)
        .map(|(name, count)| json!({ "function": name, "instructions": count }))
        .collect();
    json!({
        "kind": "instructions",
        "scenario": path.name(),
        "unit": "instructions per operation",
        "value": per.total,
        "classes": classes,
        "functions": functions,
    })
}
