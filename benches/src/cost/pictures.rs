//! The pictures of a report, from its summary.

use super::matrix::{BASE, Engine};
use super::page::crossing;
use crate::report::chart::{Bar, RatioBar, ratios, stacked};
use crate::report::{Cell, Summary};

/// Parts of a bar.
const PARTS: [&str; 4] = ["host, user", "host, system", "host, not divided", "card"];

/// Name and text of each picture that has something to show.
pub(super) fn draw(summary: &Summary) -> Vec<(&'static str, String)> {
    let (steps, keys) = steps(summary);
    let crossing = crossing(summary);
    let unit = "µs of CPU per handshake";
    let change: Vec<RatioBar> = steps.iter().filter_map(|cell| ratio(cell)).collect();
    let pictures = [
        ("steps.svg", stacked("CPU per handshake, RSA-2048", unit, &PARTS, &bars(&steps))),
        ("keys.svg", stacked("CPU per handshake by key", unit, &PARTS, &bars(&keys))),
        (
            "change.svg",
            ratios(
                "CPU of the host per handshake, against the base",
                "times the base; the whisker is the range of the rounds",
                &change,
            ),
        ),
        (
            "crossing.svg",
            stacked("RSA-2048: engine, mode and rate", unit, &PARTS, &crossed(&crossing)),
        ),
    ];
    // A choice of few cells has no crossing.
    pictures.into_iter().filter_map(|(name, svg)| Some((name, svg.ok()?))).collect()
}

/// Cells with the base's key, and those to compare keys by.
fn steps(summary: &Summary) -> (Vec<&Cell>, Vec<&Cell>) {
    let of_key = |cell: &Cell| cell.plan.id.starts_with("key-");
    let cells = || summary.cells.iter().filter(|c| c.plan.group == "steps" && c.rounds > 0);
    let in_both = [BASE, "cards-none"];
    let keys = cells().filter(|c| of_key(c) || in_both.contains(&c.plan.id.as_str())).collect();
    (cells().filter(|cell| !of_key(cell)).collect(), keys)
}

fn bars(cells: &[&Cell]) -> Vec<Bar> {
    cells.iter().map(|cell| bar(cell, cell.plan.title.clone())).collect()
}

fn bar(cell: &Cell, label: String) -> Bar {
    let of = |name: &str| cell.median(name);
    let [host, card, total] = ["host_us", "card_us", "total_us"].map(|n| of(n).unwrap_or_default());
    // The medians of user and system need not add up to that of the host.
    let divided = of("host_user_us").zip(of("host_system_us")).filter(|(u, s)| u + s > 0.0);
    let parts = match divided {
        Some((user, system)) => {
            let user = host * user / (user + system);
            vec![user, host - user, 0.0, card]
        }
        None => vec![0.0, 0.0, host, card],
    };
    Bar { label, parts, total }
}

/// Cells of the crossing by what they have been set to, whatever their own title.
fn crossed(cells: &[&Cell]) -> Vec<Bar> {
    let label = |cell: &Cell| {
        let of = |name: &str| cell.plan.settings.get(name).map_or("", String::as_str);
        let engine = Engine::ALL.into_iter().find(|engine| engine.word() == of("engine"));
        let pace = match of("pace") {
            "saturation" => "saturation".to_owned(),
            rate => format!("{rate}/s"),
        };
        format!("{}, {}, {pace}", engine.map_or("", Engine::title), of("offload"))
    };
    cells.iter().filter(|cell| cell.rounds > 0).map(|cell| bar(cell, label(cell))).collect()
}

fn ratio(cell: &Cell) -> Option<RatioBar> {
    let figure = *cell.value("host_ratio")?;
    Some(RatioBar { label: cell.plan.title.clone(), figure })
}
