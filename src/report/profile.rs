//! Where the online time goes, as text for a terminal: one table per model and link.

use super::human;
use super::record::{CellKey, LayerRecord};
use super::table::plain_table;
use crate::units::Nanos;
use std::fmt::Write;

/// Layers named per cell.
const NAMED: usize = 3;

/// What a layer's computing counts as, by its kind.
const KINDS: [(&str, &[&str]); 3] =
    [("convolution", &["conv2d", "linear"]), ("activation", &["activation", "max_pool"]), ("other", &[])];

/// One table per scenario, model and link: the share of computing by kind of layer, of latency and of bandwidth in the
/// online time of the cell's median run, and the layers that take most of it. At most 120 columns wide, without colours.
pub fn profile(layers: &[LayerRecord]) -> String {
    let cells: Vec<&[LayerRecord]> = layers.chunk_by(|a, b| a.cell() == b.cell()).collect();
    let mut places: Vec<(String, String, String)> = Vec::new();
    for cell in &cells {
        let place = place_of(&cell[0].cell());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let blocks: Vec<String> = places
        .into_iter()
        .map(|place| block(&place, cells.iter().copied().filter(|cell| place_of(&cell[0].cell()) == place)))
        .collect();
    blocks.join("\n")
}

fn place_of(cell: &CellKey) -> (String, String, String) {
    (cell.scenario.clone(), cell.model.clone(), cell.link.clone())
}

fn block<'a>(
    (scenario, model, link): &(String, String, String),
    cells: impl Iterator<Item = &'a [LayerRecord]>,
) -> String {
    let kinds = KINDS.map(|(name, _)| name);
    let header = ["protocol", "online"].into_iter().chain(kinds).chain(["latency", "bandwidth", "largest layers"]);
    let mut table = plain_table(header);
    for cell in cells {
        table.add_row(row(cell));
    }
    let last = table.column_iter().count() - 1;
    if let Some(column) = table.column_mut(last) {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    let mut text = String::new();
    writeln!(text, "{scenario}: {model} over {link}: critical path of the run with the median online time")
        .and_then(|()| writeln!(text, "{}", table.trim_fmt()))
        .expect("a string takes everything");
    text
}

fn row(cell: &[LayerRecord]) -> Vec<String> {
    let total = sum(cell, on_path);
    let share = |time: Nanos| match total.0 {
        0 => "-".to_string(),
        _ => format!("{:.1} %", 100.0 * time.0 as f64 / total.0 as f64),
    };
    let computing = |kind: usize| {
        let of_kind = cell.iter().filter(|layer| kind_of(&layer.kind) == kind);
        share(sum(of_kind, |layer| Nanos(layer.online_path_server_s.0 + layer.online_path_client_s.0)))
    };
    let mut row = vec![cell[0].protocol.clone(), human::time(total)];
    row.extend((0..KINDS.len()).map(computing));
    row.push(share(sum(cell, |layer| layer.online_path_latency_s)));
    row.push(share(sum(cell, |layer| layer.online_path_bandwidth_s)));
    let mut largest: Vec<&LayerRecord> = cell.iter().collect();
    largest.sort_by_key(|layer| std::cmp::Reverse(on_path(layer)));
    let name = |layer: &&LayerRecord| format!("{} {}", layer.name, share(on_path(layer)));
    row.push(largest.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", "));
    row
}

/// The index in [`KINDS`]; the last one takes what no other names.
fn kind_of(kind: &str) -> usize {
    KINDS.iter().position(|(_, kinds)| kinds.contains(&kind)).unwrap_or(KINDS.len() - 1)
}

fn on_path(layer: &LayerRecord) -> Nanos {
    let LayerRecord { online_path_server_s, online_path_client_s, .. } = layer;
    let LayerRecord { online_path_latency_s, online_path_bandwidth_s, .. } = layer;
    Nanos(online_path_server_s.0 + online_path_client_s.0 + online_path_latency_s.0 + online_path_bandwidth_s.0)
}

fn sum<'a>(layers: impl IntoIterator<Item = &'a LayerRecord>, part: impl Fn(&LayerRecord) -> Nanos) -> Nanos {
    Nanos(layers.into_iter().map(|layer| part(layer).0).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::layer;

    #[test]
    fn shares_are_of_the_whole_and_by_kind() {
        let of = |kind: &str, index, [server, client, latency, bandwidth]: [u64; 4]| LayerRecord {
            kind: kind.into(),
            online_path_server_s: Nanos(server * 1_000_000),
            online_path_client_s: Nanos(client * 1_000_000),
            online_path_latency_s: Nanos(latency * 1_000_000),
            online_path_bandwidth_s: Nanos(bandwidth * 1_000_000),
            ..layer("fused", index)
        };
        // 1 s in all: 200 ms of convolution, 50 + 10 of activation, 40 of adding, 500 of latency, 200 of bandwidth.
        let layers = [
            of("conv2d", 0, [150, 0, 0, 0]),
            of("activation", 1, [50, 10, 500, 200]),
            of("linear", 2, [50, 0, 0, 0]),
            of("add", 3, [0, 40, 0, 0]),
            LayerRecord { protocol: "gc".into(), ..of("conv2d", 0, [0; 4]) },
        ];
        insta::assert_snapshot!(profile(&layers), @r"
        quickstart: resnet20 over wan: critical path of the run with the median online time
        ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        protocol  online  convolution  activation  other  latency  bandwidth  largest layers
        ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        fused     1.00 s       20.0 %       6.0 %  4.0 %   50.0 %     20.0 %  layer1.1.relu 76.0 %, layer1.0.relu 15.0 %,
                                                                              layer1.2.relu 5.0 %
        gc          0 ns            -           -      -        -          -  layer1.0.relu -
        ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        ");
    }
}
