//! `longhaul run --dry-run`: the cells that would run, with what each is predicted to need.

use super::source::Loaded;
use super::{Failure, Format};
use longhaul::report::{human_bytes, human_time, plain_table};
use longhaul::run::{self, CellPrediction, Selection};
use longhaul::scenario::Scenario;
use longhaul::units::Nanos;
use tokio_util::sync::CancellationToken;

pub fn main(loaded: &Loaded, selection: &Selection, format: Format) -> Result<(), Failure> {
    let scenario = &loaded.scenario;
    let prepared = run::prepare(scenario, selection, run::Part::Whole, &CancellationToken::new());
    let cells = prepared.map_err(|error| Failure::bad_input(loaded.blame(error)))?.predict();
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&cells)?,
        Format::Table => table(scenario, &cells),
    };
    Ok(super::print(&text)?)
}

fn table(scenario: &Scenario, cells: &[CellPrediction]) -> String {
    let header = [
        "cell",
        "runs",
        "online,\nno computing",
        "rounds",
        "online\nup / down",
        "offline\nup / down",
        "dealer",
        "memory",
    ];
    let mut table = plain_table(header);
    for cell in cells {
        let both = |up, down| format!("{} / {}", human_bytes(up), human_bytes(down));
        table.add_row([
            format!("{} / {} / {}", cell.model, cell.protocol, cell.link),
            cell.executions.to_string(),
            human_time(Nanos((1e9 * cell.online_floor_at_most_s).round() as u64)),
            cell.online_rounds.to_string(),
            both(cell.online_bytes_up, cell.online_bytes_down),
            both(cell.offline_bytes_up, cell.offline_bytes_down),
            human_bytes(cell.dealer_bytes),
            human_bytes(cell.memory_bytes),
        ]);
    }
    let executions: u64 = cells.iter().map(|cell| cell.executions).sum();
    let most = cells.iter().map(|cell| cell.memory_bytes).max().unwrap_or(0);
    let warmup = match scenario.warmup {
        0 => "without warm-up".to_string(),
        warmup => format!("{warmup} of each cell for warm-up"),
    };
    format!(
        "{}: {} cells, {executions} executions ({warmup}), about {} of memory; nothing was run\n{}\n\
         online, no computing: rounds x one-way latency + bytes / rate, an upper bound (chunks overlap); computing comes on top.\n\
         memory: all roles in one process, a rough estimate.",
        scenario.name,
        cells.len(),
        human_bytes(most),
        table.trim_fmt()
    )
}
