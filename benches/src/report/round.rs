//! One line of a raw file: a cell, measured once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// A cell, measured once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Id of the cell.
    pub cell: String,
    /// Number of the round, from 1.
    pub round: u32,
    /// When it ended, in seconds since 1970: shows what ran next to what.
    #[serde(default)]
    pub unix_s: u64,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Figures by name; the unit is the end of the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// What the figures were computed from, where it is of use to a reader.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

impl Round {
    /// A round without figures.
    #[must_use]
    pub fn failed(cell: &str, round: u32, reason: String) -> Self {
        Self { cell: cell.to_owned(), round, failed: Some(reason), ..Self::default() }
    }

    /// Reads the lines of a raw file.
    ///
    /// # Errors
    /// A line is not one of a round; the text has its number.
    pub fn read_all(text: &str) -> Result<Vec<Self>, Failure> {
        let line = |(n, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| format!("line {}: {e}", n + 1).into())
        };
        text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(line).collect()
    }
}
