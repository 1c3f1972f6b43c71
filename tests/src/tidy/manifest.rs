//! Checks on Cargo manifests: who may name whom, and why a dependency is there.
//!
//! Purpose: `server → engine → { cpacf, cex }` is the architecture in one line, and a line is
//! easily crossed by one `cargo add`.
//!
//! Invariants: every table that can name a dependency is read (plain, development, build, and the
//! same below `target.*`).

use super::{Fault, File};

/// A crate that only some packages may name.
#[derive(Debug)]
pub struct Confined {
    /// Name of the dependency.
    pub name: &'static str,
    /// Package directories that may name it.
    pub to: &'static [&'static str],
}

/// The layers and the libraries that belong to one of them.
pub const CONFINED: &[Confined] = &[
    Confined { name: "cpacf", to: &["engine", "tests", "benches"] },
    Confined { name: "cex", to: &["engine", "tests", "benches"] },
    Confined { name: "engine", to: &["server", "tests", "benches"] },
    Confined { name: "adjunct", to: &["tests", "benches"] },
    Confined { name: "aws-lc-rs", to: &["cpacf", "cex", "tests", "benches"] },
    Confined { name: "aws-lc-sys", to: &["cex", "cpacf"] },
    Confined { name: "aws-lc-fips-sys", to: &["cex"] },
    Confined { name: "rustls", to: &["engine", "tests", "benches"] },
    Confined { name: "corosensei", to: &["engine", "benches"] },
    Confined { name: "mio", to: &["server", "benches", "tests"] },
    Confined { name: "clap", to: &["server", "benches"] },
    Confined { name: "socket2", to: &["server", "tests", "benches"] },
];

/// Dependencies that cross the layers.
#[must_use]
pub fn crossed_layers(manifest: &File) -> Vec<Fault> {
    let package = manifest.package();
    dependencies(&manifest.text)
        .iter()
        .filter_map(|name| CONFINED.iter().find(|c| c.name == name))
        .filter(|confined| !confined.to.contains(&package))
        .map(|confined| {
            let message = format!(
                "{package} must not name {}: only {} may",
                confined.name,
                confined.to.join(", ")
            );
            Fault::new(&manifest.path, 0, message)
        })
        .collect()
}

/// Dependencies with a version of their own instead of the workspace's.
#[must_use]
pub fn own_versions(manifest: &File) -> Vec<Fault> {
    let Ok(table) = manifest.text.parse::<toml::Table>() else {
        return vec![Fault::new(&manifest.path, 0, "not TOML")];
    };
    let mut faults = Vec::new();
    for_each_dependency(&table, &mut |name, value| {
        let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        let is_ours = value.get("path").is_some() && value.get("version").is_none();
        if !inherits && !is_ours {
            let message = format!("{name}: put the version into the root's Cargo.toml");
            faults.push(Fault::new(&manifest.path, 0, message));
        }
    });
    faults
}

/// Workspace dependencies without a reason: each block of lines starts with a comment. Our own
/// packages need none.
#[must_use]
pub fn unreasoned(root: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut inside = false;
    let mut reasoned = false;
    for (n, line) in root.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            reasoned = false;
        } else if line.is_empty() {
            reasoned = false;
        } else if line.starts_with('#') {
            reasoned = true;
        } else if inside && !reasoned && line.contains('=') && !line.contains("path = ") {
            let name = line.split(['=', ' ']).next().unwrap_or(line);
            let message = format!("{name}: say in a comment above what it earns its place with");
            faults.push(Fault::new(&root.path, n + 1, message));
        }
    }
    faults
}

/// Every dependency name in a manifest.
fn dependencies(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        for_each_dependency(&table, &mut |name, value| {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            names.push(renamed.unwrap_or(name).to_owned());
        });
    }
    names
}

fn for_each_dependency(table: &toml::Table, visit: &mut dyn FnMut(&str, &toml::Value)) {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = table.get(kind).and_then(toml::Value::as_table);
        for (name, value) in entries.into_iter().flatten() {
            visit(name, value);
        }
    }
    let targets = table.get("target").and_then(toml::Value::as_table);
    for target in targets.into_iter().flatten().filter_map(|(_, t)| t.as_table()) {
        for_each_dependency(target, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str, text: &str) -> File {
        File::sample(&format!("{package}/Cargo.toml"), text)
    }

    #[test]
    fn every_crossed_layer_is_found() {
        for (package, dependency) in [
            ("cpacf", "cex"),
            ("cpacf", "engine"),
            ("cex", "cpacf"),
            ("cex", "rustls"),
            ("cpacf", "aws-lc-fips-sys"),
            ("engine", "aws-lc-sys"),
            ("engine", "aws-lc-rs"),
            ("engine", "mio"),
            ("engine", "adjunct"),
            ("server", "rustls"),
            ("server", "cex"),
        ] {
            for table in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
                let text = format!("[{table}]\n{dependency}.workspace = true\n");
                let faults = crossed_layers(&manifest(package, &text));
                assert_eq!(faults.len(), 1, "{package} {table} {dependency}");
            }
        }
        let good = manifest("engine", "[dependencies]\ncpacf.workspace = true\n");
        assert!(crossed_layers(&good).is_empty());
    }

    #[test]
    fn a_rename_does_not_hide_a_crossed_layer() {
        let text = "[dependencies]\ntls = { package = \"rustls\", version = \"0.23\" }\n";
        assert_eq!(crossed_layers(&manifest("server", text)).len(), 1);
    }

    #[test]
    fn a_version_outside_the_root_is_found() {
        let bad = manifest("cex", "[dependencies]\nslab = \"0.4\"\n");
        assert_eq!(own_versions(&bad).len(), 1);
        let good = manifest("cex", "[dependencies]\nslab = { workspace = true }\n");
        assert!(own_versions(&good).is_empty());
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let text = "[workspace.dependencies]\nours = { path = \"x\" }\n# Why.\na = \"1\"\n\
                    b = \"1\"\n\nc = \"1\"\n";
        let faults = unreasoned(&File::sample("Cargo.toml", text));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 7);
    }
}
